import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { eventually } from "../testing/traefik.ts";
import { ExecHook } from "./exec-hook.ts";

const { signal } = new AbortController();
const record = { asked: "_acme-challenge.preview.example.com", name: "challenges.example.net", value: "-the-value" };

async function hook(t: Test, script: string, options?: ConstructorParameters<typeof ExecHook>[2]) {
  const directory = t.testdir({ hook: `#!/bin/sh\n${script}\n` });
  const program = join(directory, "hook");
  await chmod(program, 0o755);
  return { directory, exec: new ExecHook(program, { PATH: process.env.PATH, PLACE: directory }, options) };
}

t.test("present() and remove() call the program as lego calls its own", async (t) => {
  const { directory, exec } = await hook(t, 'echo "$#:$1:$2:$3" >>"$PLACE/calls"');
  await exec.present(record, signal);
  await exec.remove(record, signal);
  const value = "challenges.example.net.:-the-value";
  t.equal(await readFile(join(directory, "calls"), "utf8"), `3:present:${value}\n3:cleanup:${value}\n`);
});

t.test("present() says how the program failed, with the last line of what it printed", async (t) => {
  const { exec } = await hook(t, "echo first; echo 'no such zone' >&2; exit 3");
  await t.rejects(exec.present(record, signal), { message: /hook present ended with 3: no such zone$/ });
  const killed = await hook(t, "kill -9 $$");
  await t.rejects(killed.exec.present(record, signal), { message: /ended with SIGKILL$/ });
});

t.test("present() says that there is no such program", async (t) => {
  const exec = new ExecHook("/no/such/hook", {});
  await t.rejects(exec.present(record, signal), { code: "ENOENT" });
});

t.test("present() ends a program that takes too long, and all that it started", async (t) => {
  const { directory, exec } = await hook(t, 'sleep 600 & echo $! >"$PLACE/pid"; wait', { patienceMs: 1000 });
  await t.rejects(exec.present(record, signal), { message: /took longer than 1000 ms/ });
  const pid = Number(await readFile(join(directory, "pid"), "utf8"));
  await eventually(async () => !(await runs(pid)));
  t.pass("ended");
});

t.test("present() ends the program with its signal", async (t) => {
  const { directory, exec } = await hook(t, 'touch "$PLACE/started"; sleep 600');
  const abort = new AbortController();
  const presented = exec.present(record, abort.signal);
  await eventually(() =>
    readFile(join(directory, "started")).then(
      () => true,
      () => false,
    ),
  );
  abort.abort();
  await t.rejects(presented, { name: "AbortError" });
});

t.test("present() gives the program the environment that it was made with, and no more", async (t) => {
  process.env.SANDBOXD_SECRET_OF_A_TEST = "secret";
  t.teardown(() => delete process.env.SANDBOXD_SECRET_OF_A_TEST);
  const { directory, exec } = await hook(t, 'env >"$PLACE/environment"');
  await writeFile(join(directory, "environment"), "");
  await exec.present(record, signal);
  const environment = await readFile(join(directory, "environment"), "utf8");
  t.match(environment, `PLACE=${directory}`);
  t.notMatch(environment, "SECRET_OF_A_TEST");
});

/** A zombie has ended. */
async function runs(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return status !== "" && !status.includes(") Z ");
}

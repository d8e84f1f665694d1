import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { freePort } from "../gateway/hazards/test-gateway.ts";

const program = join(import.meta.dirname, "main.ts");

type Ran = { readonly status: number; readonly stdout: string; readonly stderr: string; readonly tookMs: number };

function run(args: readonly string[], variables: Record<string, string> = {}, cwd = import.meta.dirname): Promise<Ran> {
  const env = { PATH: process.env.PATH, SANDBOXD_ENV_FILE: "/none", ...variables };
  const begin = performance.now();
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { env, cwd }, (error, stdout, stderr) => {
      resolve({ status: Number(error?.code ?? 0), stdout, stderr, tookMs: performance.now() - begin });
    });
  });
}

t.test("sandboxd explains itself, and refuses what it does not know", async (t) => {
  t.match(await run(["--help"]), { status: 0, stdout: /^usage: sandboxd <command>/ });
  for (const args of [[], ["heal"], ["doctor", "now"], ["doctor", "--loud"]]) {
    t.match(await run(args), { status: 2, stdout: "", stderr: /usage: sandboxd/ }, args.join(" "));
  }
});

t.test("sandboxd is what npx starts by that name, and a program of its own", async (t) => {
  const { bin } = JSON.parse(readFileSync(join(import.meta.dirname, "..", "package.json"), "utf8"));
  t.strictSame(bin, { sandboxd: "cli/main.ts" });
  t.equal(statSync(program).mode & 0o111, 0o111);
  t.match(readFileSync(program, "utf8"), /^#!\/usr\/bin\/env node\n/);
});

t.test("sandboxd doctor finds nothing of a stack that is not there, in time, and fails", async (t) => {
  const nowhere = {
    HTTP_PORT: String(await freePort()),
    SANDBOXD_API_BIND: `127.0.0.1:${await freePort()}`,
    GATEWAY_BIND: `127.0.0.1:${await freePort()}`,
    EDGE_INTERNAL_BIND: `127.0.0.1:${await freePort()}`,
    SANDBOXD_DATA_DIR: join(t.testdir({}), "none"),
    SANDBOXD_DOCKER_SOCKET: "/none/docker.sock",
  };
  const { status, stdout, stderr, tookMs } = await run(["doctor", "--json"], nowhere);
  t.equal(status, 1);
  t.equal(stderr, "");
  t.ok(tookMs < 5_000, `${tookMs} ms`);
  const { ok, findings } = JSON.parse(stdout);
  t.equal(ok, false);
  const failed = findings
    .filter((each: { status: string }) => each.status === "fail")
    .map((each: { name: string }) => each.name);
  for (const name of ["ports", "traefik", "gateways", "control", "engine", "disk"]) t.ok(failed.includes(name), name);
  for (const { name, status, mend } of findings)
    if (status === "fail") t.match(mend, /./, `${name} says what mends it`);
});

t.test("sandboxd doctor waits for nobody who accepts and says nothing", async (t) => {
  const silent = createServer();
  await once(silent.listen(0, "127.0.0.1"), "listening");
  // Short, for the socket's sake.
  const directory = mkdtempSync(join(tmpdir(), "doctor-"));
  const socket = createServer();
  await once(socket.listen(join(directory, "docker.sock")), "listening");
  t.teardown(() => {
    silent.close();
    socket.close();
    rmSync(directory, { recursive: true });
  });
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const port = address.replace(/.*:/, "");
  const { status, stdout, tookMs } = await run(["doctor", "--json"], {
    ...{ HTTP_PORT: port, HTTPS_PORT: port, PREVIEW_TLS: "true", PREVIEW_ENTRYPOINT: "websecure" },
    ...{ SANDBOXD_API_BIND: address, GATEWAY_BIND: address, EDGE_INTERNAL_BIND: address },
    SANDBOXD_DATA_DIR: directory,
    SANDBOXD_DOCKER_SOCKET: join(directory, "docker.sock"),
  });
  t.equal(status, 1);
  t.ok(tookMs < 5_000, `${tookMs} ms`);
  const timeouts = (JSON.parse(stdout).findings as { name: string; message: string }[]).filter(({ message }) =>
    /timeout|in time/.test(message),
  );
  const names = new Set(timeouts.map(({ name }) => name));
  t.strictSame([...names].sort(), ["backups", "certificate", "control", "engine", "gateways", "ports", "traefik"]);
});

t.test("sandboxd doctor reads .env where it is called, and goes on when a value is bad", async (t) => {
  const directory = t.testdir({});
  writeFileSync(join(directory, ".env"), "PREVIEW_DOMAIN=sandboxes.invalid\nPREVIEW_TLS=maybe\n");
  const { status, stdout } = await run(["doctor"], {}, directory);
  t.equal(status, 1);
  t.match(stdout, /^FAIL {2}configuration +Cannot parse PREVIEW_TLS/m);
  t.match(stdout, /^FAIL {2}dns +.*sandboxes\.invalid|^FAIL {2}dns +this machine's resolver/m);
});

t.test("sandboxd trust says what is missing", async (t) => {
  const directory = t.testdir({});
  mkdirSync(join(directory, "data"));
  const variables = { PREVIEW_TLS: "true", SANDBOXD_DATA_DIR: join(directory, "data") };
  t.match(await run(["trust"], variables), { status: 1, stdout: "", stderr: /start control first/ });
});

/** Sandboxes that use up whatever they can. Each hits a limit of its own, and its sibling goes on serving. */
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { firstEnd, texts, until } from "../engine-under-test.ts";
import { attack, openArena } from "./attack.ts";
import { containerName } from "./container-options.ts";
import { docker, dockerTest, missingRuntime, testRuntimes } from "./docker-test.ts";
import { Sibling } from "./sibling.ts";

const mib = 2 ** 20;
const end = `const tell = (...pair) => console.log(JSON.stringify(pair)); const over = () => tell("over", true);`;

for (const runtime of testRuntimes) {
  const skip = missingPart("images") || (await missingRuntime(runtime));
  t.test(`a bomb in a sandbox of ${runtime ?? "the default runtime"}`, { skip }, async (t) => {
    const config = { ...(await dockerTest(t)), runtime };

    t.test("of processes gets so many and no more", async (t) => {
      const it = await openArena(t, config);
      const sibling = await Sibling.start(it);
      const bomb = `${end}
      const { spawn } = require("node:child_process");
      const all = [];
      (function more() {
        const child = spawn("sleep", ["1000"], { stdio: "ignore" });
        child.once("error", ({ code }) => { tell("processes", all.length); tell("refusal", code); over(); });
        child.once("spawn", () => { all.push(child); more(); });
      })();
      setInterval(() => {}, 1000);`;
      const spec = it.spec(bomb, { memoryMaxBytes: 1024 * mib });
      const report = await sibling.servesDuring(t, attack(it, spec));
      // gVisor's own threads count as well: it ends, and takes nobody along.
      if (report.ended && runtime === "runsc") return;
      t.equal(report.refusal, "EAGAIN");
      t.ok(Number(report.processes) > 900 && Number(report.processes) < 1024, `${report.processes} processes`);
      const { processes } = await it.engine.usage(spec.id);
      t.equal(processes.limit, 1024);
      t.ok(processes.count! > 900 && processes.refused! > 0, JSON.stringify(processes));
    });

    t.test("of memory ends for want of memory", async (t) => {
      const it = await openArena(t, config);
      const sibling = await Sibling.start(it);
      const spec = it.spec(`const all = []; for (;;) all.push(Buffer.alloc(${mib}, 1));`, {
        memoryMaxBytes: 128 * mib,
      });
      await sibling.servesDuring(t, Promise.all([it.start(spec), firstEnd(it.events)]));
      t.match(
        it.events.find(({ type }) => type === "ended"),
        { id: spec.id, exit: { outOfMemory: true } },
      );
      t.match(await it.engine.inspect(spec.id), { state: "exited", exit: { outOfMemory: true } });
    });

    t.test("of files in memory ends for want of memory too", async (t) => {
      const it = await openArena(t, config);
      const sibling = await Sibling.start(it);
      const bomb = `const fs = require("node:fs"); const file = fs.openSync("/tmp/bomb", "w");
      for (;;) fs.writeSync(file, Buffer.alloc(${mib}, 1));`;
      const spec = it.spec(bomb, { memoryMaxBytes: 128 * mib });
      await sibling.servesDuring(t, Promise.all([it.start(spec), firstEnd(it.events)]));
      t.match(await it.engine.inspect(spec.id), { state: "exited", exit: { outOfMemory: true } });
    });

    t.test("of output has a log that is bounded, and can still be read", async (t) => {
      const it = await openArena(t, config);
      const sibling = await Sibling.start(it);
      const bomb = `
      const line = "x".repeat(1000) + "\\n";
      const fs = require("node:fs");
      const write = (text) => { for (let at = 0; at < text.length; ) try { at += fs.writeSync(1, text.slice(at)); } catch {} };
      for (let written = 0; written < 60_000; written++) write(line);
      write("y".repeat(5_000_000) + "\\n");
      write("last\\n");
      setInterval(() => {}, 1000);`;
      const spec = it.spec(bomb);
      const wrote = async () => {
        await it.start(spec);
        await until(
          "its last line",
          async () => (await texts(it.engine.logs(spec.id, { tail: 1 }))).includes("last"),
          90_000,
        );
      };
      await sibling.servesDuring(t, wrote());
      const { LogPath } = await docker.getContainer(containerName(spec.id)).inspect();
      const files = (await readdir(dirname(LogPath))).filter((name) => name.includes(".log"));
      const sizes = await Promise.all(files.map(async (name) => (await stat(join(dirname(LogPath), name))).size));
      const all = sizes.reduce((sum, size) => sum + size, 0);
      t.ok(all < 21 * mib, `65 MB of output are ${(all / mib).toFixed(1)} MiB of ${files.length} files`);
      for (const line of await texts(it.engine.logs(spec.id, { tail: 50 }))) t.ok(line.length <= 16 * 1024);
    });

    t.test("of open files gets its limit, and takes none of its sibling's", async (t) => {
      const it = await openArena(t, config);
      const sibling = await Sibling.start(it);
      const bomb = `${end}
      const fs = require("node:fs");
      let opened = 0;
      try { for (;;) { fs.openSync("/dev/null"); opened++; } } catch ({ code }) {
        process.stdout.write(JSON.stringify(["refusal", code]) + "\\n");
        tell("opened", opened); over();
      }
      setInterval(() => {}, 1000);`;
      const report = await sibling.servesDuring(t, attack(it, it.spec(bomb)));
      t.equal(report.refusal, "EMFILE");
      t.ok(Number(report.opened) <= 65_536, `${report.opened} files`);
    });

    t.test("of work gets its share of the processors", async (t) => {
      const it = await openArena(t, config);
      const sibling = await Sibling.start(it);
      const bomb = `${end}
      const { Worker } = require("node:worker_threads");
      for (let each = 0; each < 8; each++) new Worker("for (;;);", { eval: true });
      setTimeout(() => {
        const begun = [process.hrtime.bigint(), process.cpuUsage()];
        setTimeout(() => {
          const { user, system } = process.cpuUsage(begun[1]);
          tell("cores", (user + system) / (Number(process.hrtime.bigint() - begun[0]) / 1e3));
          over();
        }, 3_000);
      }, 500);`;
      const unbounded = await sibling.servesDuring(t, attack(it, it.spec(bomb)));
      t.ok(Number(unbounded.cores) > 0, `${unbounded.cores} cores without a limit`);
      const spec = it.spec(bomb, { cpu: 0.5 });
      const bounded = await sibling.servesDuring(t, attack(it, spec));
      const { cpu } = await it.engine.usage(spec.id);
      t.equal(cpu.limit, 0.5);
      t.ok(cpu.throttledSeconds! > 0 && cpu.usedSeconds! > 1, JSON.stringify(cpu));
      // gVisor only guesses what its processes spend.
      if (runtime === null) t.ok(Number(bounded.cores) < 0.65, `${bounded.cores} cores of 0.5`);
    });
  });
}

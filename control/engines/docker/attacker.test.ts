/** Isolation as it is from inside: an attacker's program runs in a sandbox and tells what came of each attempt. */
import { readFile } from "node:fs/promises";
import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { attack, openArena } from "./attack.ts";
import { dockerTest, missingRuntime, testRuntimes } from "./docker-test.ts";
import { Sibling } from "./sibling.ts";

const attacker = await readFile(new URL("fixtures/attacker.cjs", import.meta.url), "utf8");
const refused = /^(EPERM|EACCES|EROFS|ENOENT|refused)$/;

/** What each attempt must come to. */
const outcomes: Readonly<Record<string, unknown>> = {
  "be somebody": [1000, 1000, []],
  "hold a capability": ["0000000000000000"],
  "gain privileges by a program": ["1"],
  "call any system call": ["2"],
  "become root": refused,
  "become root of an own user namespace": refused,
  "mount something": refused,
  "make the root writable": refused,
  "make a device": refused,
  "change the root": refused,
  "change the host's name": refused,
  "set the clock": refused,
  "see a process of others": [],
  "find a device of the host": [],
  "find the engine": [],
  "find a directory of the host": [],
  "name a program that the kernel runs": refused,
  "reboot by a key": refused,
  "read the kernel's memory": /^(0|EACCES|EPERM|ENOENT)$/,
  "read the kernel's keys": "",
  "lift its own limits": refused,
  "have a release agent run": refused,
  "write to the image": [],
  "leave by a symbolic link": refused,
};

/** gVisor is a kernel of the sandbox's own: what is done to that one is done to nobody else. */
const ownKernel: Readonly<Record<string, unknown>> = {
  "call any system call": ["0"],
  "become root of an own user namespace": "done",
  "find a device of the host": ["fuse"],
  "read the kernel's keys": "ENOENT",
};

for (const runtime of testRuntimes) {
  const skip = missingPart("images") || (await missingRuntime(runtime));
  t.test(`an attacker in a sandbox of ${runtime ?? "the default runtime"}`, { skip }, async (t) => {
    const config = { ...(await dockerTest(t)), runtime };
    t.test("gains nothing, and finds nothing of the host", async (t) => {
      const it = await openArena(t, config);
      const report = await attack(it, it.spec(attacker));
      for (const [attempt, outcome] of Object.entries({ ...outcomes, ...(runtime === "runsc" ? ownKernel : {}) })) {
        if (outcome instanceof RegExp) t.match(report[attempt], outcome, attempt);
        else t.same(report[attempt], outcome, attempt);
      }
    });

    t.test("reaches no sibling", async (t) => {
      const it = await openArena(t, config);
      const sibling = await Sibling.start(it);
      const target = `${sibling.address}|3000`;
      const report = await attack(it, it.spec(attacker, { env: { TARGETS: target } }));
      t.match(report[target], /^(silence|EHOSTUNREACH|ECONNREFUSED|ENETUNREACH)$/);
    });
  });
}

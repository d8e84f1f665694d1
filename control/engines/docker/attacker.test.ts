/** Isolation as it is from inside: an attacker's program runs in a sandbox and tells what came of each attempt. */
import { readFile } from "node:fs/promises";
import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { attack, openArena } from "./attack.ts";
import { dockerTest } from "./docker-test.ts";
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

t.test("an attacker in a sandbox", { skip: missingPart("images") }, async (t) => {
  const config = await dockerTest(t);
  t.test("gains nothing, and finds nothing of the host", async (t) => {
    const it = await openArena(t, config);
    const report = await attack(it, it.spec(attacker));
    for (const [attempt, outcome] of Object.entries(outcomes)) {
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

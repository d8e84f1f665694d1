import t from "tap";
import { readConfig } from "../config.ts";
import { check, fail, ok } from "./check.ts";
import { checks, examine } from "./doctor.ts";

const config = readConfig({ dotEnvFile: "/none" }, { SANDBOXD_ENV_FILE: "/none" });
const good = check(
  "good",
  async () => 1,
  () => [ok("one"), fail("two", "three")],
);

t.test("examine() tells every verdict under the name of its check, in order", async (t) => {
  t.strictSame(await examine(config, { all: [good] }), [
    { name: "good", status: "ok", message: "one" },
    { name: "good", status: "fail", message: "two", mend: "three" },
  ]);
});

t.test("examine() runs all of them at once, and waits for none that hangs", async (t) => {
  const hanging = check(
    "hanging",
    () => new Promise<never>(() => {}),
    () => [],
  );
  const begin = performance.now();
  const findings = await examine(config, { all: [hanging, hanging, good], withinMs: 300 });
  t.ok(performance.now() - begin < 2_000);
  const late = { name: "hanging", status: "fail", message: /within 0\.3 s/ } as const;
  t.match(findings, [late, late, { name: "good" }, { name: "good" }]);
});

t.test("examine() lets a check say what it waited for", async (t) => {
  const heeding = check(
    "heeding",
    (_, signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve("a silent port"))),
    (what) => [fail(`waited for ${what}`)],
  );
  t.match(await examine(config, { all: [heeding], withinMs: 100 }), [{ message: "waited for a silent port" }]);
});

t.test("examine() takes an error of a check for a finding", async (t) => {
  const broken = check(
    "broken",
    async () => {
      throw new Error("no such thing");
    },
    () => [],
  );
  t.match(await examine(config, { all: [broken] }), [{ name: "broken", status: "fail", message: /no such thing/ }]);
});

t.test("checks has every noun once", async (t) => {
  t.equal(new Set(checks.map(({ name }) => name)).size, checks.length);
});

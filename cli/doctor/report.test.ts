import t from "tap";
import type { Finding } from "./doctor.ts";
import { isWell, toJson, toText } from "./report.ts";

const findings: Finding[] = [
  { name: "dns", status: "ok", message: "is this machine" },
  { name: "certificate", status: "warn", message: "expires in 5 days", mend: "renew it" },
  { name: "ports", status: "fail", message: "nothing listens", mend: "docker compose up -d" },
];

t.test("toText() has a line for each finding, and below it what mends it", async (t) => {
  t.equal(
    toText(findings, { color: false }),
    `ok    dns          is this machine
warn  certificate  expires in 5 days
                   → renew it
FAIL  ports        nothing listens
                   → docker compose up -d

1 ok, 1 warnings, 1 failures
`,
  );
  t.match(toText(findings, { color: true }), "\x1b[31mFAIL\x1b[0m");
});

t.test("toJson() says the same to programs", async (t) => {
  t.strictSame(JSON.parse(toJson(findings)), { ok: false, counts: { ok: 1, warn: 1, fail: 1 }, findings });
});

t.test("isWell() is about failures alone", async (t) => {
  t.equal(isWell(findings), false);
  t.equal(isWell(findings.slice(0, 2)), true);
});

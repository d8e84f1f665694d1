import t from "tap";
import { judgeNames, type Names } from "./dns.ts";

const own = ["127.0.0.1", "::1", "192.0.2.10", "2001:db8::10"];
const names = (preview: Names["preview"], api: Names["api"] = preview): Names => ({ preview, api, own });

const table: [name: string, names: Names, domain: string, expected: readonly object[]][] = [
  ["this machine", names(["192.0.2.10"]), "example.com", [{ status: "ok" }]],
  ["this machine, over IPv6 too", names(["192.0.2.10", "2001:db8::10"]), "example.com", [{ status: "ok" }]],
  [
    "no record",
    names({ error: "ENOTFOUND" }),
    "example.com",
    [{ status: "fail", message: /does not resolve/, mend: /\*\.preview\.example\.com A / }],
  ],
  ["no resolver", names({ error: "EAI_AGAIN" }), "example.com", [{ status: "fail", message: /resolver.*EAI_AGAIN/ }]],
  ["another machine", names(["198.51.100.7"]), "example.com", [{ status: "warn", message: /none of this machine/ }]],
  [
    "another machine as well",
    names(["192.0.2.10", "2001:db8::99"]),
    "example.com",
    [{ status: "warn", message: /also 2001:db8::99/ }],
  ],
  ["loopback, for a public domain", names(["127.0.0.1"]), "example.com", [{ status: "warn", message: /only this/ }]],
  [
    "an API elsewhere",
    names(["192.0.2.10"], ["198.51.100.7"]),
    "example.com",
    [{ status: "ok" }, { status: "warn", message: /api\.preview\.example\.com is 198\.51\.100\.7/ }],
  ],
  [
    "an API without a name",
    names(["192.0.2.10"], { error: "ENOTFOUND" }),
    "example.com",
    [{ status: "ok" }, { status: "warn", message: /does not resolve/ }],
  ],
  ["localhost, known", names(["127.0.0.1"]), "localhost", [{ status: "ok" }]],
  ["localhost, known to browsers alone", names({ error: "ENOTFOUND" }), "localhost", [{ status: "warn" }]],
  ["localhost elsewhere", names(["192.0.2.10"]), "localhost", [{ status: "fail" }]],
];

for (const [name, facts, domain, expected] of table) {
  t.test(`judgeNames() of ${name}`, async (t) => {
    const verdicts = judgeNames(facts, { domain });
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
  });
}

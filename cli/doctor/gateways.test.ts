import t from "tap";
import type { Answer, Silence } from "../http.ts";
import { judgeGateways } from "./gateways.ts";

const well: Answer = { status: 200, headers: {}, body: "ok" };
const leaving: Answer = { status: 503, headers: {}, body: "" };
const stranger: Answer = { status: 404, headers: {}, body: "" };
const gone: Silence = { silence: "ECONNREFUSED" };

const table: [name: string, answers: (Answer | Silence)[], expected: object[]][] = [
  ["two that are well", [well, well], [{ status: "ok" }, { status: "ok" }]],
  ["one that is gone", [well, gone], [{ status: "ok" }, { status: "warn", message: /ECONNREFUSED/, mend: /gateway/ }]],
  ["one that leaves", [leaving, well], [{ status: "warn", message: /leaves/ }, { status: "ok" }]],
  ["none that is well", [gone, leaving], [{ status: "fail" }, { status: "fail" }]],
  ["something else", [stranger], [{ status: "fail", message: /no gateway/, mend: /sport = :8080/ }]],
];

for (const [name, answers, expected] of table) {
  t.test(`judgeGateways() of ${name}`, async (t) => {
    const verdicts = judgeGateways(answers.map((answer, index) => ({ address: `127.0.0.1:${8080 + index}`, answer })));
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
  });
}

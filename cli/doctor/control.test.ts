import t from "tap";
import type { Answer, Silence } from "../http.ts";
import { judgeControl } from "./control.ts";

const answer = (status: number, body: string): Answer => ({ status, headers: {}, body });
const gone: Silence = { silence: "ECONNREFUSED" };
const config = { apiBind: { host: "127.0.0.1", port: 9090 } };

const table: [name: string, health: Answer | Silence, readiness: Answer | Silence, expected: object][] = [
  ["a ready one", answer(200, "ok"), answer(200, "ready"), { status: "ok" }],
  ["one that is gone", gone, gone, { status: "fail", message: /ECONNREFUSED/, mend: /up -d control/ }],
  [
    "one without its engine",
    answer(200, "ok"),
    answer(503, "not ready: no engine"),
    { status: "fail", message: /not ready: no engine/ },
  ],
  ["one that hangs", answer(200, "ok"), { silence: "timeout" }, { status: "fail", message: /timeout/ }],
  ["a stranger", answer(404, "hello"), answer(404, ""), { status: "fail", mend: /ss -ltnp 'sport = :9090'/ }],
];

for (const [name, health, readiness, expected] of table) {
  t.test(`judgeControl() of ${name}`, async (t) => {
    t.match(judgeControl({ health, readiness }, config), [expected]);
  });
}

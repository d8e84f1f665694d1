import t from "tap";
import type { Answer, Silence } from "../http.ts";
import { judgePorts, type Knocked } from "./ports.ts";

const answer = (status: number, headers: Answer["headers"] = {}, body = ""): Answer => ({ status, headers, body });
const gateway = answer(404, { "x-sandbox-gateway": "not_found" });
const redirect = answer(302, { location: "https://doctor.preview.example.com/" });
const unrouted = answer(404, {}, "404 page not found\n");
const silence = (code: string): Silence => ({ silence: code });
const secure = { httpPort: 80, httpsPort: 443, tls: true, entryPoint: "websecure" } as const;
const plain = { ...secure, tls: false, entryPoint: "web" } as const;

const table: [name: string, knocked: Knocked, config: Parameters<typeof judgePorts>[1], expected: object[]][] = [
  ["a stack with TLS", { web: redirect, websecure: gateway }, secure, [{ status: "ok" }, { status: "ok" }]],
  ["a stack without TLS", { web: gateway }, plain, [{ status: "ok" }]],
  [
    "a tunnel's entry point",
    { web: unrouted, websecure: gateway },
    { ...plain, entryPoint: "websecure" },
    [{ status: "ok" }, { status: "ok" }],
  ],
  [
    "nothing",
    { web: silence("ECONNREFUSED"), websecure: silence("ECONNREFUSED") },
    secure,
    [
      { status: "fail", message: /port 80/, mend: /up -d/ },
      { status: "fail", message: /port 443/ },
    ],
  ],
  ["what hangs", { web: silence("timeout") }, plain, [{ status: "fail", message: /in time/ }]],
  ["another program", { web: answer(200, {}, "<h1>It works!") }, plain, [{ status: "fail", mend: /ss -ltnp/ }]],
  ["a frozen Traefik", { web: unrouted }, plain, [{ status: "fail", message: /no route/ }]],
  ["no gateway", { web: answer(502, {}, "Bad Gateway") }, plain, [{ status: "fail", message: /no gateway \(502\)/ }]],
  [
    "no gateway of several",
    { web: answer(503, {}, "no available server\n") },
    plain,
    [{ status: "fail", message: /no gateway \(503\)/ }],
  ],
  ["plain HTTP at the TLS port", { web: redirect, websecure: silence("EPROTO") }, secure, [{}, { status: "fail" }]],
];

for (const [name, knocked, config, expected] of table) {
  t.test(`judgePorts() of ${name}`, async (t) => {
    const verdicts = judgePorts(knocked, config);
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
  });
}

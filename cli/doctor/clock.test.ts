import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import t from "tap";
import { readConfig } from "../config.ts";
import { type ClockFacts, clock, judgeClock } from "./clock.ts";

const ahead = (seconds: number) => ({ seconds, of: "ca.example" });

const table: [name: string, facts: ClockFacts, expected: object][] = [
  ["one that is kept in step", { synchronized: true, ahead: undefined }, { status: "ok" }],
  ["one that agrees with another", { synchronized: undefined, ahead: ahead(-0.4) }, { status: "ok" }],
  ["one that nothing keeps", { synchronized: false, ahead: ahead(0.4) }, { status: "warn", mend: /set-ntp/ }],
  [
    "one that is ahead",
    { synchronized: true, ahead: ahead(8) },
    { status: "warn", message: /8 s ahead of ca\.example/ },
  ],
  ["one that is far behind", { synchronized: true, ahead: ahead(-90) }, { status: "fail", message: /90 s behind/ }],
  ["one that is alone", { synchronized: undefined, ahead: undefined }, { status: "warn", message: /nothing here/ }],
];

for (const [name, facts, expected] of table) {
  t.test(`judgeClock() of ${name}`, async (t) => {
    t.match(judgeClock(facts), [expected]);
  });
}

t.test("clock compares with what a server says", async (t) => {
  const server = createServer((_, response) => {
    response.sendDate = false;
    response.setHeader("date", new Date(Date.now() - 600_000).toUTCString());
    response.end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.teardown(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const config = readConfig({ dotEnvFile: "/none" }, { SANDBOXD_ENV_FILE: "/none", SANDBOXD_PREVIEW_JWKS_URL: url });
  t.match(await clock.run(config, AbortSignal.timeout(3000)), [
    { status: "fail", message: /^this clock is (600|599|601) s ahead/ },
  ]);
});

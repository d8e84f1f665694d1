import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import t from "tap";
import { judgeBinds, type Listeners, readTable } from "./binds.ts";

const config = {
  apiBind: { host: "127.0.0.1", port: 9090 },
  gatewayBinds: [{ host: "127.0.0.1", port: 8080 }],
  internalBind: { host: "127.0.0.1", port: 8082 },
  apiAuthDisabled: false,
  engine: "docker",
} as const;
const inside = [9090, 8080, 8082].map((port) => ({ host: "127.0.0.1", port }));
const web = [80, 443].map((port) => ({ host: "::", port }));

const table: [name: string, listeners: Listeners, changes: object, expected: object[]][] = [
  ["a stack that is well bound", [...inside, ...web], {}, [{ status: "ok" }]],
  ["nothing that listens", [], {}, [{ status: "ok" }]],
  ["a system that does not tell", undefined, {}, [{ status: "warn" }]],
  ["a gateway for everybody", [{ host: "0.0.0.0", port: 8080 }], {}, [{ status: "fail", mend: /GATEWAY_BIND=127/ }]],
  ["an API beyond loopback", [{ host: "10.0.0.5", port: 9090 }], {}, [{ status: "warn", message: /10\.0\.0\.5:9090/ }]],
  ["an open API beyond loopback", [{ host: "::", port: 9090 }], { apiAuthDisabled: true }, [{ status: "fail" }]],
  [
    "Traefik's insides for everybody",
    [{ host: "::", port: 8082 }],
    {},
    [{ status: "fail", mend: /EDGE_INTERNAL_BIND/ }],
  ],
  ["Docker for everybody", [{ host: "0.0.0.0", port: 2375 }], {}, [{ status: "fail", message: /root/ }]],
];

for (const [name, listeners, changes, expected] of table) {
  t.test(`judgeBinds() of ${name}`, async (t) => {
    const verdicts = judgeBinds(listeners, { ...config, ...changes });
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
  });
}

const skip = process.platform !== "linux" && "only Linux has such a table";

t.test("readTable() finds this process's own listeners in the kernel's table", { skip }, async (t) => {
  for (const [host, file] of [
    ["127.0.0.1", "tcp"],
    ["0.0.0.0", "tcp"],
    ["::1", "tcp6"],
    ["::", "tcp6"],
  ] as const) {
    const server = createServer();
    await once(server.listen(0, host), "listening");
    const { port } = server.address() as AddressInfo;
    t.match(
      readTable(await readFile(`/proc/net/${file}`, "utf8")).find((each) => each.port === port),
      { host, port },
    );
    await new Promise((closed) => server.close(closed));
    t.notOk(
      readTable(await readFile(`/proc/net/${file}`, "utf8")).some((each) => each.port === port),
      "nor what is closed",
    );
  }
});

t.test("readTable() reads addresses as people write them", async (t) => {
  const row = (address: string) => `head\n   0: ${address}:1F90 00000000:0000 0A 0\n`;
  t.strictSame(readTable(row("0100007F")), [{ host: "127.0.0.1", port: 8080 }]);
  t.strictSame(readTable(row("0000000000000000FFFF00000100007F")), [{ host: "127.0.0.1", port: 8080 }]);
  t.strictSame(readTable(row("B80D01200000000000000000F0000000")), [{ host: "2001:db8:0:0:0:0:0:f0", port: 8080 }]);
});

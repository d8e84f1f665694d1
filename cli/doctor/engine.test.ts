import t from "tap";
import type { Answer } from "../http.ts";
import { type EngineFacts, type Info, judgeEngine } from "./engine.ts";

const config = {
  dockerSocket: "/var/run/docker.sock",
  image: "sandboxd/sandbox",
  network: "sandboxd",
  runtime: undefined,
};
const info: Info = { ServerVersion: "28.1.0", Runtimes: { runc: {} }, SwapLimit: true, BridgeNfIptables: true };
const answer = (status: number, body: object = {}): Answer => ({ status, headers: {}, body: JSON.stringify(body) });
const ours = answer(200, { Options: { "com.docker.network.bridge.enable_icc": "false" } });
const well: EngineFacts = { info, image: answer(200), network: ours, originals: [] };

const table: [name: string, facts: EngineFacts | undefined, changes: object, expected: object[]][] = [
  ["one that has everything", well, {}, [{ status: "ok", message: /28\.1\.0/ }]],
  ["one whose network is not made yet", { ...well, network: answer(404) }, {}, [{ status: "ok" }]],
  ["no engine", { ...well, info: { silence: "ENOENT" } }, {}, [{ status: "fail", mend: "systemctl start docker" }]],
  ["one that may not be asked", { ...well, info: { silence: "EACCES" } }, {}, [{ status: "fail", mend: /root/ }]],
  ["one that hangs", { ...well, info: { silence: "timeout" } }, {}, [{ status: "fail", message: /timeout/ }]],
  ["an old one", { ...well, info: { ...info, ServerVersion: "19.03.1" } }, {}, [{ status: "fail", message: /older/ }]],
  ["a missing image", { ...well, image: answer(404) }, {}, [{}, { status: "fail", mend: /build sandbox-image/ }]],
  ["a missing runtime", well, { runtime: "runsc" }, [{}, { status: "fail", message: /no runtime runsc, only runc/ }]],
  [
    "a network that is not ours",
    { ...well, network: answer(200, { Options: {} }) },
    {},
    [{}, { status: "fail", mend: /network rm sandboxd/ }],
  ],
  [
    "bridges without iptables",
    { ...well, info: { ...info, BridgeNfIptables: false } },
    {},
    [{}, { status: "fail", mend: /br_netfilter/ }],
  ],
  [
    "containers of the original",
    { ...well, originals: ["s-01JB2Q8Z6X3V9K4M7N0P5R1S2A"] },
    {},
    [{}, { status: "warn", mend: "docker rm -f s-01JB2Q8Z6X3V9K4M7N0P5R1S2A" }],
  ],
  ["no cgroups", { ...well, info: { ...info, CgroupDriver: "none", SwapLimit: false } }, {}, [{}, { status: "fail" }]],
  ["swap without limits", { ...well, info: { ...info, SwapLimit: false } }, {}, [{}, { status: "warn" }]],
  ["processes", undefined, {}, [{ status: "warn", message: /isolation/ }]],
];

for (const [name, facts, changes, expected] of table) {
  t.test(`judgeEngine() of ${name}`, async (t) => {
    const verdicts = judgeEngine(facts, { ...config, ...changes });
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
  });
}

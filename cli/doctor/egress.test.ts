import t from "tap";
import { freePort } from "../../gateway/hazards/test-gateway.ts";
import { readConfig } from "../config.ts";
import { egress, judgeEgress } from "./egress.ts";

const installed = {
  ...{ mode: "enforce", installed: true, problem: null, table: "egress_sandboxd" },
  ...{ reinstalls: 0, last_reinstall_at: null, name_servers: ["10.0.0.2"] },
};
const answer = (changes: object = {}, status = 200) => ({
  ...{ status, headers: {} },
  body: JSON.stringify({ ...installed, ...changes }),
});

t.test("judgeEgress() tells what control cannot reach", async (t) => {
  const tried = [
    { url: "https://ca.example/directory", error: undefined },
    { url: "https://keys.example/jwks", error: "ENETUNREACH" },
  ];
  t.match(judgeEgress({ tried, told: answer() }, { engine: "docker" }), [
    { status: "ok", message: /ca\.example/ },
    { status: "fail", message: /keys\.example \(ENETUNREACH\)/, mend: "curl -sSI https://keys.example/jwks" },
    { status: "ok", message: "the tables egress_sandboxd hold sandboxes back" },
  ]);
  t.match(judgeEgress({ tried: [], told: { silence: "ECONNREFUSED" } }, { engine: "process" }), [{ status: "ok" }]);
});

const table: [name: string, told: Parameters<typeof judgeEgress>[0]["told"], expected: object[]][] = [
  ["rules", answer(), [{ status: "ok" }]],
  ["no control", { silence: "ECONNREFUSED" }, [{ status: "warn", message: /does not tell/ }]],
  ["a control that knows none", answer({}, 404), [{ status: "warn", message: /does not tell/ }]],
  ["off", answer({ mode: "off", installed: false }), [{ status: "warn", message: /SANDBOXD_EGRESS is off/ }]],
  ["observe", answer({ mode: "observe" }), [{ status: "warn", message: /not held back/ }]],
  [
    "rules that cannot be installed",
    answer({ installed: false, problem: "nft is not installed" }),
    [{ status: "fail", message: /no sandbox starts, .*: nft is not installed/, mend: /nftables/ }],
  ],
  [
    "rules that cannot be installed to observe",
    answer({ mode: "observe", installed: false, problem: "nft is not installed" }),
    [{ status: "warn", message: /not observed: nft/ }],
  ],
  [
    "rules that somebody took away",
    answer({ reinstalls: 2, last_reinstall_at: "2026-01-01T00:00:00.000Z" }),
    [{ status: "ok" }, { status: "warn", message: /2 times, at 2026-/ }],
  ],
  ["no name server", answer({ name_servers: [] }), [{ status: "ok" }, { status: "warn", mend: /NAME_SERVERS/ }]],
];
for (const [name, told, expected] of table) {
  t.test(`judgeEgress() with ${name}`, async (t) => {
    const verdicts = judgeEgress({ tried: [], told }, { engine: "docker" });
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
  });
}

t.test("egress tries what control reads from elsewhere", async (t) => {
  const url = `http://127.0.0.1:${await freePort()}/jwks`;
  const variables = { SANDBOXD_ENV_FILE: "/none", SANDBOXD_ENGINE: "process", SANDBOXD_PREVIEW_JWKS_URL: url };
  const verdicts = await egress.run(readConfig({ dotEnvFile: "/none" }, variables), AbortSignal.timeout(3000));
  t.match(verdicts, [{ status: "fail", message: /ECONNREFUSED/ }]);
});

import t from "tap";
import { judgeBackups } from "./backups.ts";

const now = new Date("2026-11-24T12:00:00.000Z");
const answer = (body: object) => ({ status: 200, headers: {}, body: JSON.stringify(body) });
const one = (created_at: string, failed_workspaces: object[] = []) => ({ created_at, failed_workspaces });
const fresh = one("2026-11-24T03:00:00.000Z");

const table: [name: string, told: Parameters<typeof judgeBackups>[0]["told"], expected: object[]][] = [
  [
    "a fresh one",
    answer({ items: [fresh], next_at: null, last_error: null }),
    [{ status: "ok", message: /9 hours old/ }],
  ],
  [
    "an old one and a failure",
    answer({ items: [one("2026-11-20T03:00:00.000Z")], next_at: null, last_error: { message: "no space" } }),
    [
      { status: "warn", message: /105 hours/, mend: /backups/ },
      { status: "fail", message: /no space/ },
    ],
  ],
  [
    "one with gaps",
    answer({ items: [one(fresh.created_at, [{}, {}])], next_at: null, last_error: null }),
    [{ status: "ok" }, { status: "warn", message: /lacks 2/ }],
  ],
  [
    "none yet",
    answer({ items: [], next_at: "2026-11-25T03:00:00.000Z", last_error: null }),
    [{ status: "warn", message: /none before 2026-11-25/ }],
  ],
  ["no control", { silence: "ECONNREFUSED" }, [{ status: "warn", message: /ECONNREFUSED/ }]],
  ["an older control", { status: 404, headers: {}, body: "" }, [{ status: "warn", message: /404/ }]],
];

for (const [name, told, expected] of table) {
  t.test(`judgeBackups() of ${name}`, async (t) => {
    const verdicts = judgeBackups({ told, now });
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
  });
}

import t from "tap";
import { Database } from "../sqlite/database.ts";
import { silent } from "../testing/fixture.ts";
import type { AccessConfig } from "./access-config.ts";
import { openAccess } from "./open-access.ts";

const config: AccessConfig = {
  ...{ tokenSecrets: [], jwksUrl: null, jwksFile: null, redirectUrl: null, denyMode: "redirect" },
};
const origin = { domain: "localhost", scheme: "http", publicPort: 80 } as const;
const dayMs = 24 * 3600 * 1000;

t.test(
  "openAccess() lets go of audit entries by their age in days, and of none when they are kept for ever",
  async (t) => {
    const database = new Database(":memory:", () => {});
    t.teardown(() => database.close());
    let now = 1_700_000_000_000;
    const access = await openAccess({ database, config, apiTokens: [], origin, logger: silent, now: () => now });
    const entry = { actorKind: "operator", actorName: "operator", ip: null, action: "a", target: null, detail: {} };
    const kept = () => access.audit.list({ limit: 10 }).length;
    access.audit.record({ ...entry, outcome: "done" });
    now += 3 * dayMs;
    access.audit.record({ ...entry, outcome: "done" });
    access.prune(0);
    t.equal(kept(), 2);
    access.prune(4);
    t.equal(kept(), 2);
    access.prune(2);
    t.equal(kept(), 1);
  },
);

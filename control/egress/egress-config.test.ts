import t from "tap";
import { EnvironmentReader } from "#contract/environment.ts";
import { formatDestination } from "./destination.ts";
import { readEgress } from "./egress-config.ts";

function read(variables: Record<string, string>, engine: "docker" | "process" = "docker") {
  const reader = new EnvironmentReader(variables);
  const config = readEgress(reader, engine);
  reader.end();
  return config;
}

t.test("readEgress() enforces where sandboxes are containers, and not where they are processes", async (t) => {
  t.match(read({}), { mode: "enforce", connections: 4_096, nameServers: null });
  t.equal(read({}, "process").mode, "off");
  t.throws(() => read({ SANDBOXD_EGRESS: "observe" }, "process"), { message: /no isolation/ });
  t.throws(() => read({ SANDBOXD_EGRESS: "on" }), { message: /enforce or observe or off/ });
});

t.test("readEgress() reads lists of addresses", async (t) => {
  const config = read({
    SANDBOXD_EGRESS_BLOCK: "203.0.113.0/24, 2001:db8::/32",
    SANDBOXD_EGRESS_ALLOW: "10.0.0.5:5432, db.internal",
    SANDBOXD_EGRESS_NAME_SERVERS: "10.0.0.2",
  });
  t.match(config, { block: [{ prefix: 24 }, { prefix: 32 }], nameServers: [{ prefix: 32 }] });
  t.same(config.allow.map(formatDestination), ["10.0.0.5:5432", "db.internal"]);
  t.throws(() => read({ SANDBOXD_EGRESS_ALLOW: "10.0.0.5:x" }), { message: /SANDBOXD_EGRESS_ALLOW/ });
});

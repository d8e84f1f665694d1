import { createSocket } from "node:dgram";
import { once } from "node:events";
import { decode, encode } from "dns-packet";
import t from "tap";
import { silent } from "../testing/fixture.ts";
import { AllowedNames, type LookUp, systemLookUp } from "./allowed-names.ts";
import { formatCidr } from "./cidr.ts";

/** Names over answers that a test sets, with a clock that it sets too. */
function setUp() {
  const answers = new Map<string, { address: string; ttl: number }[]>();
  const asked: string[] = [];
  const clock = { now: 1_000_000 };
  const lookUp: LookUp = async (name) => {
    asked.push(name);
    const found = answers.get(name);
    if (found === undefined) throw new Error("ENOTFOUND");
    return found;
  };
  const names = new AllowedNames({ lookUp, logger: silent, now: () => clock.now });
  const addresses = (name: string) => names.addresses(name).map(({ address }) => formatCidr(address));
  return { answers, asked, clock, names, addresses };
}

t.test("AllowedNames asks again when the TTL is over, and keeps what was told until its time is over", async (t) => {
  const { answers, asked, clock, names, addresses } = setUp();
  answers.set("db.internal", [{ address: "10.0.0.1", ttl: 30 }]);
  names.keep(new Set(["db.internal"]));
  t.equal(await names.refresh(), true);
  t.same(addresses("db.internal"), ["10.0.0.1"]);
  clock.now += 29_000;
  t.equal(await names.refresh(), false);
  t.equal(asked.length, 1);
  clock.now += 1_000;
  answers.set("db.internal", [{ address: "10.0.0.2", ttl: 30 }]);
  t.equal(await names.refresh(), true);
  t.same(addresses("db.internal"), ["10.0.0.2", "10.0.0.1"], "connections to the first one go on");
  clock.now += 60_000;
  await names.refresh();
  t.same(addresses("db.internal"), ["10.0.0.2"]);
});

t.test("AllowedNames keeps what it knows while nobody answers, for a while", async (t) => {
  const { answers, clock, names, addresses } = setUp();
  answers.set("db.internal", [{ address: "fd00::1", ttl: 1 }]);
  names.keep(new Set(["db.internal"]));
  await names.refresh();
  answers.clear();
  clock.now += 60_000;
  t.equal(await names.refresh(), false);
  t.same(addresses("db.internal"), ["fd00::1"]);
  clock.now += 10_000;
  await names.refresh();
  t.same(addresses("db.internal"), []);
});

t.test("AllowedNames forgets a name that nobody allows any longer", async (t) => {
  const { answers, names, addresses } = setUp();
  answers.set("a", [{ address: "10.0.0.1", ttl: 30 }]);
  names.keep(new Set(["a"]));
  await names.refresh();
  names.keep(new Set());
  t.same(addresses("a"), []);
});

t.test("systemLookUp() tells addresses of both kinds with their TTLs", async (t) => {
  const server = createSocket("udp4");
  t.teardown(() => server.close());
  server.on("message", (message, { port, address }) => {
    const { id, questions = [] } = decode(message);
    const [{ name, type } = { name: "", type: "A" }] = questions;
    const data = { A: "10.0.0.1", AAAA: "fd00::1" }[type as "A" | "AAAA"];
    const answers = name === "db.test" ? [{ name, type: type as "A", ttl: 7, data }] : [];
    server.send(encode({ type: "response", id, questions, answers: answers as never }), port, address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  const lookUp = systemLookUp([`127.0.0.1:${server.address().port}`]);
  t.match(await lookUp("db.test"), [
    { address: "10.0.0.1", ttl: 7 },
    { address: "fd00::1", ttl: 7 },
  ]);
  await t.rejects(lookUp("nothing.test"), { code: "ENODATA" });
});

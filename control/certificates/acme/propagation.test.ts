/** Against real name servers, two for one zone, on two addresses of this machine. */
import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { startKnot } from "../testing/knot.ts";
import { NameServers } from "./name-servers.ts";
import { waitForPropagation } from "./propagation.ts";

const { signal } = new AbortController();
const soon = { withinMs: 0, pauseMs: 10, signal };
const patient = { withinMs: 60_000, pauseMs: 10, signal };

t.test("with two name servers", { skip: missingPart("knot") }, async (t) => {
  const records = "@ 1 NS ns2\nns2 1 A 127.0.0.2\n";
  const first = await startKnot(t, { records });
  const second = await startKnot(t, { records, address: "127.0.0.2", port: first.port });
  const nameServers = new NameServers({ resolvers: [first.address], authoritativePort: first.port });
  const recordAt = (name: string) => ({ asked: name, name: `${name}.example.com`, value: "value" });
  const add = (name: string, value = "value") => `add ${name}.example.com. 1 TXT "${value}"`;

  t.test("waitForPropagation() names every server that does not have the record", async (t) => {
    await first.update(add("one"));
    await second.update(add("one", "an old value"));
    await t.rejects(waitForPropagation(recordAt("one"), nameServers, soon), {
      message:
        /^the record one.example.com is not at every name server of example.com \((?=.*ns1.example.com: has it)(?=.*ns2.example.com: does not have it)/,
    });
  });

  t.test("waitForPropagation() settles once the last server has it", async (t) => {
    await first.update(add("two"));
    let settled = false;
    const waiting = waitForPropagation(recordAt("two"), nameServers, patient).then(() => (settled = true));
    await t.rejects(waitForPropagation(recordAt("two"), nameServers, soon));
    t.notOk(settled);
    await second.update(add("two"));
    await waiting;
  });

  t.test("waitForPropagation() ends with its signal", async (t) => {
    const abort = new AbortController();
    const waiting = waitForPropagation(recordAt("three"), nameServers, { ...patient, signal: abort.signal });
    abort.abort();
    await t.rejects(waiting, { name: "AbortError" });
  });
});

t.test("with a name server that is silent", { skip: missingPart("knot") }, async (t) => {
  // Nobody listens at the address of the second one.
  const knot = await startKnot(t, { records: "@ 1 NS ns2\nns2 1 A 127.0.0.3\n" });
  const nameServers = new NameServers({ resolvers: [knot.address], authoritativePort: knot.port });
  const record = { asked: "one", name: "one.example.com", value: "value" };

  t.test("waitForPropagation() waits while nobody has the record", async (t) => {
    await t.rejects(waitForPropagation(record, nameServers, soon), { message: /ns2.example.com: does not answer/ });
  });

  t.test("waitForPropagation() passes it over when the others have the record", async (t) => {
    await knot.update('add one.example.com. 1 TXT "value"');
    await waitForPropagation(record, nameServers, patient);
    t.pass("settled");
  });
});

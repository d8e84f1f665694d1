/** Against a real Knot DNS. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { type Knot, startKnot } from "../testing/knot.ts";
import { DnsUpdate } from "./dns-update.ts";
import { NameServers } from "./name-servers.ts";
import { readTsigKey, type TsigKey } from "./tsig.ts";

const skip = missingPart("knot");
const { signal } = new AbortController();

function open(knot: Knot, key: TsigKey = knot.key) {
  const nameServers = new NameServers({ resolvers: [knot.address], authoritativePort: knot.port });
  const update = new DnsUpdate({ host: "127.0.0.1", port: knot.port }, key, nameServers);
  const texts = (name: string) => nameServers.textsAt("127.0.0.1", name, signal);
  return { update, texts };
}
const recordAt = (name: string, value: string) => ({ asked: name, name, value });

t.test("with a name server", { skip }, async (t) => {
  const knot = await startKnot(t);

  t.test("present() adds a value beside the others, and remove() takes that one back", async (t) => {
    const { update, texts } = open(knot);
    const name = "_acme-challenge.preview.one.example.com";
    const [first, second] = [recordAt(name, "first"), recordAt(name, "second")];
    await update.present(first, signal);
    await update.present(second, signal);
    await update.present(second, signal);
    t.strictSame((await texts(name)).sort(), ["first", "second"]);
    await update.remove(first, signal);
    t.strictSame(await texts(name), ["second"]);
    await update.remove(first, signal);
    await update.remove(second, signal);
    t.strictSame(await texts(name), []);
  });

  const refused: Record<string, { key: TsigKey; message: RegExp }> = {
    "another secret": { key: { ...knot.key, secret: Buffer.from("wrong") }, message: /BADSIG/ },
    "an unknown key": { key: { ...knot.key, name: "nobody" }, message: /BADKEY/ },
    "a key that may not": { key: { ...knot.key, name: "other" }, message: /the key may not do this \(BADKEY\)/ },
  };
  for (const [what, { key, message }] of Object.entries(refused)) {
    t.test(`present() says what is wrong with ${what}`, async (t) => {
      const { update, texts } = open(knot, key);
      await t.rejects(update.present(recordAt("a.example.com", "value"), signal), { message });
      t.strictSame(await texts("a.example.com"), []);
    });
  }

  t.test("present() names the server that does not answer", async (t) => {
    const nameServers = new NameServers({ resolvers: [knot.address], authoritativePort: knot.port });
    const update = new DnsUpdate({ host: "127.0.0.1", port: 1 }, knot.key, nameServers);
    await t.rejects(update.present(recordAt("a.example.com", "value"), signal), {
      message: /^the name server 127.0.0.1:1 does not take updates: .*ECONNREFUSED/,
    });
  });

  t.test("present() believes nobody who does not sign", async (t) => {
    const server = createServer((socket) => {
      socket.once("data", (request) => {
        const answer = request.subarray(0, 14);
        answer.writeUInt16BE(12, 0);
        answer.writeUInt16BE(0x8000 | (5 << 11), 4);
        answer.fill(0, 6);
        socket.end(answer);
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    t.teardown(() => server.close());
    const nameServers = new NameServers({ resolvers: [knot.address], authoritativePort: knot.port });
    const { port } = server.address() as AddressInfo;
    const update = new DnsUpdate({ host: "127.0.0.1", port }, knot.key, nameServers);
    await t.rejects(update.present(recordAt("a.example.com", "value"), signal), { message: /answer is not signed$/ });
  });

  t.test("present() believes no answer that somebody changed", async (t) => {
    const between = createServer((socket) => {
      const server = connect(knot.port, "127.0.0.1");
      socket.pipe(server);
      server.on("data", (answer) => {
        // A flag that says nothing here.
        answer[5] = answer[5]! ^ 0x20;
        socket.end(answer);
      });
    }).listen(0, "127.0.0.1");
    await once(between, "listening");
    t.teardown(() => between.close());
    const nameServers = new NameServers({ resolvers: [knot.address], authoritativePort: knot.port });
    const { port } = between.address() as AddressInfo;
    const update = new DnsUpdate({ host: "127.0.0.1", port }, knot.key, nameServers);
    await t.rejects(update.present(recordAt("b.example.com", "value"), signal), { message: /not signed with update$/ });
  });

  t.test("present() refuses a name that is in no zone", async (t) => {
    await t.rejects(open(knot).update.present(recordAt("a.example.org", "value"), signal), {
      message: /REFUSED|no zone/,
    });
  });
});

t.test("readTsigKey() reads what tsig-keygen and nsupdate write", async (t) => {
  t.match(readTsigKey("hmac-sha512:Update.Example.:c2VjcmV0"), { name: "update.example", algorithm: "hmac-sha512" });
  t.match(readTsigKey("update:c2VjcmV0"), { name: "update", algorithm: "hmac-sha256", secret: Buffer.from("secret") });
  for (const bad of ["", "update", "md5:update:c2VjcmV0", "hmac-sha256:update:***"])
    t.equal(readTsigKey(bad), undefined);
});

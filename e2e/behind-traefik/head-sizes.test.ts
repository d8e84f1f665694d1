import t from "tap";
import { answering, ok, RawClient } from "../../gateway/hazards/test-gateway.ts";
import { missingPart } from "../parts/parts.ts";
import { startEdge } from "./edge.ts";

/** Traefik's bounds on a head and the gateway's, one behind the other. */

const skip = missingPart("traefik");
const edge = skip ? undefined : await startEdge(t);

t.test("behind Traefik, a head of any size passes or is refused as what it is", { skip }, async (t) => {
  const host = await edge!.addApp(answering(() => ok));
  const mebibyte = 1 << 20;
  const statuses: Record<number, number> = {};
  for (const size of [
    1000,
    100_000,
    900_000,
    mebibyte - 2000,
    mebibyte,
    mebibyte + 2000,
    mebibyte + 3900,
    2 * mebibyte,
  ]) {
    const head = `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Large: `;
    const client = new RawClient(edge!.traefik.web).send(`${head}${"x".repeat(size - head.length)}\r\n\r\n`);
    await client.until(({ text, closed, ended }) => closed || ended || /(ok|})$/.test(text));
    t.equal(client.error, undefined, `${size} bytes: no reset`);
    statuses[size] = Number(client.text.slice(9, 12));
    client.socket.destroy();
  }
  t.match(statuses, { 1000: 200, 100000: 200, 900000: 200, [2 * mebibyte]: 431 });
  t.strictSame(new Set(Object.values(statuses)), new Set([200, 431]));
});

t.test(
  "behind Traefik, a target that is too long is 414, and more headers than anybody has 431",
  { skip },
  async (t) => {
    const host = await edge!.addApp(answering(() => ok));
    const requests = {
      414: `GET /${"x".repeat(600_000)} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      431: `GET / HTTP/1.1\r\nHost: ${host}\r\n${"a:\r\n".repeat(3000)}\r\n`,
    };
    for (const [status, bytes] of Object.entries(requests)) {
      const client = new RawClient(edge!.traefik.web).send(bytes);
      await client.until(({ text, closed, ended }) => closed || ended || text.endsWith("}"));
      t.match(client.text, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*X-Sandbox-Gateway: bad_request\r\n`));
      client.socket.destroy();
    }
  },
);

t.test("behind Traefik, an app's head may be as large as a client's", { skip }, async (t) => {
  const large = "x".repeat(900_000);
  const host = await edge!.addApp(answering(() => ok.replace("\r\n\r\n", `\r\nX-Large: ${large}\r\n\r\n`)));
  const client = new RawClient(edge!.traefik.web).send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text, length }) => length > 900_000 && text.endsWith("ok"));
  t.ok(client.text.includes(large));
  client.socket.destroy();
});

/** Every combination of entry point and TLS, with the real Traefik, as control configures it, before a gateway. */
import t, { type Test } from "tap";
import { echo } from "../../control/certificates/testing/client.ts";
import { missingPart } from "../parts/parts.ts";
import { ask, askText, protocols, type Way } from "./client.ts";
import { combinations, startEdge, type TestEdge } from "./edge.ts";
import { checksumOf, madeUpBytes } from "./made-up-bytes.ts";

const skip = missingPart("traefik");
// A gigabyte at a time, sixteen times over.
t.setTimeout(900_000);
const mebibyte = 2 ** 20;
const gibibyte = 2 ** 30;
const whole = await checksumOf(madeUpBytes(gibibyte));

for (const { entryPoint, tls } of combinations) {
  t.test(`${tls ? "with" : "without"} TLS on ${entryPoint}`, { skip }, async (t) => {
    const edge = await startEdge(t, { entryPoint, tls });
    for (const each of edge.ways) {
      const place = each.port === edge.traefik.web ? "web" : "websecure";
      await t.test(`WebSocket at ${place}`, async (t) => {
        const { port, host, ca } = each;
        t.equal(await echo(tls ? "wss" : "ws", port, host, ca), "echo hello");
      });
      for (const protocol of protocols) {
        const way = { ...each, protocol };
        const path = `${protocol} at ${place}`;
        await t.test(`requests over ${path}`, (t) => carriesRequests(t, way, tls));
        await t.test(`an event stream over ${path}`, (t) => streamsEvents(t, way, edge));
        await t.test(`headers at their limits over ${path}`, (t) => boundsHeaders(t, way));
        // Where the redirect leads, TLS is the same for both entry points.
        if (place === entryPoint) await t.test(`1 GB each way over ${path}`, (t) => carriesBodies(t, way));
      }
    }
    if (tls) await t.test("plain requests are sent to HTTPS", (t) => redirects(t, edge));
  });
}

async function carriesRequests(t: Test, way: Way, tls: boolean): Promise<void> {
  const { status, body } = await askText(way, { path: "/a?b=c", headers: { "x-app": "1" } });
  t.equal(status, 200);
  t.match(JSON.parse(body), {
    url: "/a?b=c",
    headers: { "x-app": "1", "x-forwarded-proto": tls ? "https" : "http", "x-forwarded-host": way.host },
  });
  t.equal((await askText({ ...way, host: `x.preview.example.com` }, { path: "/" })).status, 404, "no such sandbox");
}

async function streamsEvents(t: Test, way: Way, { app }: TestEdge): Promise<void> {
  const { body, headers } = await ask(way, { path: "/events" });
  t.equal(headers["content-type"], "text/event-stream");
  const events = body.setEncoding("utf8")[Symbol.asyncIterator]();
  t.equal((await events.next()).value, "data: hello\n\n", "the first comes while the answer goes on");
  app.emit("more");
  t.equal((await events.next()).value, "data: more\n\n", "and each as soon as there is one");
  body.destroy();
}

async function boundsHeaders(t: Test, way: Way): Promise<void> {
  const requestOf = (bytes: number) => {
    const names = Array.from({ length: 20 }, (_, index) => `x-part-${index}`);
    return Object.fromEntries(names.map((name) => [name, "a".repeat(bytes / names.length)]));
  };
  const passed = await askText(way, { path: "/", headers: requestOf(mebibyte - 10_000) });
  t.equal(passed.status, 200, "just below 1 MiB");
  t.ok(JSON.parse(passed.body).bytes > mebibyte - 10_000, "and all of it arrives");
  t.equal((await askText(way, { path: "/", headers: requestOf(mebibyte + 10_000) })).status, 431, "above it");
  const target = await askText(way, { path: `/${"a".repeat(520_000)}` });
  t.equal(JSON.parse(target.body).url.length, 520_001, "a target of half of that");
  t.equal((await askText(way, { path: `/${"a".repeat(530_000)}` })).status, 414, "and a longer one");
  // Nothing but the test's own client would keep HTTP/2 from more.
  const large = way.protocol === "HTTP/2" ? 60_000 : mebibyte - 10_000;
  const answer = await ask(way, { path: `/large-head?bytes=${large}` });
  t.equal(String(answer.headers["x-large"]).length, large, "an answer's");
  answer.body.resume();
}

async function carriesBodies(t: Test, way: Way): Promise<void> {
  const download = await ask(way, { path: `/bytes?count=${gibibyte}` });
  t.strictSame(await checksumOf(download.body), whole, "down");
  const headers = { "content-length": String(gibibyte) };
  const upload = await askText(way, { method: "PUT", path: "/checksum", headers, body: madeUpBytes(gibibyte) });
  t.strictSame(JSON.parse(upload.body), whole, "up");
}

async function redirects(t: Test, { traefik, host }: TestEdge): Promise<void> {
  for (const protocol of protocols) {
    const way = { protocol, port: traefik.web, host, ca: undefined };
    const { status, headers, body } = await ask(way, { path: "/a?b=c" });
    t.equal(status, 302);
    t.equal(headers.location, `https://${host}:${traefik.websecure}/a?b=c`);
    body.resume();
  }
}

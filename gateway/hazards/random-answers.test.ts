import t from "tap";
import { Random } from "./random.ts";
import type { Header } from "./strict-http.ts";
import { answering, dechunked, RawClient, startPreview } from "./test-gateway.ts";

const seed = 20_261_125;
const cases = 600;

const framings = ["length", "chunks", "end"] as const;
type Framing = (typeof framings)[number];
type Answer = { readonly status: number; readonly reason: string; readonly headers: readonly Header[] };

/** What the client gets of a sound answer is that answer, however it is framed and however the network cuts it. */
t.test("the client gets random answers as the app gave them, but for what is the connection's own", async (t) => {
  let parts: readonly string[] = [];
  let ends = false;
  const { port, host } = await startPreview(
    t,
    answering((_, socket) => {
      const [first = "", ...rest] = parts;
      const sayRest = () => {
        for (const part of rest) socket.write(part, "latin1");
        if (ends) socket.end();
      };
      socket.write(first, "latin1", () => setImmediate(sayRest));
      return undefined;
    }),
  );
  const random = new Random(seed);
  for (let index = 0; index < cases; index++) {
    const answer = randomAnswer(random);
    const body = random.pick([
      "",
      "ok",
      "0\r\n\r\n",
      "\0\xff\r\nHTTP/1.1 200 OK\r\n\r\n",
      "x".repeat(random.below(30_000)),
    ]);
    const method = random.pick(["GET", "GET", "POST", "HEAD"]);
    const hasBody = method !== "HEAD" && answer.status !== 204 && answer.status !== 304;
    const framing = random.pick(framings);
    ends = framing === "end";
    const bytes = asBytes(random, answer, framing, hasBody ? body : undefined);
    // The reason arrives in one piece: the HTTP client keeps the last part of it only.
    const line = bytes.indexOf("\r\n") + 2;
    const tail = random.cut(bytes.slice(line), 4);
    parts = [bytes.slice(0, line) + tail[0], ...tail.slice(1)];
    const client = new RawClient(port);
    client.send(`${method} / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    const text = await client.whole();
    const what = `case ${index}: ${JSON.stringify(bytes.slice(0, 1000))}`;
    if (!t.equal(client.error, undefined, what)) break;
    const end = text.indexOf("\r\n\r\n");
    const [statusLine, ...lines] = text.slice(0, end).split("\r\n");
    if (!t.equal(statusLine, `HTTP/1.1 ${answer.status} ${answer.reason}`, what)) break;
    const own = /^(connection|content-length|transfer-encoding):/i;
    const got = lines.filter((each) => !own.test(each));
    if (!t.strictSame(got, downstream(answer), what)) break;
    const isChunked = lines.some((each) => /^transfer-encoding: chunked$/i.test(each));
    const content = isChunked ? dechunked(text.slice(end + 4)) : text.slice(end + 4);
    if (!t.ok(content === (hasBody ? body : ""), `${what}: the body`)) break;
  }
});

const reasons = ["OK", "", "Not Found", "a b  c", "Gr\xc3\xbc\xc3\x9fe", "I'm a teapot"];
const names = [
  "X-A",
  "x-a",
  "X_b",
  "__proto__",
  "Set-Cookie",
  "ETag",
  "Vary",
  "Link",
  "Date",
  "Server",
  "Content-Type",
];
const values = ["", "1", "a b\tc", "\xe4\xff\x80", "a=b; Path=/", '"q"', "; ,:", "x".repeat(300), "HTTP/1.1 200 OK"];
const hops = ["Keep-Alive", "Proxy-Authenticate", "Trailer", "Upgrade", "X-Sandbox-Gateway", "Service-Worker-Allowed"];

function randomAnswer(random: Random): Answer {
  const status = random.pick([200, 200, 201, 204, 206, 301, 304, 404, 418, 500, 503, 599, 799]);
  const listed = random.some(3, () =>
    random.pick(["X-A", "etag", "Content-Length", "Set-Cookie", "keep-alive", "Upgrade"]),
  );
  const headers: Header[] = [
    ...random.some(8, (): Header => [random.pick(names), random.pick(values)]),
    ...random.some(2, (): Header => [random.pick(hops), random.pick(["1", "timeout=5", "h2c"])]),
    ...(listed.length > 0 ? [["Connection", listed.join(", ")] as const] : []),
  ];
  return { status, reason: random.pick(reasons), headers: random.shuffled(headers) };
}

/** `content`: what is behind the head, if anything may be. */
function asBytes(random: Random, answer: Answer, framing: Framing, content: string | undefined): string {
  const { status, reason, headers } = answer;
  const lines = headers.map(([name, value]) => `${name}:${random.pick(["", " ", "\t "])}${value}\r\n`);
  const framed = {
    length: `Content-Length: ${content?.length ?? 1234}\r\n`,
    chunks: "Transfer-Encoding: chunked\r\n",
    end: "",
  }[framing];
  // RFC 9110 §8.6, RFC 9112 §6.1: these two say nothing of a length.
  if (status !== 204 && status !== 304) lines.splice(random.below(lines.length + 1), 0, framed);
  const body = content !== undefined && framing === "chunks" ? chunks(random, content) : (content ?? "");
  return `HTTP/1.1 ${status} ${reason}\r\n${lines.join("")}\r\n${body}`;
}

function chunks(random: Random, content: string): string {
  const parts = random.cut(content, 4).filter((part) => part !== "");
  const sized = parts.map((part) => `${part.length.toString(16)}${random.pick(["", ";a=b"])}\r\n${part}\r\n`);
  return `${sized.join("")}0\r\n\r\n`;
}

const dropped = /^(connection|keep-alive|proxy-authenticate|trailer|upgrade|x-sandbox-gateway|service-worker-allowed)$/;

/** The lines that are left of an answer's on the way to the client, and the one that comes with each. */
function downstream({ headers }: Answer): string[] {
  const listed = headers
    .filter(([name]) => name === "Connection")
    .flatMap(([, value]) => value.split(",").map((option) => option.trim().toLowerCase()));
  const passed = headers.filter(([name]) => {
    const lower = name.toLowerCase();
    return !dropped.test(lower) && (!listed.includes(lower) || lower === "set-cookie");
  });
  return [...passed.map(([name, value]) => `${name}: ${value}`), "X-Robots-Tag: noindex"];
}

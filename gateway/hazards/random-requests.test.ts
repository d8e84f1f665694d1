import type { Socket } from "node:net";
import t from "tap";
import { Random } from "./random.ts";
import { type Header, readRequests, type StrictMessage, valuesOf } from "./strict-http.ts";
import { RawClient, startPreview } from "./test-gateway.ts";

const seed = 20_261_124;
const cases = 2000;

/** Only what a strict reading finds in the client's bytes may reach the app, and as that reading has it. */
t.test("what the app gets of random requests is what a strict reading makes of them", async (t) => {
  let heard = "";
  const { port, host } = await startPreview(t, (socket) => hear(socket, (bytes) => (heard += bytes)), {
    trustedProxies: ["10.0.0.0/8"],
  });
  const random = new Random(seed);
  let passed = 0;
  let refused = 0;
  for (let index = 0; index < cases; index++) {
    const sound = request(random, host);
    const isBroken = random.once(2);
    const bytes = `${isBroken ? broken(random, sound) : sound}GET /last HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    heard = "";
    const client = new RawClient(port);
    for (const part of random.cut(bytes, 2)) client.send(part);
    const strict = readRequests(bytes);
    const what = `case ${index}: ${JSON.stringify(bytes.slice(0, 2000))}`;
    const ours = strict.messages.filter(({ headers }) => isFor(host, headers));
    await client.until(({ ended, closed, text }) => {
      const answers = text.match(/^HTTP\/1\.1 [2-5]/gm)?.length ?? 0;
      return ended || closed || (strict.end === "more is needed" && answers >= strict.messages.length);
    });
    client.socket.destroy();
    const seen = readRequests(heard).messages.map(asText);
    const expected = ours.map((message) => asText(upstream(message)));
    // Whatever else it is, it is no other request.
    if (!t.strictSame(seen, expected.slice(0, seen.length), what)) break;
    if (!isBroken && !t.equal(seen.length, expected.length, `${what} is sound and passes`)) break;
    if (!t.notMatch(client.text, /^HTTP\/1\.1 5/m, `${what} is nobody's failure`)) break;
    if (seen.length < strict.messages.length || strict.end === "not HTTP") refused++;
    else passed++;
  }
  t.ok(passed > cases / 3, `${passed} passed whole`);
  t.ok(refused > cases / 10, `${refused} were refused`);
});

/** An app that answers each request when it is there whole. */
function hear(socket: Socket, take: (bytes: string) => void): void {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    const { messages, end } = readRequests(text);
    if (end !== "nothing is left") return;
    take(text);
    text = "";
    for (const { line } of messages) {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${line.startsWith("HEAD") ? "" : "ok"}`);
    }
  });
}

const methods = ["GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY"];
const paths = [
  "/",
  "//",
  "/a/../b",
  "/%2e%2E/%zz",
  "/a?b=c&b=%00",
  "/a;p=1?",
  "/?#".slice(0, 2),
  '/a|b{c}\\^`"<>',
  "/~!$&'()*+,;=:@",
];
const names = [
  "X-A",
  "x-a",
  "X-b",
  "x_c",
  "__proto__",
  "constructor",
  "Accept",
  "Range",
  "Cookie",
  "ETag",
  "Content-Type",
];
const values = ["", "1", "a b\tc", "\xe4\xff\x80", "a,b", '"q\\""', "; ,:", "x".repeat(300), "GET / HTTP/1.1"];
const hops = ["Keep-Alive", "TE", "Trailer", "Proxy-Connection", "Proxy-Authorization", "HTTP2-Settings"];
const claims = ["X-Forwarded-For", "X_Forwarded_For", "x-forwarded-proto", "Forwarded", "X-Real-IP", "True-Client-Ip"];
const options = [
  "keep-alive",
  "X-A",
  "x-b",
  "Cookie",
  "Host",
  "Content-Length",
  "X-Forwarded-For",
  "te",
  "\xe4",
  "",
  "Upgrade",
];

/** A request that nothing is wrong with. */
function request(random: Random, host: string): string {
  const method = random.pick(methods);
  const path = random.pick(paths);
  const authority = random.once(3) ? `${host}:${random.pick([80, 443, 8443])}` : host;
  const target = random.once(8) ? `http://${authority}${path}` : path;
  const version = random.once(10) ? "1.0" : "1.1";
  const lines = [
    `${random.pick(["Host", "host", "HOST"])}:${random.pick([" ", "", "\t ", "  "])}${authority}${random.pick(["", " "])}`,
    ...random.some(6, () => `${random.pick(names)}:${random.pick(["", " "])}${random.pick(values)}`),
    ...random.some(1, () => `${random.pick(hops)}: ${random.pick(["trailers", "h2c", "x"])}`),
    ...random.some(2, () => `${random.pick(claims)}: 6.6.6.6`),
    ...random.some(1, () => `Connection: ${random.some(4, () => random.pick(options)).join(random.pick([",", ", "]))}`),
  ];
  if (version === "1.0") lines.push("Connection: keep-alive");
  const body = random.pick(["", "", "body", "0\r\n\r\n", "\0\xff\r\n", "x".repeat(5000)]);
  const chunked = version === "1.1" && random.once(2);
  if (body !== "" || random.once(6))
    lines.push(chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`);
  const framed = chunked && lines.at(-1)!.startsWith("T") ? chunks(random, body) : body;
  return `${method} ${target} HTTP/${version}\r\n${random.shuffled(lines).join("\r\n")}\r\n\r\n${framed}`;
}

function chunks(random: Random, body: string): string {
  const parts = random.cut(body, 3).filter((part) => part !== "");
  const sized = parts.map((part) => {
    const size = part.length.toString(16).padStart(random.pick([1, 1, 4]), "0");
    return `${size}${random.pick(["", "", ";a=b", ';a="b c"'])}\r\n${part}\r\n`;
  });
  return `${sized.join("")}0\r\n${random.pick(["", "", "X-Sum: 1\r\n"])}\r\n`;
}

const odd = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "\x7f",
  "\x80",
  "\x0b",
  "0",
  "-",
  "+",
  "#",
  "\r\n ",
  "\r\n\r\n",
];
const framings = [
  "Content-Length: 4",
  "Content-Length: 04",
  "Content-Length: +4",
  "Content-Length: 4, 4",
  "Content_Length: 4",
];
const encodings = [
  "chunked",
  "Chunked",
  "chunked, chunked",
  "gzip, chunked",
  "identity",
  "\x0bchunked",
  "chunked;q=1",
  "",
];

/** The same with one or two things in it that do not belong there. */
function broken(random: Random, sound: string): string {
  let text = sound;
  for (let count = 1 + random.below(2); count > 0; count--) {
    const head = text.indexOf("\r\n\r\n");
    const lineEnd = text.indexOf("\r\n") + 2;
    const at = random.below(random.once(2) ? text.length : head);
    switch (random.below(5)) {
      case 0:
        text = text.slice(0, at) + random.pick(odd) + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at + 1 + random.below(3));
        break;
      case 2:
        text = text.slice(0, at) + random.pick(odd) + text.slice(at + 1);
        break;
      case 3:
        text = `${text.slice(0, lineEnd)}${random.pick(framings)}\r\n${text.slice(lineEnd)}`;
        break;
      default: {
        const name = random.pick(["Transfer-Encoding", "transfer-encoding ", "Transfer_Encoding", "Transfer-Encoding"]);
        text = `${text.slice(0, lineEnd)}${name}: ${random.pick(encodings)}\r\n${text.slice(lineEnd)}`;
      }
    }
  }
  return text;
}

function isFor(host: string, headers: readonly Header[]): boolean {
  const [name = "", port] = valuesOf(headers, "host")[0]!.split(":");
  return name.toLowerCase() === host && (port === undefined || /^[0-9]+$/.test(port));
}

const dropped =
  /^(connection|keep-alive|te|trailer|upgrade|transfer-encoding|content-length|host|expect|forwarded|http2-settings|true-client-ip|x-real-ip|proxy-connection|proxy-authorization|x-forwarded-(?:for|proto))$/;
const kept = /^(cookie|authorization|content-type|origin)$/;

/** What a request becomes on its way to the app. */
function upstream({ line, headers, body }: StrictMessage): StrictMessage {
  const [method, target] = line.split(/ +/) as [string, string];
  const path = target.replace(/^https?:\/\/[^/?]*/i, "");
  const host = valuesOf(headers, "host")[0]!;
  const listed = valuesOf(headers, "connection")
    .join()
    .split(",")
    .map((option) => option.trim().toLowerCase());
  const passed = headers.filter(([name]) => {
    const lower = name.toLowerCase();
    return !dropped.test(lower.replaceAll("_", "-")) && (!listed.includes(lower) || kept.test(lower));
  });
  const forwarded: Header[] = [
    ["X-Forwarded-For", "127.0.0.1"],
    ["X-Forwarded-Proto", "http"],
    ["X-Forwarded-Host", host],
    ["X-Forwarded-Port", host.split(":")[1] ?? "80"],
    ["X-Real-Ip", "127.0.0.1"],
  ];
  const own: Header[] = [
    ["host", "localhost:3000"],
    ["connection", "keep-alive"],
  ];
  return {
    line: `${method} ${path.startsWith("/") ? path : `/${path}`} HTTP/1.1`,
    headers: [...own, ...passed, ...forwarded],
    body,
  };
}

/** A request with its body, but for how that is framed. */
function asText({ line, headers, body }: StrictMessage): string {
  const lines = headers.filter(([name]) => !/^(content-length|transfer-encoding)$/i.test(name));
  return [line, ...lines.map((header) => header.join(": ")), "", body].join("\n");
}

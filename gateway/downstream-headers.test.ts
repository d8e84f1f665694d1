import t from "tap";
import { confinedCookie, type DownstreamPolicy, downstreamHeaders } from "./downstream-headers.ts";

const policy: DownstreamPolicy = { noindex: false, host: "A.preview.example:8443" };

/** What the client gets of these header lines of an app's. */
function passed(lines: readonly string[], status = 200, more: Partial<DownstreamPolicy> = {}): string[] {
  const raw = lines.flatMap((line) => {
    const colon = line.indexOf(":");
    return [Buffer.from(line.slice(0, colon), "latin1"), Buffer.from(line.slice(colon + 1).trim(), "latin1")];
  });
  const headers = downstreamHeaders(raw, status, { ...policy, ...more });
  return headers.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${headers[index + 1]}`] : []));
}

t.test("downstreamHeaders() keeps order, spelling, duplicates and bytes", async (t) => {
  const lines = ["X-b: 1", "x-A: \xe4\xff", "X-b: 2", "Set-Cookie: a=b", "Set-Cookie: c=d", "__proto__: x", "Date: x"];
  t.strictSame(passed(lines), lines);
  t.strictSame(passed([]), []);
});

t.test("downstreamHeaders() drops what belongs to the connection", async (t) => {
  const lines = [
    ...["Connection: X-Hop, close", "X-HOP: 1", "connection: x-other", "X-Other: 2", "Keep-Alive: timeout=5"],
    ...["Transfer-Encoding: chunked", "Trailer: X", "Upgrade: h2c", "Proxy-Authenticate: Basic", "TE: x"],
  ];
  t.strictSame(passed([...lines, "X-End: 1"]), ["X-End: 1"]);
});

t.test("downstreamHeaders() lets Connection list neither the length nor cookies away", async (t) => {
  const lines = ["Content-Length: 5", "Set-Cookie: a=b"];
  t.strictSame(passed(["Connection: Content-Length, Set-Cookie", ...lines]), lines);
});

t.test("downstreamHeaders() drops what only the gateway says", async (t) => {
  t.strictSame(passed(["X-Sandbox-Gateway: x", "x-sandbox-STATE: asleep", "Service-Worker-Allowed: /"]), []);
});

t.test("downstreamHeaders() announces no length where no body may be", async (t) => {
  for (const status of [100, 103, 204]) t.strictSame(passed(["Content-Length: 5"], status), [], String(status));
  for (const status of [200, 206, 304, 404]) {
    t.strictSame(passed(["Content-Length: 5"], status), ["Content-Length: 5"], String(status));
  }
});

t.test("downstreamHeaders() asks robots to stay away unless the app or the sandbox says otherwise", async (t) => {
  t.strictSame(passed(["X: 1"], 200, { noindex: true }), ["X: 1", "X-Robots-Tag: noindex"]);
  t.strictSame(passed(["x-robots-tag: all"], 200, { noindex: true }), ["x-robots-tag: all"]);
  t.strictSame(passed(["X: 1"], 103, { noindex: true }), ["X: 1"]);
  t.strictSame(passed(["X: 1"], 200, { noindex: false }), ["X: 1"]);
});

t.test("confinedCookie() takes a Domain away that reaches beyond the host", async (t) => {
  const cookies: Record<string, string> = {
    "a=b": "a=b",
    "a=b; Path=/; Secure": "a=b; Path=/; Secure",
    "a=b; Domain=preview.example": "a=b",
    "a=b; domain=.preview.example; Path=/": "a=b; Path=/",
    "a=b;DOMAIN = example;HttpOnly": "a=b;HttpOnly",
    "a=b; Domain=example; Domain=a.preview.example": "a=b; Domain=a.preview.example",
    "a=b; Domain=a.preview.example; Domain=example": "a=b; Domain=a.preview.example",
    "a=b; Domain=A.Preview.Example; Path=/": "a=b; Domain=A.Preview.Example; Path=/",
    "a=b; Domain=.a.preview.example": "a=b; Domain=.a.preview.example",
    "a=b; Domain=b.a.preview.example": "a=b",
    'a=b; Domain="preview.example"': "a=b",
    "a=b; Domain=": "a=b",
    "domain=x; Path=/": "domain=x; Path=/",
    "a=domain; x-domain=example": "a=domain; x-domain=example",
  };
  for (const [cookie, expected] of Object.entries(cookies)) {
    t.equal(confinedCookie(cookie, "a.preview.example"), expected, cookie);
    t.strictSame(passed([`Set-Cookie: ${cookie}`]), [`Set-Cookie: ${expected}`]);
  }
});

t.test("downstreamHeaders() lets no app clear the cookies of other hosts", async (t) => {
  const cleared = (value: string) => passed([`Clear-Site-Data: ${value}`])[0]!;
  t.equal(cleared('"cache", "storage"'), 'Clear-Site-Data: "cache", "storage"');
  t.equal(cleared('"cookies", "cache"'), 'Clear-Site-Data: "cache"');
  t.notMatch(cleared('"*"'), /cookies|\*/);
});

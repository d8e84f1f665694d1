import t from "tap";
import { type RequestLines, requestOf } from "./hazards/test-request.ts";
import { readRequestHead } from "./request-head.ts";

const host = "Host: a.example";

t.test("readRequestHead() takes a request in origin form as it stands", async (t) => {
  for (const target of ["/", "//a", "/a/../b?c=%zz&d", "/a|b\\c{}", "/\xe4", "/?", "/http://b.example/"]) {
    t.strictSame(readRequestHead(requestOf({ target, headers: ["Host: A.example:8080"] })), {
      host: "A.example:8080",
      target,
      body: { kind: "none" },
    });
  }
});

t.test("readRequestHead() makes an absolute target of the same host one in origin form", async (t) => {
  const targets = {
    "http://a.example/b?c": "/b?c",
    "https://A.EXAMPLE/b": "/b",
    "HTTP://a.example": "/",
    "http://a.example?c": "/?c",
  };
  for (const [target, expected] of Object.entries(targets)) {
    t.match(readRequestHead(requestOf({ target, headers: [host] })), { host: "a.example", target: expected });
  }
});

t.test("readRequestHead() tells how a body is framed", async (t) => {
  const framings = [
    [[], { kind: "none" }],
    [["Content-Length: 0"], { kind: "none" }],
    [["content-length: 5"], { kind: "length", length: 5 }],
    [["CONTENT-LENGTH: 0000000000005"], { kind: "length", length: 5 }],
    [["Transfer-Encoding: chunked"], { kind: "chunked" }],
    [["transfer-encoding: CHUNKED"], { kind: "chunked" }],
  ] as const;
  for (const [lines, body] of framings) {
    t.match(readRequestHead(requestOf({ method: "POST", headers: [host, ...lines] })), { body }, lines.join());
  }
});

t.test("readRequestHead() takes HTTP/1.0", async (t) => {
  t.match(readRequestHead(requestOf({ version: "1.0", headers: [host] })), { host: "a.example", target: "/" });
});

t.test("readRequestHead() takes so many headers and no more", async (t) => {
  const headers = (count: number) => [host, ...Array.from({ length: count - 1 }, (_, index) => `X-${index}: a`)];
  t.match(readRequestHead(requestOf({ headers: headers(2000) })), { host: "a.example" });
  t.match(readRequestHead(requestOf({ headers: headers(2001) })), { problem: /too many/, status: 431 });
});

const refused: Readonly<Record<string, RequestLines & { readonly says: RegExp }>> = {
  "HTTP/1.2": { version: "1.2", headers: [host], says: /HTTP\/1\.1/ },
  "HTTP/2.0": { version: "2.0", headers: [host], says: /HTTP\/1\.1/ },
  CONNECT: { method: "CONNECT", target: "a.example:443", headers: [host], says: /CONNECT/ },
  TRACE: { method: "TRACE", headers: [host], says: /TRACE/ },
  "no Host": { says: /no Host/ },
  "an empty Host": { headers: ["Host:"], says: /no Host/ },
  "two equal Hosts": { headers: [host, host], says: /more than one Host/ },
  "two Hosts in different case": { headers: [host, "HOST: a.example"], says: /more than one Host/ },
  "two equal lengths": {
    headers: [host, "Content-Length: 5", "Content-Length: 5"],
    says: /more than one Content-Length/,
  },
  "two lengths": { headers: [host, "Content-Length: 5", "content-length: 6"], says: /more than one Content-Length/ },
  "an underscored length": { headers: [host, "Content_Length: 5"], says: /Content_Length/ },
  "an underscored encoding": { headers: [host, "Transfer_Encoding: chunked"], says: /Transfer_Encoding/ },
  "a list of lengths": { headers: [host, "Content-Length: 5, 5"], says: /not a number/ },
  "a negative length": { headers: [host, "Content-Length: -5"], says: /not a number/ },
  "a signed length": { headers: [host, "Content-Length: +5"], says: /not a number/ },
  "a hexadecimal length": { headers: [host, "Content-Length: 0x5"], says: /not a number/ },
  "an empty length": { headers: [host, "Content-Length:"], says: /not a number/ },
  "a length beyond what a double holds": { headers: [host, "Content-Length: 99999999999999999"], says: /not a number/ },
  "an encoding beside a length": { headers: [host, "Content-Length: 5", "Transfer-Encoding: chunked"], says: /both/ },
  "two encodings": {
    headers: [host, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    says: /more than one/,
  },
  "a list of encodings": { headers: [host, "Transfer-Encoding: gzip, chunked"], says: /other than chunked/ },
  "chunked twice": { headers: [host, "Transfer-Encoding: chunked, chunked"], says: /other than chunked/ },
  "an unknown encoding": { headers: [host, "Transfer-Encoding: identity"], says: /other than chunked/ },
  "an empty encoding": { headers: [host, "Transfer-Encoding:"], says: /other than chunked/ },
  "a vertical tab before chunked": { headers: [host, "Transfer-Encoding: \x0bchunked."], says: /other than chunked/ },
  "an encoding in HTTP/1.0": { version: "1.0", headers: [host, "Transfer-Encoding: chunked"], says: /HTTP\/1\.0/ },
  "OPTIONS *": { method: "OPTIONS", target: "*", headers: [host], says: /neither a path nor/ },
  "a relative target": { target: "a", headers: [host], says: /neither a path nor/ },
  "an empty target": { target: "", headers: [host], says: /neither a path nor/ },
  "authority form": { target: "a.example:443", headers: [host], says: /neither a path nor/ },
  "another scheme": { target: "ftp://a.example/", headers: [host], says: /neither a path nor/ },
  "a fragment": { target: "/a#b", headers: [host], says: /neither a path nor/ },
  "a blank": { target: "/a b", headers: [host], says: /neither a path nor/ },
  "a control byte": { target: "/a\x01b", headers: [host], says: /neither a path nor/ },
  "a delete byte": { target: "/a\x7fb", headers: [host], says: /neither a path nor/ },
  "an absolute target of another host": { target: "http://b.example/", headers: [host], says: /another host/ },
  "an absolute target of another port": { target: "http://a.example:81/", headers: [host], says: /another host/ },
  "an absolute target with a user": { target: "http://u@a.example/", headers: [host], says: /another host/ },
  "an absolute target without a Host": { target: "http://a.example/", says: /another host/ },
  "an absolute target with a fragment": { target: "http://a.example/#b", headers: [host], says: /malformed/ },
  "an absolute target with a control byte": { target: "http://a.example/\x01", headers: [host], says: /malformed/ },
};

for (const [what, { says, ...lines }] of Object.entries(refused)) {
  t.test(`readRequestHead() refuses ${what}`, async (t) => {
    t.match(readRequestHead(requestOf(lines)), { problem: says });
  });
}

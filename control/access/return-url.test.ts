import t from "tap";
import { readReturnUrl } from "./return-url.ts";

const origin = { domain: "example.com", scheme: "https", publicPort: 443 } as const;
const host = "s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com";

t.test("readReturnUrl() takes previews as they are written", async (t) => {
  for (const [text, href] of [
    [`https://${host}`, `https://${host}/`],
    [`https://${host}/`, `https://${host}/`],
    [`https://${host}:443/a?b=c#d`, `https://${host}/a?b=c#d`],
    [`https://${host.toUpperCase()}/a`, `https://${host}/a`],
    [`https://${host}/?next=https://evil.example//x`, `https://${host}/?next=https://evil.example//x`],
    [`https://${host}//evil.example`, `https://${host}//evil.example`],
  ] as const) {
    t.match(readReturnUrl(text, origin), { id: "01JB2Q8Z6X3V9K4M7N0P5R1S2T", port: 3000, href }, text);
  }
  const local = { domain: "localhost", scheme: "http", publicPort: 8080 } as const;
  const there = host.replace("example.com", "localhost");
  t.ok(readReturnUrl(`http://${there}:8080/`, local));
  t.notOk(readReturnUrl(`http://${there}/`, local));
});

t.test("readReturnUrl() takes nothing else", async (t) => {
  for (const text of [
    "",
    "/",
    "/path",
    "//evil.example",
    `//${host}/`,
    "https://evil.example/",
    `https://evil.example/${host}`,
    `https://evil.example/?x=https://${host}/`,
    `https://evil.example#@${host}/`,
    `https://${host}.evil.example/`,
    `https://${host}@evil.example/`,
    `https://user:pw@${host}/`,
    `https://@${host}/`,
    `https://evil.example\\@${host}/`,
    `https:\\\\${host}/`,
    `https:/${host}/`,
    `https:${host}/`,
    `https:///${host}/`,
    `http://${host}/`,
    `https://${host}:8443/`,
    `https://${host}:443:443/`,
    `https://${host}./`,
    `ftp://${host}/`,
    "javascript:alert(1)",
    `javascript://${host}/%0aalert(1)`,
    `data:text/html,https://${host}/`,
    `https://${host}\t/`,
    `ht\ntps://${host}/`,
    ` https://${host}/`,
    `https://${host}/\r\nX-Evil: 1`,
    `https://${host.replace("-3000", "-03000")}/`,
    `https://${host.replace("-3000", "-70000")}/`,
    `https://${host.replace("01jb", "91jb")}/`,
    "https://api.preview.example.com/",
    "https://preview.example.com/",
    "https://example.com/",
    `https://x.${host}/`,
    `https://${host.replace("preview.", "preview.evil.")}/`,
    `https://${host.replace("s-", "ѕ-")}/`,
    `https://%73-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com/`,
    `https://[::1]/`,
    `https://127.0.0.1/`,
    `https://${host}/${"x".repeat(5000)}`,
  ]) {
    t.equal(readReturnUrl(text, origin), undefined, JSON.stringify(text));
  }
});

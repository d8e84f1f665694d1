import t from "tap";
import { notReturnUrls } from "../testing/return-urls.ts";
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
  for (const text of notReturnUrls(host)) {
    t.equal(readReturnUrl(text, origin), undefined, JSON.stringify(text));
  }
});

import t from "tap";
import { type AskingPage, comesFromOwnHost, isForeignPage } from "./asking-page.ts";
import type { SandboxId } from "./sandbox-id.ts";

const own = "s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com";
const sibling = own.replace("01jb", "01jc");
const preview = {
  id: "01JB2Q8Z6X3V9K4M7N0P5R1S2T" as SandboxId,
  domain: "example.com",
  origins: ["https://builder.example", "*"],
};
const nothing = { method: "GET", host: own, origin: undefined, referer: undefined, site: undefined, mode: undefined };
const isForeign = (said: Partial<AskingPage>) => isForeignPage({ ...nothing, ...said }, preview);

t.test("isForeignPage() knows programs, a sandbox's own pages, and those of listed origins", async (t) => {
  const known: readonly Partial<AskingPage>[] = [
    {},
    { method: "POST" },
    { site: "none", mode: "navigate" },
    { site: "same-origin", mode: "no-cors" },
    { site: "same-origin", mode: "cors", method: "POST", origin: `https://${own}` },
    { origin: `https://${own}`, mode: "websocket" },
    { origin: `https://${own.toUpperCase()}` },
    { host: `${own}:8443`, origin: `https://${own}:8443` },
    { origin: `https://${own.replace("-3000", "-8000")}`, site: "same-site", mode: "cors", method: "PUT" },
    { referer: `https://${own.replace("-3000", "-8000")}/a?b`, site: "same-site", mode: "no-cors" },
    { origin: "https://builder.example", site: "cross-site", mode: "cors", method: "DELETE" },
    { referer: "https://builder.example/", site: "cross-site", mode: "no-cors" },
    // What an own page asked for by way of somebody else.
    { referer: `https://${own}/`, site: "cross-site", mode: "no-cors" },
  ];
  for (const said of known) t.equal(isForeign(said), false, JSON.stringify(said));
});

t.test("isForeignPage() lets everybody follow a link", async (t) => {
  for (const site of ["same-site", "cross-site"]) {
    t.equal(isForeign({ site, mode: "navigate" }), false);
    t.equal(isForeign({ site, mode: "navigate", method: "HEAD", referer: `https://${sibling}/` }), false);
  }
});

t.test("isForeignPage() tells siblings, strangers and whoever will not say", async (t) => {
  const foreign: readonly Partial<AskingPage>[] = [
    { origin: `https://${sibling}` },
    { origin: `https://${sibling}`, mode: "websocket", site: "same-site" },
    { origin: "https://evil.example", mode: "websocket" },
    { origin: "null", mode: "websocket" },
    { origin: "null", site: "same-origin", method: "POST" },
    { origin: "" },
    { origin: "https://builder.example.evil.example" },
    { origin: "https://builder.example:8443" },
    { origin: "http://builder.example" },
    { origin: `https://${own}.evil.example` },
    { origin: `https://${own}@evil.example` },
    { origin: `https://x.${own}` },
    { origin: `ftp://${own}` },
    { origin: "https://api.preview.example.com" },
    { origin: "https://preview.example.com" },
    { site: "same-site", mode: "no-cors" },
    { site: "cross-site", mode: "no-cors" },
    { site: "same-site", mode: "no-cors", referer: `https://${sibling}/` },
    { site: "same-site", mode: "no-cors", referer: `https://${sibling}/https://${own}/` },
    { site: "same-site", mode: "no-cors", referer: "about:blank" },
    { site: "same-site", mode: "navigate", method: "POST", origin: `https://${sibling}` },
    { site: "cross-site", mode: "navigate", method: "POST", origin: "null" },
    { site: "cross-site", mode: "navigate", method: "POST" },
    { site: "other", mode: "no-cors" },
  ];
  for (const said of foreign) t.equal(isForeign(said), true, JSON.stringify(said));
});

t.test("comesFromOwnHost() takes the browser's word first, and a program's silence", async (t) => {
  for (const [site, origin, expected] of [
    ["same-origin", "null", true],
    ["same-origin", "https://evil.example", true],
    ["same-site", `https://${own}`, false],
    ["cross-site", undefined, false],
    ["none", undefined, false],
    [undefined, undefined, true],
    [undefined, "null", true],
    [undefined, `https://${own}`, true],
    [undefined, `https://${sibling}`, false],
    [undefined, "", false],
  ] as const) {
    t.equal(comesFromOwnHost({ host: own.toUpperCase(), origin, site }), expected, `${site} ${origin}`);
  }
});

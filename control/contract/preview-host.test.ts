import t from "tap";
import { apiUrl, formatApiHost, formatPreviewHost, parseHost, previewUrl } from "./preview-host.ts";
import { parseSandboxId } from "./sandbox-id.ts";

const id = parseSandboxId("01JB2Q8Z6X3V9K4M7N0P5R1S2T")!;
const domain = "example.com";
const host = "s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com";
const kind = (header: string | undefined) => parseHost(header, domain).kind;

t.test("parseHost() reads a preview host in any case, with or without a port", async (t) => {
  for (const header of [host, host.toUpperCase(), `${host}:8443`, `${host}:0`]) {
    t.same(parseHost(header, domain), { kind: "preview", id, port: 3000 }, header);
  }
  t.equal(kind("API.preview.example.com:443"), "api");
});

t.test("parseHost() takes every port in plain decimal and no other", async (t) => {
  const at = (port: string) => parseHost(host.replace("-3000", `-${port}`), domain);
  t.match(at("1"), { port: 1 });
  t.match(at("65535"), { port: 65_535 });
  for (const port of ["0", "00", "01", "65536", "99999", "100000", "+1", "1e3", "0x10", ""])
    t.not(at(port).kind, "preview", port);
});

t.test("parseHost() tells a name of ours that is no preview from a stranger's", async (t) => {
  for (const name of [
    "x.preview.example.com",
    "s-x-3000.preview.example.com",
    `a.${host}`,
    `x${host}`,
    "api2.preview.example.com",
  ]) {
    t.equal(kind(name), "unknown", name);
  }
  for (const name of [
    "example.com",
    "preview.example.com",
    `${host}.evil.com`,
    "localhost",
    "127.0.0.1",
    "[::1]:80",
    host.replace("example", "examp1e"),
  ]) {
    t.equal(kind(name), "outside", name);
  }
});

t.test("parseHost() calls malformed what is no host", async (t) => {
  const bad = [
    undefined,
    "",
    `${host}.`,
    `${host}:`,
    `${host}:x`,
    `${host}:65536`,
    `${host}:80:80`,
    `u@${host}`,
    `${host}/`,
    ` ${host}`,
    "a b",
    "a..b",
    "-a.com",
    "a,b",
    "x".repeat(301),
    "[::1",
    "é.com",
  ];
  for (const header of bad) t.equal(kind(header), "malformed", String(header));
});

t.test("formatPreviewHost() and parseHost() are each other's inverse", async (t) => {
  t.equal(formatPreviewHost(id, 3000, domain), host);
  t.same(parseHost(formatPreviewHost(id, 65_535, domain), domain), { kind: "preview", id, port: 65_535 });
  t.equal(kind(formatApiHost(domain)), "api");
});

t.test("previewUrl() carries the public port when it is not the scheme's own", async (t) => {
  const url = (scheme: "http" | "https", publicPort: number) => previewUrl({ domain, scheme, publicPort }, id, 3000);
  t.equal(url("https", 443), `https://${host}/`);
  t.equal(url("http", 80), `http://${host}/`);
  t.equal(url("https", 80), `https://${host}:80/`);
  t.equal(url("http", 8080), `http://${host}:8080/`);
  t.equal(apiUrl({ domain, scheme: "https", publicPort: 8443 }), "https://api.preview.example.com:8443");
});

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { dynamicFiles } from "../../control/certificates/dynamic-files.ts";
import type { Answer } from "../http.ts";
import { type Loaded, readDynamicFiles, type TraefikFacts } from "./traefik.ts";
import { judgeTraefik, ours } from "./traefik-verdicts.ts";

const answer = (status: number, body: string): Answer => ({ status, headers: {}, body });
const rule = "Host(`*.preview.example.com`) && !Host(`api.preview.example.com`)";
const previews = { rule, status: "enabled", entryPoints: ["websecure"] };
const api = { rule: "Host(`api.preview.example.com`)", status: "enabled", entryPoints: ["websecure"] };
const loaded: Loaded = {
  routers: { "previews@file": previews, "api@file": api, "ping@internal": { rule: "x", status: "enabled" } },
  services: { "gateway@file": { serverStatus: { "http://127.0.0.1:8080": "UP", "http://127.0.0.1:8081": "UP" } } },
  entryPoints: [
    { name: "web", address: ":80" },
    { name: "websecure", address: ":443" },
  ],
};
const fileOf = (name: string, router: typeof previews) => ({
  name: `${name}.yml`,
  content: { http: { routers: { [name]: { rule: router.rule, entryPoints: router.entryPoints } } } },
});
const files = [fileOf("previews", previews), fileOf("api", api), { name: "certificate.yml", content: { tls: {} } }];
const facts: TraefikFacts = { ping: answer(200, "OK"), loaded, files };
const config = {
  domain: "example.com",
  tls: true,
  internalBind: { host: "127.0.0.1", port: 8082 },
  trustedProxies: [] as string[],
  proxyProtocol: false,
  http3: false,
  dynamicDirectory: "/data/dynamic",
};
const with_ = (changes: Partial<Loaded>): Partial<TraefikFacts> => ({ loaded: { ...loaded, ...changes } });
const bad = { name: "extra.yml", content: undefined, problem: "Nested mappings are not allowed" };
const { "api@file": _, ...withoutApi } = loaded.routers;

const table: [name: string, facts: Partial<TraefikFacts>, config: Partial<typeof config>, expected: object[]][] = [
  ["one that has loaded everything", {}, {}, [{ status: "ok" }]],
  [
    "none",
    { ping: { silence: "ECONNREFUSED" }, loaded: { silence: "ECONNREFUSED" } },
    {},
    [{ status: "fail", mend: /up -d traefik/ }],
  ],
  ["one that ends", { ping: answer(503, "") }, {}, [{ status: "fail", message: /about to end/ }]],
  ["another program", { ping: answer(200, "hello") }, {}, [{ status: "fail", mend: /ss -ltnp/ }]],
  [
    "one that has loaded nothing",
    { loaded: { silence: "404" } },
    {},
    [{ status: "fail", message: /none of control's/ }],
  ],
  [
    "another domain",
    { files: [] },
    { domain: "example.org" },
    [{ status: "fail", message: /other previews than \*\.preview\.example\.org/ }],
  ],
  [
    "no previews",
    { ...with_({ routers: { "api@file": api } }), files: [] },
    {},
    [{ status: "fail", message: /no route/ }],
  ],
  [
    "a route out of order",
    with_({ routers: { ...loaded.routers, "api@file": { ...api, status: "disabled", error: ["no service"] } } }),
    {},
    [{ status: "fail", message: /api@file is out of order: no service/ }],
  ],
  [
    "frozen files",
    { files: [...files.slice(1), fileOf("previews", { ...previews, rule: "Host(`*.preview.example.com`)" })] },
    {},
    [{ status: "fail", message: /older previews\.yml/ }],
  ],
  [
    "a file that freezes the others",
    { files: [...files, bad] },
    {},
    [{ status: "fail", message: /extra\.yml is not YAML.*Nested/, mend: "rm /data/dynamic/extra.yml" }],
  ],
  [
    "an empty file",
    { files: [...files, { name: "sub/.x.yaml", content: null }] },
    {},
    [{ status: "fail", mend: "rm /data/dynamic/sub/.x.yaml" }],
  ],
  [
    "a file of somebody else",
    { files: [...files, { name: "wake.yml", content: { http: {} } }] },
    {},
    [{ status: "ok" }, { status: "warn", mend: "rm /data/dynamic/wake.yml" }],
  ],
  ["files that nobody may see", { files: undefined }, {}, [{ status: "fail" }]],
  [
    "an API off the edge",
    { ...with_({ routers: withoutApi }), files: files.filter(({ name }) => name !== "api.yml") },
    {},
    [{ status: "ok" }, { status: "warn", message: /off the edge/ }],
  ],
  [
    "one gateway of two",
    with_({ services: { "gateway@file": { serverStatus: { "http://a": "UP", "http://b": "DOWN" } } } }),
    {},
    [{ status: "ok" }, { status: "warn", message: /no gateway at http:\/\/b/ }],
  ],
  [
    "no gateway",
    with_({ services: { "gateway@file": { serverStatus: { "http://a": "DOWN" } } } }),
    {},
    [{ status: "fail", message: /no gateway at http:\/\/a/ }],
  ],
  [
    "proxies that it was not told of",
    {},
    { trustedProxies: ["10.0.0.0/8"] },
    [
      { status: "fail", message: /web trusts nobody instead of 10\.0\.0\.0\/8/, mend: /up -d traefik/ },
      { status: "fail", message: /websecure trusts/ },
    ],
  ],
  ["another PROXY protocol", {}, { proxyProtocol: true }, [{ status: "fail" }, { status: "fail" }]],
  ["another HTTP/3", {}, { http3: true }, [{ status: "fail", message: /HTTP\/3/ }]],
  ["entry points of somebody else", with_({ entryPoints: [] }), {}, [{ status: "fail" }, { status: "fail" }]],
];

for (const [name, changes, settings, expected] of table) {
  t.test(`judgeTraefik() of ${name}`, async (t) => {
    const verdicts = judgeTraefik({ ...facts, ...changes }, { ...config, ...settings });
    t.match(verdicts, expected);
    t.equal(verdicts.length, expected.length);
  });
}

t.test("judgeTraefik() knows control's files by the names that control gives them", async (t) => {
  t.strictSame([...ours].sort(), Object.values(dynamicFiles).sort());
});

t.test("readDynamicFiles() finds what Traefik would read, and what is wrong with it", async (t) => {
  const directory = t.testdir({ sub: { "a.yaml": "http: {}" }, ".hidden.yml": "a: [", "b.toml": "x", "note.txt": "" });
  await writeFile(join(directory, "empty.yml"), "");
  const found = await readDynamicFiles(directory);
  t.match(
    found!.toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    [
      { name: ".hidden.yml", content: undefined, problem: String },
      { name: "b.toml", content: {} },
      { name: "empty.yml", content: null },
      { name: join("sub", "a.yaml"), content: { http: {} } },
    ],
  );
  t.equal(await readDynamicFiles(join(directory, "none")), undefined);
});

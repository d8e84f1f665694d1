import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { isConfiguration, problemOf } from "./foreign-file.ts";
import { ask } from "./testing/client.ts";
import { eventually, startTraefik } from "./testing/traefik.ts";

const router = "a: {rule: Host(`a.example`), service: noop@internal}";

/** What Traefik takes, with whatever warnings, and with what it takes no change of the directory any more. */
const taken: readonly (readonly [string, string])[] = [
  ["a.yml", `http:\n  routers:\n    ${router}\n`],
  ["a.yml", `HTTP:\n  Routers:\n    ${router}\n`],
  ["a.yml", "http:\n  routers:\n    a:\n      rule: Host(`a.example`)\n      service: nowhere\n      priority: 3\n"],
  [
    "a.yml",
    "http:\n  routers:\n    a: {rule: nonsense, service: noop@internal, tls: {}, observability: {metrics: false}}\n",
  ],
  ["a.yml", "http:\n  middlewares:\n    a: {compress: {}}\n"],
  ["a.yml", `http:\n  services:\n  routers:\n    ${router}\n`],
  ["a.yml", "other:\n  routers: {}\n"],
  ["a.yml", "http:\n"],
  ["a.yml", "tls:\n  certificates: []\n"],
  ["a.yml", "# nothing\n"],
  ["a.yml", ""],
  ["a.yml", `---\nhttp:\n  routers:\n    ${router}\n---\nhttp: [\n`],
  ["a.toml", '[http.routers.a]\nrule = "Host(`a.example`)"\nservice = "noop@internal"\n'],
  ["a.toml", "[other]\na = 1\n"],
  ["a.txt", "http: [\n"],
];
const frozen: readonly (readonly [string, string, RegExp])[] = [
  ["a.yml", "http: [\n", /^does not parse: .* at line 2, column 1$/],
  [".a.yaml", "http:\n\trouters: 1\n", /^does not parse: Tabs/],
  ["sub/a.yml", `http:\n  routers:\n    ${router}\nhttp:\n  routers:\n    ${router}\n`, /^does not parse: Map keys/],
  ["a.yml", "text\n", /^is no mapping$/],
  ["a.yml", "- a\n- b\n", /^is no mapping$/],
  ["a.yml", "http: text\n", /^http is no mapping$/],
  ["a.yml", "http: {}\n", /^http is empty$/],
  ["a.yml", "udp: {}\n", /^udp is empty$/],
  ["a.yml", "http:\n  routers:\n", /^http has nothing but empty fields$/],
  ["a.yml", `http:\n  services: {}\n  routers:\n    ${router}\n`, /^http.services is empty$/],
  ["a.yml", "tls:\n  stores: {}\n", /^tls.stores is empty$/],
  ["a.yml", "http:\n  ruters:\n    a: {}\n", /^has the unknown field "http.ruters"$/],
  ["a.yml", "http:\n  routers:\n    a: {rul: Host(`a.example`)}\n", /^has the unknown field "http.routers.a.rul"$/],
  ["a.toml", "[http\n", /^does not parse: Invalid TOML document/],
  ["a.toml", "[http]\n", /^http is empty$/],
];

for (const [path, text] of taken) {
  t.test(`problemOf() finds nothing in ${JSON.stringify(text)} as ${path}`, async (t) => {
    t.equal(isConfiguration(path) ? problemOf(path, text) : undefined, undefined);
  });
}
for (const [path, text, problem] of frozen) {
  t.test(`problemOf() finds what freezes Traefik in ${JSON.stringify(text)} as ${path}`, async (t) => {
    t.ok(isConfiguration(path));
    t.match(problemOf(path, text), problem);
  });
}

t.test("problemOf() names a second default store, which Traefik takes", async (t) => {
  t.match(
    problemOf("a.yml", "tls:\n  stores:\n    default: {defaultCertificate: {certFile: a, keyFile: b}}\n"),
    /default/,
  );
});

t.test("problemOf() says nothing of a Go template", async (t) => {
  t.equal(problemOf("a.yml", '{{ range $i := seq 3 }}\nhttp: {}\n{{ end }}"'), undefined);
});

t.test("Traefik takes the one and freezes with the other", { skip: missingPart("traefik") }, async (t) => {
  const root = t.testdir({ dynamic: { sub: {} } });
  const directory = join(root, "dynamic");
  const traefik = await startTraefik(t, root, directory);
  let count = 0;
  /** Whether a change of another file is taken, or Traefik names this one as the reason why not. */
  async function takesChanges(path: string): Promise<boolean> {
    const host = `p${count++}.example`;
    const probe = `http:\n  routers:\n    p: {rule: Host(\`${host}\`), service: noop@internal}\n`;
    await writeFile(join(directory, "probe.yml"), probe);
    let verdict: boolean | undefined;
    await eventually(async () => {
      if (traefik.log().includes(`/${path}: `)) verdict = false;
      else if ((await ask({ port: traefik.web, host })).status !== 404) verdict = true;
      return verdict !== undefined;
    });
    return verdict!;
  }
  for (const [index, [path, text]] of taken.entries())
    await writeFile(join(directory, path.replace("a.", `a${index}.`)), text);
  t.ok(await takesChanges("none"));
  for (const [index, [path, text]] of frozen.entries()) {
    const place = path.replace("a.", `f${index}.`);
    await writeFile(join(directory, place), text);
    t.notOk(await takesChanges(place), JSON.stringify(text));
    await rm(join(directory, place));
  }
  await eventually(() => takesChanges("none"));
});

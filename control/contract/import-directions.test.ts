import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import t from "tap";

const root = resolve(import.meta.dirname, "../..");
const statement =
  /(?:^|\n)\s*(?:import|export)\b[^;'"]*?from\s*["']([^"']+)["']|(?:^|\n)\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;

/** What a file of the tree imports: files of the tree by their path in it, all else as it is written. */
function importsOf(file: string): string[] {
  const source = readFileSync(join(root, file), "utf8");
  return Array.from(source.matchAll(statement), ([, from, alone, dynamic]) =>
    resolveImport(file, from ?? alone ?? dynamic!),
  );
}

function resolveImport(file: string, name: string): string {
  if (name.startsWith("#contract/")) return name.replace("#contract/", "control/contract/");
  return name.startsWith(".") ? relative(root, resolve(root, dirname(file), name)) : name;
}

const programs = (pattern: string) => globSync(pattern, { cwd: root }).filter((file) => !file.endsWith(".test.ts"));
const all = (pattern: string) => globSync(pattern, { cwd: root });

function wrong(files: readonly string[], isAllowed: (imported: string) => boolean): string[] {
  return files.flatMap((file) =>
    importsOf(file)
      .filter((name) => !isAllowed(name))
      .map((name) => `${file} imports ${name}`),
  );
}

t.test("the contract imports itself and node alone", async (t) => {
  const files = programs("control/contract/*.ts");
  t.ok(files.length > 5);
  t.same(
    wrong(files, (name) => name.startsWith("node:") || name.startsWith("control/contract/")),
    [],
  );
});

t.test("control never imports the gateway", async (t) => {
  const files = all("control/**/*.ts");
  t.ok(files.length > 50);
  t.same(
    wrong(files, (name) => !name.startsWith("gateway/")),
    [],
  );
});

t.test("the gateway imports nothing of control but the contract", async (t) => {
  const files = programs("gateway/**/*.ts");
  t.ok(files.length > 20);
  t.same(
    wrong(files, (name) => !name.startsWith("control/") || name.startsWith("control/contract/")),
    [],
  );
});

t.test("the command line knows nothing of either process but the contract", async (t) => {
  const files = programs("cli/**/*.ts");
  t.ok(files.length > 15);
  t.same(
    wrong(files, (name) => !/^(?:control|gateway)\//.test(name) || name.startsWith("control/contract/")),
    [],
  );
});

t.test("the gateway knows no database, no engine and no framework", async (t) => {
  const control = ["better-sqlite3", "dockerode", "fastify", "typebox", "acme-client", "@peculiar/x509"];
  t.same(
    wrong(programs("gateway/**/*.ts"), (name) => !control.includes(name)),
    [],
  );
});

t.test("adapters are known to those who put the program together alone", async (t) => {
  const files = programs("control/**/*.ts").filter(
    (file) => !/^control\/(?:engines|sqlite|http|certificates)\//.test(file),
  );
  const inside = files.filter((file) => /^control\/(?:sandboxes|routes)\//.test(file));
  t.ok(inside.length > 20);
  t.same(
    wrong(inside, (name) => !/^control\/(?:http|certificates)\/|^control\/engines\/(?:docker|process)\//.test(name)),
    [],
  );
});

t.test("the environment is read by the configuration alone", async (t) => {
  const readers = ["control", "gateway", "cli"]
    .flatMap((folder) => programs(`${folder}/**/*.ts`))
    .filter((file) => {
      const isTestSupport = /\/(?:testing|fixtures)\/|\/test-[a-z]+\.ts$/.test(file) || importsOf(file).includes("tap");
      return !isTestSupport && /\bprocess\.env\b/.test(readFileSync(join(root, file), "utf8"));
    });
  const allowed = ["cli/config.ts", "control/certificates/render-static.ts", "control/config.ts", "gateway/config.ts"];
  t.same(readers.sort(), allowed);
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import t, { type Test } from "tap";
import { planFor } from "./plan.ts";

/** A directory with these files; objects are written as JSON. */
function directoryOf(t: Test, files: Record<string, string | object>): string {
  const directory = mkdtempSync(join(tmpdir(), "plan-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return directory;
}

const scripts = (scripts: Record<string, string>, more: object = {}) => ({ "package.json": { scripts, ...more } });
const command = (command: string, because = "package.json") => ({ kind: "command", command, because });

const cases: [string, Record<string, string | object>, object][] = [
  ["nothing", {}, { kind: "nothing" }],
  ["a page", { "index.html": "" }, { kind: "files" }],
  ["dev before start", scripts({ start: "node a.js", dev: "node b.js" }), command("node b.js")],
  ["start", scripts({ start: "node a.js" }), command("node a.js")],
  ["a server", { "server.js": "", "index.html": "" }, command("node server.js", "server.js")],
  [
    "a server beside other scripts",
    { ...scripts({ test: "x" }), "server.js": "" },
    command("node server.js", "server.js"),
  ],
  ["a page beside other scripts", { ...scripts({ test: "x" }), "index.html": "" }, { kind: "files" }],
  ["Vite", scripts({ dev: "vite" }), command("vite --host 0.0.0.0 --port 3000")],
  ["Vite with options", scripts({ dev: "vite --host --port 5173" }), command("vite --host --port 5173")],
  ["Vite with a port", scripts({ dev: "vite -p 1" }), command("vite -p 1 --host 0.0.0.0")],
  ["what begins like Vite", scripts({ dev: "vitepress dev" }), command("vitepress dev")],
  ["a script with one before it", scripts({ predev: "x", dev: "node a.js" }), command("npm run dev")],
  [
    "Vite with a script after it",
    scripts({ dev: "vite", postdev: "x" }),
    command("npm run dev -- --host 0.0.0.0 --port 3000"),
  ],
  ["a script that is no text", { "package.json": { scripts: { dev: 1 } } }, { kind: "nothing" }],
];
for (const [name, files, plan] of cases) {
  t.test(`planFor() knows ${name}`, async (t) => {
    t.strictSame(planFor(directoryOf(t, files), 3000), plan);
  });
}

t.test("planFor() installs what is not there, as the lock file says", async (t) => {
  const project = scripts({ dev: "x" }, { devDependencies: { a: "1" } });
  const installs = (files: object) =>
    (planFor(directoryOf(t, { ...project, ...files }), 3000) as { install?: string }).install;
  t.equal(installs({}), "npm install --no-audit --no-fund");
  t.equal(installs({ "package-lock.json": "" }), "npm ci --no-audit --no-fund");
  t.equal(installs({ "pnpm-lock.yaml": "" }), "pnpm install --frozen-lockfile");
  t.equal(installs({ "yarn.lock": "" }), "yarn install --frozen-lockfile");
  t.equal(installs({ "node_modules/a/index.js": "" }), undefined);
});

t.test("planFor() says what is wrong with a project that it cannot read", async (t) => {
  t.match(planFor(directoryOf(t, { "package.json": "{" }), 3000), {
    kind: "nothing",
    problem: /^package\.json cannot be read/,
  });
  t.match(planFor(directoryOf(t, { "package.json": "null" }), 3000), { kind: "nothing", problem: /not an object/ });
});

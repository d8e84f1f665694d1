import { execFile, execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { appBody, newDirectory, startControl } from "../control/testing/control.ts";

/** The guide's snippets, run as they stand. */

const execute = promisify(execFile);
const guide = await readFile(join(import.meta.dirname, "..", "docs", "private-previews.md"), "utf8");
const snippets = Array.from(guide.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm), ([, language, code]) => ({
  language,
  code: code!,
}));
const integrator = { KID: "main", SECRET: "integrator-secret", USER_ID: "ada" };
const go = await promisify(execFile)("bash", [join(import.meta.dirname, "parts", "go.sh")]).then(
  ({ stdout }) => stdout.trim(),
  () => undefined,
);

const signers = [
  { language: "ts", file: "sign.ts", command: [process.execPath] },
  { language: "python", file: "sign.py", command: ["python3"] },
  { language: "go", file: "main.go", command: go === undefined ? undefined : [go, "run"] },
  { language: "sh", file: "sign.sh", command: ["sh"] },
] as const;

function isThere(command: readonly string[] | undefined): boolean {
  try {
    if (command === undefined) return false;
    execFileSync("sh", ["-c", `command -v ${command[0]}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

for (const { language, file, command } of signers) {
  const skip = isThere(command) ? false : `nothing here runs ${language}`;
  t.test(`the guide's ${language} signs a token that opens a preview`, { skip }, async (t) => {
    const directory = newDirectory(t);
    const control = await startControl(t, { SANDBOXD_PREVIEW_TOKEN_SECRETS: "main=integrator-secret" });
    const body = { ...appBody, visibility: "private", external: { user_id: "ada" } };
    const { id } = (await control.call("POST", "/v1/sandboxes", { body })).body;
    const path = join(directory, file);
    await writeFile(path, snippets.find((snippet) => snippet.language === language)!.code);
    const [program, ...first] = command!;
    const env = { ...process.env, ...integrator, SANDBOX_ID: id, GOTOOLCHAIN: "local" };
    const { stdout } = await execute(program!, [...first, path], { env });
    const answer = await control.call("GET", "/forward-auth", {
      headers: {
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-host": `s-${id.toLowerCase()}-3000.preview.localhost`,
        "x-preview-token": stdout.trim(),
      },
    });
    t.match(answer, { status: 200, headers: { "x-sandbox-external-user-id": "ada" } }, answer.text);
  });
}

t.test("the guide's calls of the API work as they stand", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const env = { ...process.env, ...integrator, SANDBOX_ID: id, API: `http://${control.plane.address}` };
  const calls = snippets.filter(({ code }) => code.includes("$API"));
  t.equal(calls.length, 2);
  for (const { code } of calls) {
    const { stdout } = await execute("sh", ["-c", code], { env });
    t.match(JSON.parse(stdout).id, /^[0-9A-Z]{26}$/);
  }
});

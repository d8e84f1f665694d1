import { execFile, execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { newDirectory } from "../control/testing/control.ts";
import { claimsFor, hmacToken, nowSeconds } from "../control/testing/tokens.ts";
import { Chain, headerOf, navigation, reasonOf, statusOf } from "./access/chain.ts";

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

const frame = snippets.find(({ language }) => language === "html")!.code;
const request = snippets.find(({ code }) => code.includes("$PREVIEW_URL"))!.code;

for (const { language, file, command } of signers) {
  const skip = isThere(command) ? false : `nothing here runs ${language}`;
  t.test(`the guide's ${language} signs a token that opens a preview`, { skip }, async (t) => {
    const chain = await Chain.start(t, { SANDBOXD_PREVIEW_TOKEN_SECRETS: `${integrator.KID}=${integrator.SECRET}` });
    const box = await chain.create({ external: { user_id: "ada" } });
    const path = join(newDirectory(t), file);
    await writeFile(path, snippets.find((snippet) => snippet.language === language)!.code);
    const [program, ...first] = command!;
    const env = { ...process.env, ...integrator, SANDBOX_ID: box.id, GOTOOLCHAIN: "local" };
    const token = (await execute(program!, [...first, path], { env })).stdout.trim();

    const { stdout } = await execute("sh", ["-c", request], { env: { ...env, TOKEN: token, PREVIEW_URL: box.url } });
    t.match(
      JSON.parse(stdout),
      { url: "/", headers: { "x-sandbox-external-user-id": "ada" } },
      "the guide's curl sees the app",
    );
    const src = /src="([^"]+)"/
      .exec(frame)![1]!
      .replace(/^https:.*\/\?/, `${box.url}?`)
      .replace("…", token);
    const opened = await box.ask(navigation, `GET ${src.slice(box.url.length - 1)} HTTP/1.1`);
    t.match([statusOf(opened), headerOf(opened, "location")], [303, "/"], "and its frame opens a session");
    const bad = execute("sh", ["-c", request], { env: { ...env, TOKEN: `${token}x`, PREVIEW_URL: box.url } });
    await t.rejects(bad, "which another token does not");
  });
}

t.test("the guide's calls of the API work as they stand", async (t) => {
  const chain = await Chain.start(t, { SANDBOXD_PREVIEW_TOKEN_SECRETS: `${integrator.KID}=${integrator.SECRET}` });
  const box = await chain.create();
  const env = { ...process.env, ...integrator, SANDBOX_ID: box.id, API: chain.apiUrl };
  const calls = snippets.filter(({ code }) => code.includes("$API"));
  t.equal(calls.length, 2);
  const answers: { id: string; url?: string }[] = [];
  for (const { code } of calls) answers.push(JSON.parse((await execute("sh", ["-c", code], { env })).stdout));
  for (const { id } of answers) t.match(id, /^[0-9A-Z]{26}$/);
  const [share] = answers;
  const page = await box.ask(navigation, `GET /${new URL(share!.url!).search} HTTP/1.1`);
  t.equal(headerOf(page, "x-sandbox-gateway"), "redeem", "the link shows the page with the button");
  const token = hmacToken(integrator.KID, integrator.SECRET, claimsFor(box.id, { iat: nowSeconds() - 60 }));
  let answer = "";
  do answer = await box.ask(`X-Preview-Token: ${token}\r\n`);
  while (statusOf(answer) === 200);
  t.equal(reasonOf(answer), "revoked", "and the user is locked out");
});

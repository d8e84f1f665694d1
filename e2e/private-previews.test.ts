import { readFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { claimsFor, hmacToken } from "../control/testing/tokens.ts";
import { startBrowser } from "./browser.ts";
import { openBuilder } from "./builder.ts";
import { missingPart } from "./parts/parts.ts";
import { type Stack, startStack } from "./stack.ts";

const skip = missingPart("traefik", "chromium");
const secret = "the-secret-of-an-app-builder";

async function start(t: Test) {
  const stack = await startStack(t, {
    SANDBOXD_ENGINE: "process",
    SANDBOXD_PREVIEW_TOKEN_SECRETS: `main=${secret}`,
  });
  const browser = await startBrowser(t, { ...stack, port: stack.httpsPort });
  const app = await readFile(join(import.meta.dirname, "apps", "echo.js"), "utf8");
  const body = { ports: [3000], cmd: [process.execPath, "-e", app], visibility: "private" };
  const made = await call(stack, "POST", "/v1/sandboxes", body);
  const id = made.id as string;
  const url = (made.previews as { url: string }[])[0]!.url;
  return { stack, browser, id, url, sign: (more: object = {}) => hmacToken("main", secret, claimsFor(id, more)) };
}

async function call({ api }: Stack, method: string, path: string, body: object = {}): Promise<Record<string, unknown>> {
  const answer = await fetch(`http://${api}${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? {} : ((await answer.json()) as Record<string, unknown>);
}

t.test("an app builder's page on another site embeds a private preview and its socket", { skip }, async (t) => {
  const { browser, url, sign, stack, id } = await start(t);
  const context = await browser.newContext();
  const page = await openBuilder(context, `${url}?preview_token=${sign()}&x=1`);
  const frame = page.frameLocator("iframe");
  await frame.getByText("hello over the edge").waitFor();
  t.equal(await frame.locator("#app").textContent(), "the app itself");
  const inner = page.frames().find((each) => each.url().startsWith(url))!;
  t.equal(inner.url(), `${url}?x=1`, "the token is gone from the URL");
  t.equal(await inner.evaluate("document.cookie"), "", "and the session is out of the app's reach");
  t.equal(await inner.evaluate("document.referrer"), "", "which no referrer told either");
  const cookies = await context.cookies();
  t.match(cookies, [{ name: "__Host-sandboxd-session", httpOnly: true, secure: true, sameSite: "None", path: "/" }]);
  t.match(
    (cookies[0] as { partitionKey?: string }).partitionKey,
    /builder\.example/,
    "in the jar of the builder's site",
  );

  await inner.evaluate(
    'document.cookie = "__Host-sandboxd-session=planted; Secure; Path=/; SameSite=None; Partitioned"',
  );
  await inner.evaluate("location.reload()");
  await frame.getByText("hello over the edge").waitFor();
  t.equal((await context.cookies())[0]!.value, cookies[0]!.value, "a page cannot overwrite it");

  const closed = inner.evaluate(
    'new Promise((resolve) => { const socket = new WebSocket(location.origin.replace("http", "ws") + "/socket"); ' +
      "socket.onopen = () => { document.title = 'open'; }; socket.onclose = () => resolve(performance.now()); })",
  );
  await inner.waitForFunction("document.title === 'open'");
  const begun = performance.now();
  await call(stack, "POST", "/v1/revocations", { sandbox_id: id });
  await closed;
  t.ok(performance.now() - begun < 1000, "its socket ends within a second of the revocation");
});

t.test("a visitor without a credential gets a page, and one with a share link the app", { skip }, async (t) => {
  const { browser, url, stack, id } = await start(t);
  const page = await (await browser.newContext()).newPage();
  const denied = await page.goto(url);
  t.equal(denied?.status(), 401);
  t.match(await page.textContent("h1"), /private/);
  const share = await call(stack, "POST", `/v1/sandboxes/${id}/shares`, { max_uses: 1 });
  await page.goto(share.url as string);
  t.equal(await page.textContent("h1"), "You are invited to a private preview");
  await page.getByRole("button").click();
  await page.getByText("hello over the edge").waitFor();
  t.equal(page.url(), url);
  const other = await (await browser.newContext()).newPage();
  t.equal((await other.goto(share.url as string))?.status(), 401, "it is used up");
  const landing = await (await browser.newContext()).newPage();
  const api = url.replace(/s-[^.]+/, "api");
  const token = hmacToken("main", secret, claimsFor(id));
  await landing.goto(`${api}preview-auth?token=${token}&return=${encodeURIComponent(`${url}?a=1`)}`);
  await landing.getByText("hello over the edge").waitFor();
  t.equal(landing.url(), `${url}?a=1`, "the landing on the API's host leads there too");
});

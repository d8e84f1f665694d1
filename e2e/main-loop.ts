import { mkdir, readFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import type { Test } from "tap";
import type { Stack } from "./stack.ts";

const app = await readFile(join(import.meta.dirname, "apps", "echo.js"), "utf8");
const output = join(import.meta.dirname, "output");

type Sandbox = { readonly id: string; readonly status: string; readonly previews: readonly { readonly url: string }[] };

/** What an operator and a visitor live through with one sandbox, from its creation to its end, on a whole stack. */
export async function mainLoop(t: Test, stack: Stack, browser: Browser, name: string): Promise<void> {
  await mkdir(output, { recursive: true });
  const ca = await readFile(stack.caFile, "utf8");
  const page = await browser.newPage();
  const { id, url } = await create(stack, {});
  t.match(url, /^https:\/\/s-[0-9a-z]{26}-3000\.preview\.[a-z.]+:\d+\/$/);
  await eventually(async () => (await get(stack, ca, url)).status === 200);

  await page.goto(url);
  t.equal(await page.textContent("#app"), "the app itself", "the page comes over TLS");
  await page.waitForFunction('document.querySelector("#echo").textContent !== ""');
  t.equal(await page.textContent("#echo"), "hello over the edge", "a WebSocket echoes");
  await page.close();

  await post(stack, `/v1/sandboxes/${id}/stop`);
  t.equal(await status(stack, id), "stopped");
  const again = await browser.newPage();
  await again.goto(url);
  await again.waitForSelector("#app");
  t.equal(await again.textContent("#app"), "the app itself", "it wakes up for a visitor");
  await again.close();

  await post(stack, `/v1/sandboxes/${id}/stop`);
  const before = Number((await get(stack, ca, `${url}starts`)).body);
  await post(stack, `/v1/sandboxes/${id}/stop`);
  const answers = await Promise.all(Array.from({ length: 200 }, () => get(stack, ca, `${url}starts`)));
  t.strictSame(
    [...new Set(answers.map(({ status, body }) => `${status} ${body}`))],
    [`200 ${before + 1}`],
    "200 requests at once: one start, 200 answers",
  );

  await wakesSlowly(t, stack, browser, name);

  await remove(stack, id);
  const last = await browser.newPage();
  const gone = await last.goto(url);
  t.equal(gone?.status(), 404);
  t.match(await last.textContent("h1"), /no preview/i);
  await shoot(last, `${name}-not-found`);
  await last.close();
}

/** An app that needs seconds: its visitor sees the waking page, and then the app without doing anything. */
async function wakesSlowly(t: Test, stack: Stack, browser: Browser, name: string): Promise<void> {
  const { id, url } = await create(stack, { env: { SLOW_MS: "4000" } });
  await post(stack, `/v1/sandboxes/${id}/stop`);
  const page = await browser.newPage();
  const first = await page.goto(url);
  t.equal(first?.status(), 503);
  t.equal(first?.headers()["x-sandbox-gateway"], "waking", "a slow app's visitor gets the waking page");
  await page.getByText("the app is starting").first().waitFor();
  await shoot(page, `${name}-waking`);
  await page.waitForSelector("#app");
  t.equal(await page.textContent("#app"), "the app itself", "which loads the app by itself");
  await page.close();
  await remove(stack, id);
}

async function shoot(page: Page, name: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(output, `${name}-${colorScheme}.png`) });
  }
}

async function create(stack: Stack, more: object): Promise<{ id: string; url: string }> {
  const sandbox = (await post(stack, "/sandbox", { ports: [3000], cmd: ["node", "-e", app], ...more })) as Sandbox;
  return { id: sandbox.id, url: sandbox.previews[0]!.url };
}

async function status(stack: Stack, id: string): Promise<string> {
  const answer = await fetch(`http://${stack.api}/v1/sandboxes/${id}`);
  return ((await answer.json()) as Sandbox).status;
}

async function post(stack: Stack, path: string, body: object = {}): Promise<unknown> {
  const answer = await fetch(`http://${stack.api}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

async function remove(stack: Stack, id: string): Promise<void> {
  const answer = await fetch(`http://${stack.api}/v1/sandboxes/${id}`, { method: "DELETE" });
  if (answer.status !== 204) throw new Error(`DELETE: ${answer.status}`);
}

type Answer = { readonly status: number; readonly body: string };

/** One request over TLS on a connection of its own. The name is not looked up: it is this machine's. */
function get(stack: Stack, ca: string, url: string): Promise<Answer> {
  const { hostname, host, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    const options = {
      host: "127.0.0.1",
      port: stack.httpsPort,
      path: pathname,
      servername: hostname,
      headers: { host },
      ca,
    };
    request({ ...options, agent: false }, async (answer) => {
      const chunks = await answer.toArray().catch(reject);
      if (chunks) resolve({ status: answer.statusCode!, body: Buffer.concat(chunks).toString() });
    })
      .on("error", reject)
      .end();
  });
}

/** Asks until the answer is true; an error counts as no. The timeout of the test is the limit. */
export async function eventually(ask: () => Promise<boolean>): Promise<void> {
  while (!(await ask().catch(() => false))) await delay(50);
}

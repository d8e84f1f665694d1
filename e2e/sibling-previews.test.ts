import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import t, { type Test } from "tap";
import { claimsFor, hmacToken } from "../control/testing/tokens.ts";
import { startBrowser } from "./browser.ts";
import { missingPart } from "./parts/parts.ts";
import { startStack } from "./stack.ts";

/** What the page of one sandbox can do to another one's private preview in the browser of somebody who may see both. */

const skip = missingPart("traefik", "chromium");
const secret = "the-secret-of-an-app-builder";
const mirror = await readFile(join(import.meta.dirname, "apps", "mirror.js"), "utf8");

async function start(t: Test) {
  const stack = await startStack(t, { SANDBOXD_ENGINE: "process", SANDBOXD_PREVIEW_TOKEN_SECRETS: `main=${secret}` });
  const browser = await startBrowser(t, { ...stack, port: stack.httpsPort });
  const create = async (more: object) => {
    const answer = await fetch(`http://${stack.api}/v1/sandboxes`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ports: [3000, 4000], cmd: [process.execPath, "-e", mirror], ...more }),
    });
    const { id, previews } = (await answer.json()) as { id: string; previews: { url: string }[] };
    const record = () => readFileSync(join(stack.directory, "data", "workspaces", id, "record"), "utf8").split("\n");
    return { id, url: previews[0]!.url, record };
  };
  return { browser, create };
}

/** Runs in the attacker's page: everything by which a page makes its browser send a request with cookies. */
const attack = `async (victim) => {
  const settled = (promise) => promise.then(() => "done", () => "failed");
  const loaded = (element) => settled(new Promise((resolve, reject) => {
    element.onload = resolve;
    element.onerror = reject;
    document.documentElement.append(element);
  }));
  const make = (name, more) => Object.assign(document.createElement(name), more);
  const socket = new WebSocket(victim.replace("http", "ws") + "attack-socket");
  const opened = await new Promise((resolve) => {
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("failed");
  });
  await settled(fetch(victim + "attack-post", { method: "POST", mode: "no-cors", credentials: "include", body: "x" }));
  await settled(fetch(victim + "attack-get", { mode: "no-cors", credentials: "include" }));
  await settled(fetch(victim + "attack-quiet", { mode: "no-cors", credentials: "include", referrerPolicy: "no-referrer" }));
  await settled(fetch(victim + "attack-cors", { credentials: "include" }));
  await loaded(make("script", { src: victim + "attack-script" }));
  await loaded(make("img", { src: victim + "attack-image" }));
  const frame = make("iframe", { name: "target" });
  document.documentElement.append(frame);
  const form = make("form", { method: "post", action: victim + "attack-form", target: "target" });
  document.documentElement.append(form);
  const submitted = new Promise((resolve) => { frame.onload = resolve; });
  form.submit();
  await submitted;
  return opened;
}`;

t.test("a sandbox's page does nothing in a sibling's private preview in its visitor's name", { skip }, async (t) => {
  const { browser, create } = await start(t);
  const victim = await create({ visibility: "private" });
  const attacker = await create({});
  const context = await browser.newContext();
  const page: Page = await context.newPage();
  await page.goto(`${victim.url}?preview_token=${hmacToken("main", secret, claimsFor(victim.id))}`);
  await page.waitForFunction("document.body.textContent.includes('headers')");
  const own = `async () => (await fetch("/own", { method: "POST" })).status + await new Promise((resolve) => {
    const socket = new WebSocket(location.origin.replace("http", "ws") + "/own-socket");
    socket.onopen = () => resolve(" open");
    socket.onerror = () => resolve(" failed");
  })`;
  t.equal(await page.evaluate(`(${own})()`), "200 open", "its own page may");
  await page.goto(attacker.url);
  const opened = await page.evaluate(`(${attack})(${JSON.stringify(victim.url)})`);
  t.equal(opened, "failed", "no socket");
  t.same(
    victim.record().filter((line) => line.includes("attack")),
    [],
    "no request reached the app",
  );
  await page.goto(`${victim.url}link`);
  t.match(await page.textContent("body"), "headers", "a link from there leads there as any link does");
});

/** Runs in the attacker's page: as many cookies as the browser keeps, for every host of the previews' domain. */
const bomb = `() => {
  const domain = location.hostname.replace(/^[^.]+\\./, "");
  for (let index = 0; index < 120; index++) {
    document.cookie = "bomb" + index + "=" + "x".repeat(3900) + "; Domain=" + domain + "; Path=/; Secure; SameSite=None";
  }
  return document.cookie.length;
}`;

t.test("a sandbox's page that fills its visitor's cookies harms its own sandbox alone", { skip }, async (t) => {
  const { browser, create } = await start(t);
  const [victim, hidden, attacker] = [await create({}), await create({ visibility: "private" }), await create({})];
  const page: Page = await (await browser.newContext()).newPage();
  await page.goto(`${hidden.url}?preview_token=${hmacToken("main", secret, claimsFor(hidden.id))}`);
  await page.goto(victim.url);
  await page.evaluate('document.cookie = "mine=kept"');
  await page.goto(attacker.url);
  t.ok(Number(await page.evaluate(`(${bomb})()`)) > 100_000, "the browser takes them");
  for (const [what, url, mark] of [
    ["a sibling", victim.url, "mine=kept"],
    ["a private sibling whose visitor has a session", hidden.url, "headers"],
    ["the API's host", `${victim.url.replace(/s-[^.]+/, "api")}healthz`, "ok"],
  ] as const) {
    const answer = await page.goto(url);
    t.equal(answer?.status(), 200, `${what} goes on working`);
    t.match(await page.textContent("body"), mark, what);
  }
});

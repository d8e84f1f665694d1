import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Browser } from "playwright-core";
import t, { type Test } from "tap";
import { isServed, startBrowser } from "../browser.ts";
import { eventually } from "../main-loop.ts";
import { missingPart } from "../parts/parts.ts";
import { startStack } from "../stack.ts";
import { type DevServer, next, vite, webpack } from "./dev-server.ts";
import { develop, installed, saveUntilSeen } from "./development.ts";
import { missingProject } from "./projects.ts";
import { Sandbox } from "./sandbox.ts";
import type { Visit } from "./visit.ts";

t.setTimeout(240_000);

// Over TLS: without it browsers do not say whose doing a navigation is.
const skip = missingPart("chromium", "root", "traefik");
const texts = { before: installed, after: "edited" };

type Night = {
  readonly server: DevServer;
  /** Resolves when the page has done what it does without its socket. */
  readonly passes: (visit: Visit) => Promise<unknown>;
  /** What the page needs beyond being looked at: a request, which pages have of their own when they are used. */
  readonly use?: (visit: Visit) => Promise<unknown>;
};

const request = ({ page }: Visit) => page.evaluate('void fetch("/")');
const nights: readonly Night[] = [
  // It asks in a shared worker, once, and then waits to be looked at.
  { server: vite, passes: ({ page }) => page.waitForEvent("console", isLoss), use: request },
  { server: webpack, passes: (visit) => hasAsked(visit, 3), use: request },
  // It reloads itself when its socket has failed often enough. Whatever Playwright does in a page counts as its user's
  // doing for some seconds, so that nothing may look into the page meanwhile.
  { server: next, passes: hasReloaded },
];

t.test("a page that stays open over night", { skip, jobs: 3 }, async (t) => {
  const stack = await startStack(t, { SANDBOXD_ENGINE: "process", SANDBOXD_IDLE_REAP_INTERVAL_SECONDS: "1" });
  const control = { api: stack.api, data: join(stack.directory, "data") };
  const browser = await startBrowser(t, { ...stack, port: stack.httpsPort });

  for (const night of nights) {
    const { server, use } = night;
    t.test(server.project, { skip: missingProject(server.project) }, async (t) => {
      const sandbox = await Sandbox.create(control, server.project, server.command);
      t.teardown(() => sandbox.remove());
      await eventually(() => isServed(browser, sandbox.url));
      const visit = await sleepThrough(t, browser, sandbox, night);
      await sandbox.setIdleSeconds(600);
      await visit.turn("visible");
      await use?.(visit);
      await visit.shows(texts.after);
      if (server.listensLate) await saveUntilSeen(sandbox, server.file, visit);
      await sandbox.edit(server.file, texts.after, "edited in the morning");
      await visit.shows("edited in the morning");
      t.match(
        (await sandbox.history()).find(({ kind }) => kind === "wake"),
        { cause: "request" },
      );
      await visit.close();
    });
  }
});

/** In the background a page neither keeps its sandbox awake nor wakes it, however often it asks for its socket. */
async function sleepThrough(t: Test, browser: Browser, sandbox: Sandbox, { server, passes }: Night): Promise<Visit> {
  const { visit } = await develop(t, browser, sandbox, server, texts);
  await visit.turn("hidden");
  const passed = passes(visit);
  await sandbox.setIdleSeconds(2);
  await sandbox.asleep();
  const [stop] = await sandbox.history();
  t.match(stop, { kind: "stop", cause: "idle" }, "its open socket does not keep it awake");
  await passed;
  t.equal(await sandbox.status(), "stopped");
  t.same((await sandbox.history())[0], stop, "nothing has woken it meanwhile");
  return visit;
}

async function hasReloaded({ page }: Visit): Promise<void> {
  const loaded = page.waitForEvent("load", { timeout: 120_000 });
  await page.waitForResponse(isAsleep, { timeout: 120_000 });
  await loaded;
}

function isAsleep(answer: { headers(): Record<string, string> }): boolean {
  return answer.headers()["x-sandbox-gateway"] === "asleep";
}

function isLoss(message: { text(): string }): boolean {
  return message.text().includes("server connection lost");
}

async function hasAsked({ sockets }: Visit, times: number): Promise<void> {
  const before = sockets.length;
  while (sockets.length < before + times) await delay(50);
}

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import t, { type Test } from "tap";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { startBrowser } from "./browser.ts";
import { openDockerNetwork } from "./docker-network.ts";
import { eventually } from "./main-loop.ts";
import { domain, hostOf, openPair, type Pair } from "./pair.ts";
import { missingPart } from "./parts/parts.ts";

/** The waking page of sandboxes of the docker engine, as a visitor sees it; what it looks like is left in `output`. */

const output = join(import.meta.dirname, "output");
const listen = 'require("node:http").createServer((_, response) => response.end("the app itself"))';
/** More than any machine has. */
const costMb = "100000000";

async function start(t: Test) {
  await mkdir(output, { recursive: true });
  const network = await openDockerNetwork();
  t.teardown(() => network[Symbol.asyncDispose]());
  const pair = await openPair({ ...network.variables, SANDBOXD_HOLD_NAVIGATION_MS: "100" });
  t.teardown(() => pair[Symbol.asyncDispose]());
  const browser = await startBrowser(t, { directory: t.testdir(), domain, port: pair.gatewayPort });
  const visit = async (t: Test, id: SandboxId): Promise<Page> => {
    const page = await browser.newPage();
    const answer = await page.goto(`http://${hostOf(id)}:${pair.gatewayPort}/`);
    t.equal(answer?.headers()["x-sandbox-gateway"], "waking");
    return page;
  };
  return { pair, visit };
}

async function asleep(pair: Pair, program: string, more: object = {}): Promise<SandboxId> {
  const starts =
    'require("node:fs").appendFileSync("starts", "."); const starts = require("node:fs").readFileSync("starts").length;';
  const id = await pair.create({ cmd: ["node", "-e", `${starts} ${program}`], ...more });
  await pair.sleep(id, "stop");
  return id;
}

/** Light and dark, wide and narrow. */
async function shoot(page: Page, name: string): Promise<void> {
  for (const [shape, width] of [
    ["wide", 1024],
    ["narrow", 360],
  ] as const) {
    await page.setViewportSize({ width, height: 720 });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(output, `waking-${name}-${shape}-${colorScheme}.png`) });
    }
  }
}

t.test("the waking page says why", { skip: missingPart("images", "chromium") }, async (t) => {
  const { pair, visit } = await start(t);

  await t.test("what the app says meanwhile, and opens it when it answers", async (t) => {
    const slow = `console.log("compiling 120 modules"); console.error("a warning"); setTimeout(() => ${listen}.listen(3000), starts * 2500)`;
    const page = await visit(t, await asleep(pair, slow));
    await page.getByText("a warning").first().waitFor();
    await page.getByText("Waiting for the app on port 3000").waitFor();
    await shoot(page, "waiting");
    await page.getByText("the app itself").waitFor();
    await page.close();
  });

  await t.test("how long this sandbox usually takes, its app included", async (t) => {
    const id = await asleep(pair, `setTimeout(() => ${listen}.listen(3000), 3000)`);
    await (await visit(t, id)).getByText("the app itself").waitFor();
    await pair.sleep(id, "stop");
    await (await visit(t, id)).getByText(/^usually [345] s$/).waitFor();
  });

  await t.test("that nothing listens on its port, and which ports do", async (t) => {
    const page = await visit(t, await asleep(pair, `${listen}.listen(starts > 1 ? 4000 : 3000)`));
    await page.getByRole("heading", { name: "Nothing listens on this port" }).waitFor();
    await page.getByText("Ports that listen: 4000.").waitFor();
    await shoot(page, "no-listener");
    await page.close();
  });

  await t.test("that the app ended, how, and what it said last; and opens it when it is repaired", async (t) => {
    const broken = `if (starts === 2) { console.error("there is no database"); setTimeout(() => process.exit(3), 300) } else ${listen}.listen(3000)`;
    const page = await visit(t, await asleep(pair, broken));
    await page.getByRole("heading", { name: "The app has stopped" }).waitFor();
    await page.getByText(/The command ended with code 3/).waitFor();
    await page.getByText("there is no database").first().waitFor();
    await shoot(page, "exited");
    await page.getByRole("link", { name: "Try again" }).click();
    await page.getByText("the app itself").waitFor();
    await page.close();
  });

  await t.test("that the host has no room, and its place in the queue", async (t) => {
    const id = await asleep(pair, `${listen}.listen(3000)`);
    const before = await asleep(pair, `${listen}.listen(3000)`);
    await pair.restartControl({ SANDBOXD_WAKE_COST_MB: costMb });
    const first = pair.ask(before);
    await eventually(async () => (await pair.metric("sandboxd_queued_starts")) === 1);
    const page = await visit(t, id);
    await page.getByText("In the queue, place 2").waitFor();
    await shoot(page, "queued");
    await pair.restartControl({});
    t.match(await first, { status: 200 });
    await page.getByText("the app itself").waitFor();
    await page.close();
  });
});

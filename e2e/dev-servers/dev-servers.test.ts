import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import t, { type Test } from "tap";
import { startBrowser } from "../browser.ts";
import { missingPart } from "../parts/parts.ts";
import { Program } from "../stack.ts";
import { type DevServer, next, vite, webpack } from "./dev-server.ts";
import { develop, installed, refuse, sleep } from "./development.ts";
import { followEvents } from "./event-stream.ts";
import { missingProject } from "./projects.ts";
import { type Control, Sandbox } from "./sandbox.ts";
import { Visit } from "./visit.ts";

const domain = "sandboxes.test";

t.setTimeout(180_000);

t.test("development servers behind the gateway", { skip: missingPart("chromium", "root") }, async (t) => {
  const { control, browser } = await start(t);

  for (const server of [vite, next, webpack]) {
    t.test(server.project, { skip: missingProject(server.project) }, async (t) => {
      const sandbox = await Sandbox.create(control, server.project, server.command);
      t.teardown(() => sandbox.remove());
      await behindLocalhost(t, browser, sandbox, server);
      await behindItsPublicHost(t, browser, sandbox, server);
    });
  }

  for (const policy of ["localhost", "preserve"] as const) {
    t.test(`a stream of events, host policy ${policy}`, async (t) => {
      const sandbox = await Sandbox.create(control, "event-stream", "node server.js");
      t.teardown(() => sandbox.remove());
      await sandbox.setHostPolicy(policy);
      const host = policy === "localhost" ? "localhost:3000" : sandbox.url.host;
      const visit = await followEvents(t, browser, sandbox, { host });
      await visit.shoot(`events-${policy}`);
      await visit.close();
    });
  }
});

/** The default policy: nothing in the project knows of previews. */
async function behindLocalhost(t: Test, browser: Browser, sandbox: Sandbox, server: DevServer): Promise<void> {
  const development = await develop(t, browser, sandbox, server, { before: installed, after: "edited" });
  await development.visit.shoot(server.project);
  if (server === next) await explainError(t, sandbox, development.visit);
  await sleep(t, sandbox, server, development, { before: "edited", after: "edited after a sleep" });
  await development.visit.close();
  t.notMatch(await sandbox.log(), /blocked|invalid host|not allowed/i, "the server finds nothing to object to");
}

/** The policy "preserve": the server refuses hosts that it has not heard of, until its project names them. */
async function behindItsPublicHost(t: Test, browser: Browser, sandbox: Sandbox, server: DevServer): Promise<void> {
  await sandbox.setHostPolicy("preserve");
  await refuse(t, sandbox, server);
  const refused = await Visit.open(browser, sandbox.url);
  // Next.js refuses what it serves for its own use: its page comes, without updates.
  if (server === next) await refused.shows("edited after a sleep");
  else await refused.page.getByText(server.refuses.says).waitFor();
  await refused.shoot(`${server.project}-refusal`);
  await refused.close();

  const { file, before, after } = server.setting;
  await sandbox.edit(file, before, after(domain));
  await sandbox.restart();
  const texts = { before: "edited after a sleep", after: "edited with its setting" };
  const { visit } = await develop(t, browser, sandbox, server, texts);
  await visit.close();
}

/** An exception in the page: Next.js shows where in the source it comes from, which the page has to ask for. */
async function explainError(t: Test, sandbox: Sandbox, visit: Visit): Promise<void> {
  const mistake = '<button onClick={() => { throw new Error("a mistake"); }}>fail</button>';
  await sandbox.edit(next.file, "<main>", `<main>${mistake}`);
  await visit.page.getByRole("button", { name: "fail" }).click();
  await visit.page.getByRole("button", { name: "Open issues overlay" }).click();
  await visit.page.getByText(/^app\/page\.jsx \(\d+:\d+\) @/).waitFor();
  await visit.shoot("next-error");
  t.same(visit.refused, [], "its error overlay gets all it asks for");
  await sandbox.edit(next.file, mistake, "");
}

/** Control and a gateway by themselves, without TLS, and the browser that all share. */
async function start(t: Test): Promise<{ control: Control; browser: Browser }> {
  const directory = await mkdtemp(join(tmpdir(), "sandboxd-dev-servers-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const data = join(directory, "data");
  const shared = {
    SANDBOXD_ENGINE: "process",
    PREVIEW_DOMAIN: domain,
    SANDBOXD_DATA_DIR: data,
    SANDBOXD_ENV_FILE: join(directory, "none"),
  };
  const gateway = new Program(t, "gateway", { ...shared, GATEWAY_BIND: "127.0.0.1:0", GATEWAY_WORKERS: "2" });
  const address = await gateway.listening("preview");
  const port = Number(new URL(`http://${address}`).port);
  const control = new Program(t, "control", {
    ...shared,
    HTTP_PORT: String(port),
    SANDBOXD_API_BIND: "127.0.0.1:0",
    SANDBOXD_GATEWAY_URL: `http://${address}`,
  });
  const api = await control.listening("api");
  return { control: { api, data }, browser: await startBrowser(t, { directory, domain, port }) };
}

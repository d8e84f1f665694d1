import type { Browser, Locator } from "playwright-core";
import type { Test } from "tap";
import { ask } from "./ask.ts";
import type { DevServer } from "./dev-server.ts";
import type { Sandbox } from "./sandbox.ts";
import { type Handshake, Visit } from "./visit.ts";

/** What every project's heading says at first. */
export const installed = "as it was installed";

/**
 * What a developer does with a new project: looks at its page, uses it, saves a file. The change comes without a reload,
 * over a socket of the preview host. Returns the visit, still open, and how its socket was opened.
 */
export async function develop(
  t: Test,
  browser: Browser,
  sandbox: Sandbox,
  { file, listensLate }: DevServer,
  { before, after }: { before: string; after: string },
): Promise<{ visit: Visit; handshake: Handshake }> {
  const visit = await Visit.open(browser, sandbox.url);
  await visit.shows(before);
  const handshake = await visit.listening;
  if (listensLate) await saveUntilSeen(sandbox, file, visit);
  const button = visit.page.getByRole("button", { name: "count is" });
  await button.click();
  await visit.mark();
  await sandbox.edit(file, before, after);
  await visit.shows(after);
  t.ok(await visit.isMarked(), "an edit appears without a reload");
  t.equal(await button.textContent(), "count is 1", "and the page keeps its state");
  const origin = sandbox.url.origin.replace("http", "ws");
  t.same(
    visit.sockets.filter((url) => new URL(url).origin !== origin),
    [],
    "every socket is one of the preview host",
  );
  t.same(visit.refused, [], "nothing is refused");
  return { visit, handshake };
}

/** Saves a page until an open visit takes notice without a reload, which would begin anew, and then as it was. */
export async function saveUntilSeen(sandbox: Sandbox, file: string, visit: Visit): Promise<void> {
  const text = await sandbox.read(file);
  for (let saves = 1; ; saves += 1) {
    const note = `saved ${saves} times`;
    await visit.mark();
    await sandbox.write(file, text.replace("</main>", `<p>${note}</p></main>`));
    if ((await appears(visit.page.getByText(note))) && (await visit.isMarked())) break;
  }
  await sandbox.write(file, text);
  await visit.page.getByText(/^saved \d+ times$/).waitFor({ state: "detached" });
}

async function appears(locator: Locator): Promise<boolean> {
  return await locator.waitFor({ timeout: 2000 }).then(
    () => true,
    () => false,
  );
}

/**
 * The page of a sandbox that goes to sleep stays open: its socket wakes nothing, and finds the sandbox once it is awake,
 * with what was saved meanwhile.
 */
export async function sleep(
  t: Test,
  sandbox: Sandbox,
  { file }: DevServer,
  { visit, handshake }: { visit: Visit; handshake: Handshake },
  { before, after }: { before: string; after: string },
): Promise<void> {
  await sandbox.stop();
  const { port, pathname, search } = new URL(handshake.url);
  const answer = await ask(Number(port), pathname + search, { headers: handshake.headers });
  t.match(
    { status: answer.status, ...answer.headers },
    { status: 503, "x-sandbox-gateway": "asleep" },
    "its socket may not wake it",
  );
  t.equal(await sandbox.status(), "stopped");
  await sandbox.edit(file, before, after);
  await sandbox.wake();
  await visit.shows(after);
  t.pass("the page that stayed open comes back by itself");
}

/** With the public host, the server refuses on its own account: the gateway passes on what it says. */
export async function refuse(t: Test, sandbox: Sandbox, { refuses: { path, says } }: DevServer): Promise<void> {
  const headers = { host: sandbox.url.host, origin: sandbox.url.origin, accept: "text/html" };
  const passed = await ask(Number(sandbox.url.port), path, { headers });
  const own = await ask(await sandbox.upstreamPort(), path, { headers });
  t.equal(passed.status, 403);
  t.match(passed.body, says);
  t.notOk("x-sandbox-gateway" in passed.headers, "it is not the gateway that refuses");
  t.same(
    { ...passed, headers: essential(passed.headers) },
    { ...own, headers: essential(own.headers) },
    "the server refuses the same way without the gateway",
  );
}

/** Without what each hop says for itself, and what the gateway adds for search engines. */
function essential(headers: Record<string, unknown>): Record<string, unknown> {
  const { date: _, connection, "keep-alive": keepAlive, "x-robots-tag": robots, ...rest } = headers;
  return rest;
}

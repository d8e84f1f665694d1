import type { Browser, Page } from "playwright-core";
import type { Test } from "tap";
import type { Sandbox } from "./sandbox.ts";
import { Visit } from "./visit.ts";

/**
 * A page with an EventSource, in a new sandbox of the project `event-stream`: each event is seen before the next one is
 * sent, and a stream that ends or breaks goes on after the last event that the page has. `host` is what the app is told.
 */
export async function followEvents(
  t: Test,
  browser: Browser,
  sandbox: Sandbox,
  { host }: { host: string },
): Promise<Visit> {
  const visit = await Visit.open(browser, sandbox.url);
  const { page } = visit;
  await page.getByText(`the app is ${host}`, { exact: true }).waitFor();
  await post(page, "/send", "first");
  await page.getByText("1 first", { exact: true }).waitFor();
  await post(page, "/send", "next");
  await page.getByText("2 next", { exact: true }).waitFor();
  await post(page, "/end");
  await post(page, "/send", "after an end");
  await page.getByText("3 after an end", { exact: true }).waitFor();
  await post(page, "/cut");
  await post(page, "/send", "after a cut");
  await page.getByText("4 after a cut", { exact: true }).waitFor();
  t.same(
    await page.getByRole("listitem").allTextContents(),
    ["1 first", "2 next", "3 after an end", "4 after a cut"],
    "every event comes once, and at once",
  );
  t.same(visit.refused, [], "nothing is refused");
  return visit;
}

/** Steers the app from its own page. */
async function post(page: Page, path: string, body = ""): Promise<void> {
  await page.evaluate(`fetch(${JSON.stringify(path)}, { method: "POST", body: ${JSON.stringify(body)} })`);
}

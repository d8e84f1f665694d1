import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";

/** A site of its own, where an app builder shows people the previews of their sandboxes. */
export const builder = "https://builder.example/";

/**
 * A page of the builder's with this preview in a frame, as the integrators' guide has it; the browser refuses third-party
 * cookies, as many do.
 */
export async function openBuilder(context: BrowserContext, src: string): Promise<Page> {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCookieControls", { enableThirdPartyCookieRestriction: true });
  const guide = await readFile(join(import.meta.dirname, "..", "docs", "private-previews.md"), "utf8");
  const frame = /^```html\n([\s\S]*?)^```$/m.exec(guide)![1]!.replace(/src="[^"]*"/, () => `src="${src}"`);
  const body = `<!doctype html><title>builder</title>${frame}`;
  await page.route(`${builder}**`, (route) => route.fulfill({ contentType: "text/html", body }));
  await page.goto(builder);
  return page;
}

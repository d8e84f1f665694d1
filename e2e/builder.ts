import type { BrowserContext, Page } from "playwright-core";

/** A site of its own, where an app builder shows people the previews of their sandboxes. */
export const builder = "https://builder.example/";

/** A page of the builder's with this preview in a frame; the browser refuses third-party cookies, as many do. */
export async function openBuilder(context: BrowserContext, src: string): Promise<Page> {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCookieControls", { enableThirdPartyCookieRestriction: true });
  const html = `<!doctype html><title>builder</title><iframe id="preview" src="${src}" width="600" height="300"></iframe>`;
  await page.route(`${builder}**`, (route) => route.fulfill({ contentType: "text/html", body: html }));
  await page.goto(builder);
  return page;
}

import { join } from "node:path";
import t from "tap";
import { claimsFor, hmacToken } from "../../control/testing/tokens.ts";
import { startBrowser } from "../browser.ts";
import { openBuilder } from "../builder.ts";
import { missingPart } from "../parts/parts.ts";
import { startStack } from "../stack.ts";
import { vite } from "./dev-server.ts";
import { installed } from "./development.ts";
import { missingProject } from "./projects.ts";
import { Sandbox } from "./sandbox.ts";

t.setTimeout(180_000);

const skip = missingPart("chromium", "root", "traefik") || missingProject("vite");
const secret = "the-secret-of-an-app-builder";

t.test(
  "an app builder's page on another site embeds a private Vite, which shows an edit at once",
  { skip },
  async (t) => {
    const stack = await startStack(t, { SANDBOXD_ENGINE: "process", SANDBOXD_PREVIEW_TOKEN_SECRETS: `main=${secret}` });
    const browser = await startBrowser(t, { ...stack, port: stack.httpsPort });
    const control = { api: stack.api, data: join(stack.directory, "data") };
    const sandbox = await Sandbox.create(control, vite.project, vite.command);
    await sandbox.makePrivate();
    await sandbox.wake();
    const context = await browser.newContext();
    context.setDefaultTimeout(60_000);
    const token = hmacToken("main", secret, claimsFor(sandbox.id));
    const page = await openBuilder(context, `${sandbox.url.href}?preview_token=${token}`);
    const frame = page.frameLocator("iframe");
    const shows = (heading: string) => frame.getByRole("heading", { name: heading, exact: true }).waitFor();
    await shows(installed);
    const inner = page.frames().find((each) => each.url().startsWith(sandbox.url.href))!;
    t.equal(inner.url(), sandbox.url.href);
    await frame.getByRole("button", { name: "count is" }).click();
    await inner.evaluate("window.mark = true");
    await sandbox.edit(vite.file, installed, "edited in the builder");
    await shows("edited in the builder");
    t.equal(await inner.evaluate("window.mark"), true, "without a reload: it came over the socket");
    t.equal(await frame.getByRole("button", { name: "count is" }).textContent(), "count is 1", "and its state is kept");
  },
);

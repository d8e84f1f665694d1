import { join } from "node:path";
import t from "tap";
import { isServed, startBrowser } from "../browser.ts";
import { eventually } from "../main-loop.ts";
import { missingPart } from "../parts/parts.ts";
import { startStack } from "../stack.ts";
import { vite } from "./dev-server.ts";
import { develop, installed } from "./development.ts";
import { followEvents } from "./event-stream.ts";
import { missingProject } from "./projects.ts";
import { Sandbox } from "./sandbox.ts";

t.setTimeout(180_000);

const skip = missingPart("chromium", "root", "traefik") || missingProject("vite");

t.test("development servers behind Traefik, over TLS", { skip }, async (t) => {
  const stack = await startStack(t, { SANDBOXD_ENGINE: "process" });
  const control = { api: stack.api, data: join(stack.directory, "data") };
  const browser = await startBrowser(t, { ...stack, port: stack.httpsPort });

  await t.test("vite", async (t) => {
    const sandbox = await Sandbox.create(control, vite.project, vite.command);
    await eventually(() => isServed(browser, sandbox.url));
    const { visit, handshake } = await develop(t, browser, sandbox, vite, { before: installed, after: "edited" });
    t.match(handshake.url, /^wss:/, "its socket is as safe as its page");
    await visit.shoot("vite-tls");
    await visit.close();
  });

  await t.test("a stream of events", async (t) => {
    const sandbox = await Sandbox.create(control, "event-stream", "node server.js");
    const visit = await followEvents(t, browser, sandbox, { host: "localhost:3000" });
    await visit.close();
  });
});

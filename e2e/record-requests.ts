import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { chromiumBinary } from "./parts/parts.ts";

/**
 * Records what Chromium says of itself in every kind of request that a preview gets, for the tests of the request
 * classes: `node e2e/record-requests.ts` writes gateway/fixtures/chromium-requests.json anew.
 */

type Recorded = { readonly method: string; readonly url: string; readonly rawHeaders: readonly string[] };

const target = join(import.meta.dirname, "..", "gateway", "fixtures", "chromium-requests.json");
const seen = new Map<string, Recorded>();
const waiting = new Map<string, () => void>();

/** Requests are told apart by the word after `as=` in their query, or by their path. */
function record(request: IncomingMessage): void {
  const name = new URL(request.url!, "http://a").searchParams.get("as") ?? request.url!;
  if (!seen.has(name)) {
    seen.set(name, { method: request.method!, url: request.url!, rawHeaders: request.rawHeaders });
  }
  waiting.get(name)?.();
}

async function recorded(...names: string[]): Promise<void> {
  await Promise.all(names.map((name) => seen.has(name) || new Promise<void>((done) => waiting.set(name, done))));
}

const types: Readonly<Record<string, string>> = {
  script: "text/javascript",
  worker: "text/javascript",
  "service-worker": "text/javascript",
  style: "text/css",
  image: "image/svg+xml",
};
const page = `<!doctype html><title>page</title><link rel="stylesheet" href="/style.css?as=style"><script src="/a.js?as=script"></script>
<img src="/a.svg?as=image"><iframe src="/frame?as=iframe"></iframe><a id="link" href="/next?as=link">next</a>
<form method="post" action="/form?as=form"><button>send</button></form>`;
/** A timer is nobody's doing. */
const reloading = `<!doctype html><title>page</title><script>setTimeout(() => {
  history.replaceState(null, "", "?as=self-reload");
  location.reload();
})</script>`;
const serviceWorker = `self.onfetch = (event) => {
  if (event.request.url.includes("through")) event.respondWith(fetch("/from-worker?as=service-worker-fetch"));
};
self.onactivate = (event) => event.waitUntil(clients.claim());`;

const inPage = `{
  const load = (tag, attributes) =>
    document.head.append(Object.assign(document.createElement(tag), attributes));
  fetch("/api?as=fetch");
  fetch("/api?as=post", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  const xhr = new XMLHttpRequest();
  xhr.open("GET", "/api?as=xhr");
  xhr.send();
  new EventSource("/events?as=event-source");
  navigator.sendBeacon("/beacon?as=beacon", "x");
  new Worker("/worker.js?as=worker");
  load("link", { rel: "prefetch", href: "/later?as=prefetch" });
  load("script", { type: "module", src: "/module.js?as=module" });
  const rules = { prerender: [{ source: "list", urls: ["/soon?as=prerender"] }] };
  load("script", { type: "speculationrules", textContent: JSON.stringify(rules) });
  const socket = (path, protocol) =>
    new WebSocket(location.origin.replace("http", "ws") + path, protocol);
  socket("/socket?as=socket");
  socket("/?token=vite-hmr", "vite-hmr");
  socket("/ping", "vite-ping");
  socket("/_next/webpack-hmr?id=a");
  socket("/ws");
  fetch("/?as=vite-ping", { mode: "no-cors", headers: { Accept: "text/x-vite-ping" } });
  new EventSource("/__webpack_hmr?as=hmr-events");
}`;
const throughServiceWorker = `(async () => {
  await navigator.serviceWorker.register("/sw.js?as=service-worker");
  await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise((done) => navigator.serviceWorker.addEventListener("controllerchange", done, { once: true }));
  }
  await fetch("/through");
})()`;

const server = createServer((request, response) => {
  record(request);
  const name = new URL(request.url!, "http://a").searchParams.get("as") ?? "";
  response.setHeader("content-type", types[name] ?? "text/html");
  if (name === "event-source") return response.setHeader("content-type", "text/event-stream").write(": open\n\n");
  response.end(
    name === "service-worker"
      ? serviceWorker
      : name === "image"
        ? "<svg xmlns='http://www.w3.org/2000/svg'/>"
        : types[name]
          ? ""
          : name === "reloading"
            ? reloading
            : page,
  );
});
server.on("upgrade", (request, socket) => {
  record(request);
  socket.destroy();
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.localhost:${(server.address() as AddressInfo).port}`;

const directory = await mkdtemp(join(tmpdir(), "record-"));
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const browser = await chromium.launchPersistentContext(directory, {
  executablePath: chromiumBinary,
  args: [...flags, "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.localhost 127.0.0.1"],
});
try {
  await visit(await browser.newPage());
  const requests = Object.fromEntries([...seen].sort(([one], [other]) => (one < other ? -1 : 1)));
  await writeFile(target, `${JSON.stringify(requests, undefined, 2).replaceAll(origin.slice(7), "HOST")}\n`);
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
  await rm(directory, { recursive: true, force: true });
}

async function visit(tab: Page): Promise<void> {
  await tab.goto(`${origin}/?as=navigation`);
  await recorded("navigation", "style", "script", "image", "iframe");
  await tab.evaluate(inPage);
  await recorded(
    "fetch",
    "xhr",
    "post",
    "event-source",
    "prefetch",
    "prerender",
    "socket",
    "worker",
    "beacon",
    "module",
    "vite-ping",
    "hmr-events",
  );
  await recorded("/?token=vite-hmr", "/ping", "/_next/webpack-hmr?id=a", "/ws");
  await tab.evaluate(throughServiceWorker);
  await recorded("service-worker", "service-worker-fetch");
  await tab.evaluate('history.replaceState(null, "", "?as=reload")');
  await tab.reload();
  await recorded("reload");
  await tab.click("#link");
  await recorded("link");
  await tab.goto(`${origin}/?as=navigation`);
  await tab.click("button");
  await recorded("form");
  await tab.goto(`${origin}/?as=reloading`);
  await recorded("self-reload");
}

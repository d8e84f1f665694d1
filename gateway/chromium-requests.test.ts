import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import t from "tap";
import type { RequestClass } from "#contract/gateway-api.ts";
import { classify } from "./request-class.ts";

type Recorded = { readonly method: string; readonly url: string; readonly rawHeaders: readonly string[] };

/** What Chromium sent, recorded by e2e/record-requests.ts. */
const requests: Readonly<Record<string, Recorded>> = JSON.parse(
  readFileSync(join(import.meta.dirname, "fixtures", "chromium-requests.json"), "utf8"),
);

const classes: Readonly<Record<string, RequestClass>> = {
  navigation: "navigation",
  link: "navigation",
  reload: "navigation",
  reloading: "navigation",
  "self-reload": "self-reload",
  iframe: "navigation",
  form: "navigation",
  prefetch: "prefetch",
  prerender: "prefetch",
  script: "subresource",
  module: "subresource",
  style: "subresource",
  image: "subresource",
  worker: "subresource",
  "service-worker": "subresource",
  "/favicon.ico": "subresource",
  fetch: "api",
  post: "api",
  xhr: "api",
  beacon: "api",
  "event-source": "api",
  "service-worker-fetch": "api",
  socket: "socket",
  "/?token=vite-hmr": "hmr-socket",
  "/ping": "hmr-socket",
  "/_next/webpack-hmr?id=a": "hmr-socket",
  "/ws": "hmr-socket",
  "vite-ping": "hmr-socket",
  "hmr-events": "hmr-socket",
};

t.test("classify() tells what Chromium sends apart", async (t) => {
  t.strictSame(Object.keys(requests).sort(), Object.keys(classes).sort(), "every recorded request has its class");
  for (const [name, { method, url, rawHeaders }] of Object.entries(requests)) {
    const headers: Record<string, string> = {};
    for (let index = 0; index < rawHeaders.length; index += 2)
      headers[rawHeaders[index]!.toLowerCase()] = rawHeaders[index + 1]!;
    const isUpgrade = headers.upgrade === "websocket";
    t.equal(classify({ method, headers } as unknown as IncomingMessage, url, isUpgrade), classes[name], name);
  }
});

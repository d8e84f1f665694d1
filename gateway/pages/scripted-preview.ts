import { EventEmitter, once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Page } from "./page.ts";
import { openPages } from "./pages.ts";

export const sandboxId = "01JB2Q8Z6X3V9K4M7N0P5R1S2T" as SandboxId;

/** A preview host for tests of the pages in a browser: the test decides what it answers and what its events say. */
export type ScriptedPreview = {
  readonly url: string;
  /** What navigations get; the waking page to begin with. */
  answer: (url: string) => Page | string;
  /** What the state path answers with: a stream of events, or a status alone. */
  stateStatus: number;
  readonly navigations: number;
  /** The queries of the streams of events so far. */
  readonly streams: readonly string[];
  /** Settles when the next stream of events is open. */
  streamOpened(): Promise<unknown>;
  state(state: object): void;
  log(line: string, stream?: "stdout" | "stderr", time?: string): void;
  /** Breaks all open streams. */
  cut(): void;
  close(): Promise<void>;
};

export async function openScriptedPreview(phase?: "asleep"): Promise<ScriptedPreview> {
  const pages = openPages();
  const streams = new Set<ServerResponse>();
  const queries: string[] = [];
  let navigations = 0;
  const opened = new EventEmitter();
  let lastState = "";
  const server = createServer((request, response) => {
    response.setHeader("Cache-Control", "no-store");
    const [path, query] = (request.url ?? "/").split("?");
    if (path !== "/.well-known/sandboxd/state") return answerNavigation(request.url ?? "/", response);
    response.setHeader("X-Sandbox-Gateway", "state");
    if (preview.stateStatus !== 200) return response.writeHead(preview.stateStatus).end();
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(`: open\n\n${lastState}`);
    queries.push(query === undefined ? "" : `?${query}`);
    streams.add(response.on("close", () => streams.delete(response)));
    opened.emit("stream");
  });

  function answerNavigation(url: string, response: ServerResponse) {
    if (url === "/favicon.ico") return response.writeHead(204).end();
    navigations++;
    const page = preview.answer(url);
    if (typeof page === "string") return response.writeHead(200, { "Content-Type": "text/html" }).end(page);
    const headers = { "Content-Type": "text/html", "Content-Security-Policy": page.contentSecurityPolicy };
    return response.writeHead(503, headers).end(page.html);
  }

  function send(event: string, data: object): string {
    const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const stream of streams) stream.write(text);
    return text;
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const preview = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: (url: string): Page | string => pages.waking({ sandboxId, port: 3000, url, phase }),
    stateStatus: 200,
    get navigations() {
      return navigations;
    },
    streams: queries,
    streamOpened: () => once(opened, "stream"),
    state(state: object) {
      lastState = send("state", state);
    },
    log(line: string, stream = "stdout", time = new Date().toISOString()) {
      send("log", { stream, time, line });
    },
    cut() {
      for (const stream of streams) stream.destroy();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return preview;
}

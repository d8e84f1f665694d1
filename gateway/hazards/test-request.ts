import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Route } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Exchange } from "../exchange.ts";
import { readRequestHead } from "../request-head.ts";
import { routeTo } from "./test-gateway.ts";

export const sandboxId = "01JB2Q8Z6X3V9K4M7N0P5R1S2T" as SandboxId;

export type RequestLines = {
  readonly method?: string;
  readonly target?: string;
  readonly version?: "1.0" | "1.1" | "1.2" | "2.0";
  /** Header lines as a client writes them, without line ends. */
  readonly headers?: readonly string[];
};

/** A request as Node's parser would hand it over. */
export function requestOf({
  method = "GET",
  target = "/",
  version = "1.1",
  headers = [],
}: RequestLines): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  request.method = method;
  request.url = target;
  request.httpVersion = version;
  request.httpVersionMajor = Number(version[0]);
  request.httpVersionMinor = Number(version[2]);
  const raw = headers.flatMap((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  // What the parser calls: it fills `rawHeaders`, and `headers` from them.
  (request as unknown as { _addHeaderLines(raw: string[], count: number): void })._addHeaderLines(raw, raw.length);
  return request;
}

/** An exchange of a sandbox's port 3000, past identify and classify unless `more` says otherwise. */
export function exchangeOf(lines: RequestLines, route: Partial<Route> = {}, more: Partial<Exchange> = {}): Exchange {
  const headers = lines.headers?.some((line) => /^host:/i.test(line))
    ? lines.headers
    : ["Host: preview.example", ...(lines.headers ?? [])];
  const request = requestOf({ ...lines, headers });
  const head = readRequestHead(request);
  if ("problem" in head) throw new Error(head.problem);
  return {
    request,
    response: new ServerResponse(request),
    head,
    client: { address: "192.0.2.7", chain: "192.0.2.7", scheme: "https", host: head.host, port: "443" },
    target: { id: sandboxId, port: 3000, route: routeTo(sandboxId, 4000, route) },
    class: "api",
    ...more,
  };
}

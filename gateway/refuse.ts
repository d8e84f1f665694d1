import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { RefusalCode } from "#contract/error-codes.ts";
import type { SandboxStatus } from "#contract/gateway-api.ts";
import type { Exchange } from "./exchange.ts";
import { closeLingering } from "./linger.ts";
import type { Page, Pages } from "./pages/pages.ts";
import { problemDocument } from "./pages/problem-document.ts";
import type { RefusalView } from "./pages/refusal-page.ts";
import { refusalTexts } from "./pages/refusal-texts.ts";
import { isNavigation } from "./request-class.ts";

/** What a refusal may say beyond its code. */
export type RefusalDetails = Omit<Partial<RefusalView>, "code" | "title">;

/** Answers exchanges in the gateway's own name. */
export class Refuser {
  readonly #pages: Pages;

  constructor(pages: Pages) {
    this.#pages = pages;
  }

  /** Refuses an exchange with its code's status, as a page or a problem document. Does nothing when an answer has begun. */
  refuse(exchange: Exchange, code: RefusalCode, details: RefusalDetails = {}): void {
    const { response } = exchange;
    if (response.headersSent || response.destroyed) return;
    const text = refusalTexts[code];
    const view: RefusalView = {
      ...details,
      code,
      status: details.status ?? text.status,
      title: text.title,
      detail: details.detail ?? text.detail,
      sandboxId: exchange.target?.id,
    };
    const headers = code === "unauthorized" ? ["WWW-Authenticate", "Bearer"] : [];
    if (view.retryAfterSeconds !== undefined) headers.push("Retry-After", String(view.retryAfterSeconds));
    if (wantsHtml(exchange)) {
      this.page(exchange, code, view.status, this.#pages.refusal(view), headers);
    } else {
      answer(
        exchange,
        code,
        view.status,
        [...headers, "Content-Type", "application/problem+json"],
        problemDocument(view),
      );
    }
  }

  /** Answers with a page of the gateway's own. */
  page(exchange: Exchange, code: string, status: number, page: Page, headers: readonly string[] = []): void {
    const type = ["Content-Type", "text/html; charset=utf-8", "Content-Security-Policy", page.contentSecurityPolicy];
    answer(exchange, code, status, [...headers, ...type], page.html);
  }
}

/** Answers in the gateway's own name: no cache keeps it, and clients can tell it from the app's answers. */
export function answer(
  exchange: Exchange,
  code: string,
  status: number,
  headers: readonly string[],
  body: string | Buffer = "",
): void {
  const { request, response } = exchange;
  if (response.headersSent || response.destroyed) return;
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const unread = exchange.upgrade !== undefined || code === "bad_request" || (hasBody(request) && !request.complete);
  const all = [...headers, ...ownHeaders(exchange, code)];
  // RFC 9110 §8.6.
  if (status !== 204) all.push("Content-Length", String(bytes.length));
  all.push("Date", new Date().toUTCString());
  if (unread) {
    all.push("Connection", "close");
    if (exchange.upgrade === undefined) closeLingering(request);
  }
  response.sendDate = false;
  // Named, because Node would otherwise keep the reason of an answer of the app's that it refused to send.
  response.writeHead(status, STATUS_CODES[status] ?? "", all);
  response.end(request.method === "HEAD" ? undefined : bytes);
}

/** RFC 9112 §6.3: without either there is none, even before Node's parser has said that a request is complete. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
}

/** What every answer of the gateway's own carries. */
export function ownHeaders(exchange: Exchange, code: string): readonly string[] {
  const headers = ["X-Sandbox-Gateway", code, ...stateHeader(exchange), "Cache-Control", "no-store"];
  if (exchange.cors !== undefined) headers.push(...exchange.cors);
  headers.push("X-Content-Type-Options", "nosniff", "X-Robots-Tag", "noindex");
  return headers;
}

/** `X-Sandbox-State`: the status of a known sandbox, `asleep` for both ways of sleeping. */
function stateHeader({ target }: Exchange): readonly string[] {
  return target === undefined ? [] : ["X-Sandbox-State", publicState(target.route.status)];
}

export function publicState(status: SandboxStatus): string {
  return status === "stopped" || status === "paused" ? "asleep" : status;
}

/** Pages are for people: whatever navigates, and whatever looks at pages like a browser and asks for HTML. */
function wantsHtml({ class: kind, request, upgrade }: Exchange): boolean {
  if (upgrade !== undefined) return false;
  if (isNavigation(kind)) return true;
  const accept = request.headers.accept;
  const asksForHtml = accept?.includes("text/html") ?? false;
  switch (kind) {
    case "prefetch":
    case "monitor":
    case "crawler":
    case "unfurler":
    case undefined:
      return asksForHtml && (request.method === "GET" || request.method === "HEAD");
    default:
      return false;
  }
}

import type { CredentialPlace, Grant } from "#contract/access.ts";
import { comesFromOwnHost } from "#contract/asking-page.ts";
import { mintSession } from "#contract/session.ts";
import { sessionCookie } from "#contract/session-cookie.ts";
import { withoutQueryTokens } from "#contract/token-query.ts";
import type { Exchange } from "../exchange.ts";
import type { Pages } from "../pages/pages.ts";
import { answer, type Refuser } from "../refuse.ts";
import { isNavigation, statePath } from "../request-class.ts";
import type { Admission } from "./admission.ts";

/** What is to be done with a request whose URL has a token in it. */
export type Redemption = "serve" | "show-page" | "open" | "clean-url";

/**
 * A person's navigation opens a session and loses the token from its URL. A program's request is served as it is. Whatever
 * looks at a link before a person does gets the page with the button: it spends nothing, gets no session and wakes nothing.
 */
export function redemptionOf(exchange: Exchange, place: CredentialPlace | undefined, limited: boolean): Redemption {
  if (exchange.upgrade !== undefined) return "serve";
  if (place !== "query") return isOpening(exchange) ? "clean-url" : "serve";
  if (isOnlyLooking(exchange)) return "show-page";
  if (isOpening(exchange)) return limited ? "show-page" : "open";
  if (!isEmptyForm(exchange)) return "serve";
  // A page that sends its visitor's browser here has pressed no button.
  return isFromOwnHost(exchange) ? "open" : "show-page";
}

function isOnlyLooking({ request, class: kind, head }: Exchange): boolean {
  if (request.method === "HEAD") return true;
  switch (kind) {
    case "prefetch":
    case "crawler":
    case "unfurler":
      return true;
    case "monitor":
      return head.target.split("?", 1)[0] !== statePath;
    default:
      return false;
  }
}

function isOpening({ request, class: kind }: Exchange): boolean {
  return isNavigation(kind) && request.method === "GET";
}

/** What the page's button posts. */
function isEmptyForm({ request, class: kind, head }: Exchange): boolean {
  if (request.method !== "POST" || head.body.kind !== "none") return false;
  const { "content-type": type = "", accept = "" } = request.headers;
  return isNavigation(kind) || type.startsWith("application/x-www-form-urlencoded") || accept.includes("text/html");
}

function isFromOwnHost({ request, head }: Exchange): boolean {
  const { origin, "sec-fetch-site": site } = request.headers;
  return comesFromOwnHost({ host: head.host, origin, site: site as string | undefined });
}

/** Shows the page with the button. */
export function showRedeemPage(exchange: Exchange, pages: Pages, refuser: Refuser): void {
  const page = pages.redeem({ sandboxId: exchange.target!.id, url: exchange.head.target });
  refuser.page(exchange, "redeem", 200, page, ["Referrer-Policy", "no-referrer"]);
}

/** Sends the browser to the same URL without the token; with a grant it gets a session on the way. */
export function redirectToCleanUrl(exchange: Exchange, grant: Grant | undefined, admission: Admission): void {
  const { settings } = admission.state;
  const headers = ["Location", samePath(withoutQueryTokens(exchange.head.target)), "Referrer-Policy", "no-referrer"];
  if (grant !== undefined && settings !== undefined) {
    const { token, maxAgeSeconds } = mintSession(grant, settings.sessionKey, Date.now());
    headers.push("Set-Cookie", sessionCookie(token, maxAgeSeconds, settings.secure));
  }
  answer(exchange, "redeem", 303, headers);
}

/** A path that begins with two slashes would name another host (RFC 3986 §4.2), and browsers read `\` as `/`. */
function samePath(target: string): string {
  return /^\/[/\\]/.test(target) ? `/.${target}` : target;
}

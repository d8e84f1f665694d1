import type { AccessReason } from "#contract/access.ts";
import { isForeignPage } from "#contract/asking-page.ts";
import { type Credential, type CredentialSources, readCredentials } from "#contract/credentials.ts";
import { mayHaveQueryToken, withoutQueryTokens } from "#contract/token-query.ts";
import type { Admission, Decision } from "../access/admission.ts";
import { deny } from "../access/denial.ts";
import { redemptionOf, redirectToCleanUrl, showRedeemPage } from "../access/redeem.ts";
import type { RefusalLedger } from "../access/refusal-ledger.ts";
import { ControlUnavailableError } from "../control-client.ts";
import type { Exchange, Handler, Middleware } from "../exchange.ts";
import type { Pages } from "../pages/pages.ts";
import type { Refuser } from "../refuse.ts";

export type AccessOptions = {
  readonly domain: string;
  readonly admission: Admission;
  readonly refusals: RefusalLedger;
  readonly refuser: Refuser;
  readonly pages: Pages;
};

/**
 * Lets into a private preview whoever has a credential for it. Nothing behind it, a wake least of all, learns of a request
 * that is turned away. What is known is decided at once; a request is held only while a new token is verified.
 */
export function access(options: AccessOptions): Middleware {
  return (next) => (exchange) => {
    if (exchange.target!.route.visibility === "public") return admitToPublic(exchange, next, options);
    const { admission, refuser, domain } = options;
    const { settings } = admission.state;
    if (settings === undefined) return refuser.refuse(exchange, "control_unavailable", { retryAfterSeconds: 1 });
    const credentials = readCredentials(sourcesOf(exchange, domain), settings.secure);
    const decision = admission.decideNow(credentials, exchange.target!);
    if (decision !== undefined) return conclude(exchange, decision, next, options);
    void decideLater(exchange, credentials, next, options);
  };
}

/** Nobody is asked for anything, but a token in the URL is nobody's business either. */
function admitToPublic(exchange: Exchange, next: Handler, { admission }: AccessOptions): void {
  if (!mayHaveQueryToken(exchange.head.target)) return next(exchange);
  const clean = withoutQueryTokens(exchange.head.target);
  if (clean !== exchange.head.target && redemptionOf(exchange, undefined, false) === "clean-url") {
    return redirectToCleanUrl(exchange, undefined, admission);
  }
  exchange.head = { ...exchange.head, target: clean };
  next(exchange);
}

/** A session is for the sandbox's own pages: when another one asks, the browser's cookie says nothing. */
function sourcesOf(exchange: Exchange, domain: string): CredentialSources {
  const { request, head } = exchange;
  const { cookie, authorization, "x-preview-token": previewToken } = request.headers;
  const counts = cookie !== undefined && !comesFromForeignPage(exchange, domain);
  const sources = { authorization, previewToken: previewToken as string | undefined, target: head.target };
  return { cookie: counts ? cookie : undefined, ...sources };
}

function comesFromForeignPage({ request, head, target }: Exchange, domain: string): boolean {
  const { origin, referer, "sec-fetch-site": site, "sec-fetch-mode": mode } = request.headers;
  const asking = { method: request.method!, host: head.host, origin, referer };
  const { id, route } = target!;
  const preview = { id, domain, origins: route.cors?.origins ?? [] };
  return isForeignPage({ ...asking, site: site as string | undefined, mode: mode as string | undefined }, preview);
}

async function decideLater(
  exchange: Exchange,
  credentials: readonly Credential[],
  next: Handler,
  options: AccessOptions,
): Promise<void> {
  const isGone = () => exchange.response.destroyed;
  try {
    const decision = await options.admission.decide(credentials, exchange.target!);
    if (!isGone()) conclude(exchange, decision, next, options);
  } catch (error) {
    if (!(error instanceof ControlUnavailableError)) throw error;
    options.refuser.refuse(exchange, "control_unavailable", { retryAfterSeconds: 5 });
  }
}

function conclude(exchange: Exchange, decision: Decision, next: Handler, options: AccessOptions): void {
  if (decision.kind === "denied") return turnAway(exchange, decision.reason, decision.credential, options);
  const { grant, credential, limited } = decision;
  const { target } = exchange.head;
  const clean = mayHaveQueryToken(target) ? withoutQueryTokens(target) : target;
  const isShare = grant.kind === "share";
  const redemption = clean === target ? "serve" : redemptionOf(exchange, credential.place, limited);
  switch (redemption) {
    case "show-page":
      return showRedeemPage(exchange, options.pages, options.refuser);
    case "clean-url":
      return redirectToCleanUrl(exchange, undefined, options.admission);
    case "open":
      if (!isShare) return redirectToCleanUrl(exchange, grant, options.admission);
      return void spend(exchange, credential, options, () => redirectToCleanUrl(exchange, grant, options.admission));
    case "serve": {
      const serve = () => {
        exchange.grant = grant;
        exchange.credential = credential.place;
        if (clean !== target) exchange.head = { ...exchange.head, target: clean };
        next(exchange);
      };
      return isShare ? void spend(exchange, credential, options, serve) : serve();
    }
    default: {
      const never: never = redemption;
      throw new Error(`unknown redemption: ${never}`);
    }
  }
}

/** Uses a share once, and goes on if that was still possible. */
async function spend(
  exchange: Exchange,
  credential: Credential,
  options: AccessOptions,
  goOn: () => void,
): Promise<void> {
  try {
    const finding = await options.admission.spend(credential, exchange.target!);
    if (exchange.response.destroyed) return;
    if ("grant" in finding) return goOn();
    turnAway(exchange, finding.reason, credential, options);
  } catch (error) {
    if (!(error instanceof ControlUnavailableError)) throw error;
    options.refuser.refuse(exchange, "control_unavailable", { retryAfterSeconds: 5 });
  }
}

function turnAway(
  exchange: Exchange,
  reason: AccessReason,
  credential: Credential | undefined,
  options: AccessOptions,
): void {
  options.refusals.note(exchange, reason, credential?.place ?? null);
  deny(exchange, reason, options);
}

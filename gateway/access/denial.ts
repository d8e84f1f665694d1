import type { AccessReason } from "#contract/access.ts";
import { withoutQueryTokens } from "#contract/token-query.ts";
import type { Exchange } from "../exchange.ts";
import { answer, type Refuser } from "../refuse.ts";
import { isNavigation } from "../request-class.ts";
import type { Admission } from "./admission.ts";

export type DenialOptions = { readonly admission: Admission; readonly refuser: Refuser };

/**
 * Turns a request away. A navigation is sent to where its visitor can sign in, at once or by the page that says so; all
 * else, upgrades included, gets 401.
 */
export function deny(exchange: Exchange, reason: AccessReason, { admission, refuser }: DenialOptions): void {
  const { settings } = admission.state;
  const url = isNavigation(exchange.class) ? signInUrl(exchange, admission) : undefined;
  if (url === undefined || settings === undefined) return refuser.refuse(exchange, "unauthorized", { reason });
  switch (settings.denyMode) {
    case "redirect":
      return answer(exchange, "unauthorized", 302, ["Location", url, "Referrer-Policy", "no-referrer"]);
    case "meta-refresh":
      return refuser.refuse(exchange, "unauthorized", { reason, url, refreshSeconds: 0, action: "retry" });
    default: {
      const never: never = settings.denyMode;
      throw new Error(`unknown deny mode: ${never}`);
    }
  }
}

function signInUrl({ head, target, client }: Exchange, { state }: Admission): string | undefined {
  const { settings } = state;
  if (settings === undefined || settings.redirectUrl === null) return undefined;
  const scheme = settings.secure ? "https" : client.scheme;
  const back = `${scheme}://${head.host}${withoutQueryTokens(head.target)}`;
  return settings.redirectUrl
    .replaceAll("{sandbox_id}", () => encodeURIComponent(target!.id))
    .replaceAll("{return}", () => encodeURIComponent(back));
}

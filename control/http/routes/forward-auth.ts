import type { FastifyReply, FastifyRequest } from "fastify";
import { type AskingPage, comesFromOwnHost } from "#contract/asking-page.ts";
import type { PreviewOrigin } from "#contract/preview-host.ts";
import { mintSession } from "#contract/session.ts";
import { sessionCookie } from "#contract/session-cookie.ts";
import { withoutQueryTokens } from "#contract/token-query.ts";
import { type Decision, decideForwarded, type ForwardedRequest, type Opening } from "../../access/forward-auth.ts";
import { readReturnUrl } from "../../access/return-url.ts";
import type { Api } from "../api.ts";
import { recordRefusal } from "../preview-refusals.ts";
import type { ApiServer } from "../server.ts";

type Asked = ForwardedRequest & { readonly isNavigation: boolean; readonly scheme: "http" | "https" };
type Denied = Extract<Decision, { kind: "denied" }>;

/** The word for proxies that route around the gateway. */
export function forwardAuthRoutes(server: ApiServer, api: Api): void {
  const summary = "Whether a forwarded request may pass (Traefik's forwardAuth)";
  server.route({
    method: ["GET", "HEAD"],
    url: "/forward-auth",
    schema: { tags: ["access"], summary },
    handler: async (request, reply) => {
      const asked = readForwarded(request);
      const now = () => api.use.now();
      const find = api.use.records.get.bind(api.use.records);
      const decision = await decideForwarded(asked, api.access, { domain: api.resources.origin.domain, find, now });
      return answer(api, request, asked, decision, reply);
    },
  });
}

function readForwarded({ headers }: FastifyRequest): Asked {
  const text = (name: string) => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(",") : value;
  };
  const page: AskingPage = {
    method: text("x-forwarded-method") ?? "GET",
    host: text("x-forwarded-host") ?? "",
    origin: text("origin"),
    referer: text("referer"),
    site: text("sec-fetch-site"),
    mode: text("sec-fetch-mode"),
  };
  const isVisit = page.mode === "navigate" || (text("accept")?.includes("text/html") ?? false);
  const isForm = text("content-type")?.startsWith("application/x-www-form-urlencoded") ?? false;
  return {
    ...page,
    target: text("x-forwarded-uri") ?? "/",
    cookie: text("cookie"),
    previewToken: text("x-preview-token"),
    authorization: text("authorization"),
    scheme: text("x-forwarded-proto") === "https" ? "https" : "http",
    isNavigation: page.method === "GET" && isVisit,
    opening: openingOf(page, { isVisit, isForm, isLook: looks(text("user-agent"), text("sec-purpose")) }),
  };
}

function openingOf(page: AskingPage, { isVisit, isForm, isLook }: Record<`is${string}`, boolean>): Opening {
  if (page.method === "HEAD" || isLook) return "look";
  if (page.method === "GET") return isVisit ? "navigation" : "program";
  if (page.method !== "POST" || !isVisit || !isForm) return "program";
  return comesFromOwnHost(page) ? "button" : "look";
}

/** What looks at a link before a person does, by what it says of itself. */
function looks(agent = "", purpose = ""): boolean {
  const robots = /bot\b|crawl|spider|slurp|facebookexternalhit|whatsapp|preview|unfurl|embedly|iframely|scan|monitor/i;
  return robots.test(agent) || /prefetch|prerender/i.test(purpose);
}

/** 2xx lets the request pass, with the visitor's identity; anything else is the visitor's answer. */
function answer(
  api: Api,
  request: FastifyRequest,
  asked: Asked,
  decision: Decision,
  reply: FastifyReply,
): FastifyReply {
  const { access, resources, use } = api;
  reply.header("cache-control", "no-store");
  const { settings } = access.keeper.state;
  switch (decision.kind) {
    case "public":
      return reply.code(200).send();
    case "admitted": {
      const { grant, place } = decision;
      const opens = asked.opening === "navigation" || asked.opening === "button";
      if (place === "query" && opens && request.method === "GET") {
        const { token, maxAgeSeconds } = mintSession(grant, settings!.sessionKey, use.now());
        reply.header("set-cookie", sessionCookie(token, maxAgeSeconds, settings!.secure));
        return reply.code(303).header("referrer-policy", "no-referrer").header("location", cleanUrl(asked)).send();
      }
      if (grant.subject !== undefined) reply.header("x-sandbox-external-user-id", encodeSubject(grant.subject));
      return reply.code(200).send();
    }
    case "offered":
      return offer(reply);
    case "denied": {
      recordRefusal(api, request, { ...decision, class: asked.isNavigation ? "navigation" : "api" });
      const url = asked.isNavigation ? signInUrl(settings!.redirectUrl, decision, asked, resources.origin) : undefined;
      if (url === undefined) return sayNo(decision, reply);
      reply.header("referrer-policy", "no-referrer");
      return settings!.denyMode === "redirect" ? reply.code(302).header("location", url).send() : leadOn(url, reply);
    }
    default: {
      const never: never = decision;
      throw new Error(`unknown decision: ${JSON.stringify(never)}`);
    }
  }
}

function cleanUrl({ target, host, scheme }: Asked): string {
  return `${scheme}://${host}${withoutQueryTokens(target)}`;
}

function encodeSubject(subject: string): string {
  return Buffer.from(subject).toString("latin1");
}

/** Only a preview of ours is a place to come back to. */
function signInUrl(template: string | null, { id }: Denied, asked: Asked, origin: PreviewOrigin): string | undefined {
  if (template === null) return undefined;
  const back = readReturnUrl(cleanUrl(asked), origin)?.href ?? "";
  return template
    .replaceAll("{sandbox_id}", () => encodeURIComponent(id ?? ""))
    .replaceAll("{return}", () => encodeURIComponent(back));
}

function sayNo({ reason }: Denied, reply: FastifyReply): FastifyReply {
  const problem = { type: "about:blank", title: "This preview is private", status: 401, code: "unauthorized", reason };
  reply.code(401).header("www-authenticate", "Bearer").type("application/problem+json");
  return reply.send(JSON.stringify(problem));
}

function leadOn(url: string, reply: FastifyReply): FastifyReply {
  const target = url.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
  reply.code(401).header("www-authenticate", "Bearer");
  return page(`<meta http-equiv="refresh" content="0;url=${target}"><title>This preview is private</title>`, reply);
}

/** A proxy shows its visitor what is no 2xx. The form posts to the page's own URL, where the link's token is. */
function offer(reply: FastifyReply): FastifyReply {
  reply.code(401).header("referrer-policy", "no-referrer");
  return page(
    '<title>Open the preview</title><h1>You are invited to a private preview</h1><form method="post"><button>Open the preview</button></form>',
    reply,
  );
}

function page(html: string, reply: FastifyReply): FastifyReply {
  reply.header("content-security-policy", "default-src 'none'; form-action 'self'; base-uri 'none'");
  return reply.type("text/html; charset=utf-8").send(`<!doctype html>${html}`);
}

import type { FastifyReply, FastifyRequest } from "fastify";
import Type from "typebox";
import { type PreviewOrigin, previewUrl } from "#contract/preview-host.ts";
import { readToken } from "#contract/preview-token.ts";
import { parseSandboxId } from "#contract/sandbox-id.ts";
import { mintSession } from "#contract/session.ts";
import { sessionCookie } from "#contract/session-cookie.ts";
import { isShareToken } from "#contract/share-token.ts";
import { withoutQueryTokens } from "#contract/token-query.ts";
import { type Decision, decideForwarded, type ForwardedRequest } from "../../access/forward-auth.ts";
import { type ReturnUrl, readReturnUrl } from "../../access/return-url.ts";
import { ApiError } from "../../api-error.ts";
import type { Api } from "../api.ts";
import type { ApiServer } from "../server.ts";

const landingQuery = Type.Object({ token: Type.String(), return: Type.Optional(Type.String()) });

/** The landing for visitors with a token, and the word for proxies that route around the gateway. */
export function accessRoutes(server: ApiServer, api: Api): void {
  const tags = ["access"];
  const landing = { tags, summary: "Send a visitor with a token on to a preview", querystring: landingQuery };
  server.get("/preview-auth", { schema: landing }, async ({ query }, reply) => land(api, query, reply));
  const forwarded = { tags, summary: "Whether a forwarded request may pass (Traefik's forwardAuth)" };
  server.route({
    method: ["GET", "HEAD"],
    url: "/forward-auth",
    schema: forwarded,
    handler: async (request, reply) => {
      const asked = readForwarded(request);
      const now = () => api.use.now();
      const find = api.use.records.get.bind(api.use.records);
      const decision = await decideForwarded(asked, api.access, { domain: api.resources.origin.domain, find, now });
      return answerForwarded(api, request, asked, decision, reply);
    },
  });
}

/**
 * The preview host opens the session itself: the token goes there, if it is good for where its bearer wants to go. Nothing
 * is spent or opened here, whoever asks.
 */
async function land(api: Api, query: { token: string; return?: string }, reply: FastifyReply): Promise<FastifyReply> {
  const { token } = query;
  const { origin } = api.resources;
  reply.header("cache-control", "no-store").header("referrer-policy", "no-referrer");
  const target = query.return === undefined ? ownPreview(api, token) : readReturnUrl(query.return, origin);
  if (target === undefined)
    throw new ApiError("invalid_request", "query: return must be a preview of the token's sandbox");
  if (!(await opens(api, token, target))) throw new ApiError("unauthorized", "unauthorized");
  const url = new URL(target.href);
  url.search = withToken(withoutQueryTokens(`/${url.search}`).slice(1), token);
  return reply.code(303).header("location", url.href).send();
}

/** Whether the token is good for that preview, whoever may see it. */
async function opens({ access, use }: Api, token: string, { id, port }: ReturnUrl): Promise<boolean> {
  if (isShareToken(token)) return access.shares.redeem({ token, id, port, spend: false }).outcome === "granted";
  const found = await access.verifier.verify(token, false);
  const sandbox = use.records.get(id);
  if (!sandbox?.ports.includes(port)) return false;
  const owner = sandbox.external.userId;
  return "grant" in found && access.keeper.state.judge(found.grant, { id, port, owner }, use.now()) === undefined;
}

function withToken(search: string, token: string): string {
  return `${search}${search === "" ? "?" : "&"}preview_token=${encodeURIComponent(token)}`;
}

/** Where a token leads that comes without a place to go to: the port that it names, or the first one. */
function ownPreview({ use, resources }: Api, token: string): ReturnUrl | undefined {
  const payload = readToken(token)?.payload;
  const id = typeof payload?.sandbox_id === "string" ? parseSandboxId(payload.sandbox_id) : undefined;
  const sandbox = id === undefined ? undefined : use.records.get(id);
  if (sandbox === undefined) return undefined;
  const port = sandbox.ports.find((each) => each === payload?.port) ?? sandbox.ports[0]!;
  return { id: sandbox.id, port, href: previewUrl(resources.origin, sandbox.id, port) };
}

type Asked = ForwardedRequest & { readonly isNavigation: boolean; readonly scheme: string };

function readForwarded({ headers }: FastifyRequest): Asked {
  const text = (name: string) => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(",") : value;
  };
  const isNavigation =
    (text("x-forwarded-method") ?? "GET") === "GET" &&
    (text("sec-fetch-mode") === "navigate" || (text("accept")?.includes("text/html") ?? false));
  return {
    host: text("x-forwarded-host"),
    target: text("x-forwarded-uri") ?? "/",
    cookie: text("cookie"),
    previewToken: text("x-preview-token"),
    authorization: text("authorization"),
    scheme: text("x-forwarded-proto") === "https" ? "https" : "http",
    isNavigation,
  };
}

/** 2xx lets the request pass, with the visitor's identity; anything else is the visitor's answer. */
function answerForwarded(
  { access, resources, use }: Api,
  request: FastifyRequest,
  asked: Asked,
  decision: Decision,
  reply: FastifyReply,
): FastifyReply {
  reply.header("cache-control", "no-store");
  const { settings } = access.keeper.state;
  switch (decision.kind) {
    case "public":
      return reply.code(200).send();
    case "admitted": {
      const { grant, place } = decision;
      if (place === "query" && asked.isNavigation && request.method === "GET") {
        const { token, maxAgeSeconds } = mintSession(grant, settings!.sessionKey, use.now());
        reply.header("set-cookie", sessionCookie(token, maxAgeSeconds, settings!.secure));
        return reply.code(303).header("referrer-policy", "no-referrer").header("location", cleanUrl(asked)).send();
      }
      if (grant.subject !== undefined) reply.header("x-sandbox-external-user-id", encodeSubject(grant.subject));
      return reply.code(200).send();
    }
    case "denied": {
      const url = asked.isNavigation ? signInUrl(settings!.redirectUrl, decision, asked, resources.origin) : undefined;
      if (url !== undefined && settings!.denyMode === "redirect") return reply.code(302).header("location", url).send();
      return answerDenied(decision, url, reply);
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
function signInUrl(
  template: string | null,
  { id }: Extract<Decision, { kind: "denied" }>,
  asked: Asked,
  origin: PreviewOrigin,
): string | undefined {
  if (template === null) return undefined;
  const back = readReturnUrl(cleanUrl(asked), origin)?.href ?? "";
  return template
    .replaceAll("{sandbox_id}", () => encodeURIComponent(id ?? ""))
    .replaceAll("{return}", () => encodeURIComponent(back));
}

function answerDenied(
  { reason }: Extract<Decision, { kind: "denied" }>,
  url: string | undefined,
  reply: FastifyReply,
): FastifyReply {
  reply.code(401).header("www-authenticate", "Bearer");
  if (url !== undefined) {
    const refresh = url.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
    return reply
      .type("text/html; charset=utf-8")
      .send(
        `<!doctype html><meta http-equiv="refresh" content="0;url=${refresh}"><title>This preview is private</title>`,
      );
  }
  const problem = { type: "about:blank", title: "This preview is private", status: 401, code: "unauthorized", reason };
  return reply.type("application/problem+json").send(JSON.stringify(problem));
}

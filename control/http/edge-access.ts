import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { type ApiToken, includes, scopeOf } from "../access/api-token.ts";
import type { ApiTokens } from "../access/api-tokens.ts";
import { CallRate } from "../access/call-rate.ts";
import { Guesses } from "../access/guesses.ts";
import { ApiError, notFound } from "../api-error.ts";
import type { Caller } from "./door.ts";

export type EdgeAccessOptions = {
  readonly disabled: boolean;
  readonly tokens: ApiTokens;
  /** Of one token; 0: any number. */
  readonly callsPerSecond: number;
  readonly guesses?: Guesses;
};

const anonymous: Caller = { kind: "anonymous", name: "anonymous" };
const openAtTheEdge: ReadonlySet<string> = new Set([
  "/healthz",
  "/readyz",
  "/preview-auth",
  "/forward-auth",
  "/llm.txt",
]);
const hiddenAtTheEdge = "/metrics";

/** Who may call from beyond this machine: the same for both doors. */
export class EdgeAccess {
  readonly #options: EdgeAccessOptions;
  readonly #rate: CallRate;
  readonly #guesses: Guesses;

  constructor(options: EdgeAccessOptions) {
    this.#options = options;
    this.#rate = new CallRate(options.callsPerSecond, () => performance.now());
    this.#guesses = options.guesses ?? new Guesses(() => performance.now());
  }

  /** Who makes this call. Throws ApiError `unauthorized`, `forbidden`, `not_found` or `too_many_requests`. */
  admit(request: FastifyRequest): Caller | Promise<Caller> {
    // The route and not the path: a path has many spellings.
    const route = request.routeOptions.url ?? "";
    if (route === hiddenAtTheEdge) throw notFound("Not found");
    if (openAtTheEdge.has(route)) return anonymous;
    if (this.#options.disabled) return admitAnybody(request);
    const { authorization } = request.headers;
    const token = findToken(authorization, this.#options.tokens.all);
    if (token === undefined) return this.#refuse(addressOf(request), authorization !== undefined);
    const caller: Caller = { kind: "token", name: token.name, token };
    request.caller = caller;
    const retryAfterSeconds = this.#rate.take(token.name);
    if (retryAfterSeconds > 0) throw new ApiError("too_many_requests", "Too many calls", { retryAfterSeconds });
    const needed = scopeOf(request.method, route);
    if (!includes(token.scope, needed))
      throw new ApiError("forbidden", `This call needs a token of the scope ${needed}`);
    return caller;
  }

  async #refuse(address: string, guessed: boolean): Promise<never> {
    if (guessed && !(await this.#guesses.wrong(address))) {
      throw new ApiError("too_many_requests", "Too many wrong secrets", { retryAfterSeconds: 5 });
    }
    throw new ApiError("unauthorized", "unauthorized");
  }
}

/** Without tokens there is nothing that a page of another origin could not send, a sandbox's own page included. */
function admitAnybody({ raw }: FastifyRequest): Caller {
  const { host, origin, "sec-fetch-site": site } = raw.headers;
  const isForeign = origin !== undefined && URL.parse(origin)?.host !== host?.toLowerCase();
  const isElsewhere = site !== undefined && site !== "same-origin" && site !== "none";
  if (isForeign || isElsewhere) throw new ApiError("forbidden", "Another origin may not call here");
  return anonymous;
}

/** Where a call comes from, as far as whoever passed it on can be believed: the gateway says so in X-Real-Ip. */
export function addressOf({ raw }: FastifyRequest): string {
  const { "x-real-ip": real, "x-forwarded-for": chain } = raw.headers;
  if (typeof real === "string" && real !== "") return real;
  const last = (Array.isArray(chain) ? chain.join(",") : (chain ?? "")).split(",").at(-1)!.trim();
  return last || raw.socket.remoteAddress || "local";
}

/** Compares with every secret, each in constant time, whatever the first ones say. */
function findToken(authorization: string | undefined, tokens: readonly ApiToken[]): ApiToken | undefined {
  const secret = /^bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? "")?.[1];
  if (secret === undefined) return undefined;
  const given = digest(secret);
  let found: ApiToken | undefined;
  for (const token of tokens) if (timingSafeEqual(digest(token.secret), given)) found = token;
  return found;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

import { AsyncLocalStorage } from "node:async_hooks";
import acme from "acme-client";

/** What a CA refuses (RFC 8555 §6.7), or that it does not answer. */
export class AuthorityError extends Error {
  override readonly name = "AuthorityError";
  /** 0: no answer. */
  readonly status: number;
  /** Such as `rateLimited`; empty for an answer that is no problem document. */
  readonly type: string;
  readonly retryAfterMs: number | null;

  constructor(message: string, status: number, type: string, retryAfterMs: number | null, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.type = type;
    this.retryAfterMs = retryAfterMs;
  }
}

const answerMs = 30_000;
const longestAnswer = 1024 * 1024;
/** acme-client tries five times by itself; a CA that refuses a share of all nonces is asked again after that. */
const nonceRounds = 4;

type Call = { readonly signal: AbortSignal; refusal: Refusal | undefined; retryAfterMs: number | null };
type Refusal = { readonly status: number; readonly type: string; readonly detail: string };

const current = new AsyncLocalStorage<Call>();

// Its own interceptors wait out a Retry-After, however long, and hide why a connection failed.
acme.axios.interceptors.request.clear();
acme.axios.interceptors.response.clear();
acme.axios.interceptors.request.use((config) => {
  const call = current.getStore();
  config.timeout = answerMs;
  config.maxContentLength = longestAnswer;
  if (call !== undefined) config.signal = call.signal;
  return config;
});
acme.axios.interceptors.response.use((answer) => {
  const call = current.getStore();
  if (call === undefined) return answer;
  call.retryAfterMs = parseRetryAfter(answer.headers["retry-after"], Date.now());
  call.refusal = answer.status >= 400 ? readRefusal(answer.status, answer.data) : undefined;
  return answer;
});

/** What `work` asks of a CA, with acme-client; it ends with the signal. Throws AuthorityError for what the CA refuses. */
export async function callAuthority<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return (await callForAnswer(signal, work)).result;
}

/** As above, with how long the last answer asked to wait. */
export async function callForAnswer<T>(
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly retryAfterMs: number | null }> {
  for (let round = 1; ; round++) {
    signal.throwIfAborted();
    const call: Call = { signal, refusal: undefined, retryAfterMs: null };
    try {
      const result = await current.run(call, work);
      return { result, retryAfterMs: call.retryAfterMs };
    } catch (error) {
      signal.throwIfAborted();
      if (call.refusal?.type === "badNonce" && round < nonceRounds) continue;
      throw toAuthorityError(error as NodeJS.ErrnoException, call);
    }
  }
}

/** A plain GET of JSON, for what acme-client does not know. Throws AuthorityError. */
export async function getJson(url: string, signal: AbortSignal) {
  return callForAnswer(signal, async (): Promise<unknown> => {
    const { status, data } = await acme.axios.get(url, { validateStatus: null });
    if (status !== 200) throw new Error(`answers ${status}`);
    return data;
  });
}

function toAuthorityError(cause: NodeJS.ErrnoException, { refusal, retryAfterMs }: Call): AuthorityError {
  if (refusal === undefined) {
    return new AuthorityError(`the CA does not answer: ${cause.code ?? cause.message}`, 0, "", null, { cause });
  }
  const { status, type, detail } = refusal;
  return new AuthorityError(`the CA refuses: ${detail} (${type || status})`, status, type, retryAfterMs, { cause });
}

const prefix = "urn:ietf:params:acme:error:";

function readRefusal(status: number, body: unknown): Refusal {
  const { type, detail, subproblems } = (body ?? {}) as Record<string, unknown>;
  const details = [detail, ...(Array.isArray(subproblems) ? subproblems.map((each) => each?.detail) : [])];
  return {
    status,
    type: typeof type === "string" ? type.replace(prefix, "") : "",
    detail: details.filter((each) => typeof each === "string").join("; ") || `status ${status}`,
  };
}

/** Seconds, or a date (RFC 9110 §10.2.3); null for what is neither or lies in the past. */
export function parseRetryAfter(text: unknown, now: number): number | null {
  if (typeof text !== "string" || text === "") return null;
  const milliseconds = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return milliseconds > 0 ? milliseconds : null;
}

import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import type { ApiErrorCode } from "#contract/error-codes.ts";
import { ApiError } from "../api-error.ts";
import { EngineError } from "../engines/sandbox-engine.ts";
import { ValidationError } from "./validation.ts";

/** The one table from code to status. */
const statusOf: Readonly<Record<ApiErrorCode, number>> = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  already_exists: 409,
  conflict: 409,
  idempotency_conflict: 409,
  workspace_owner_mismatch: 409,
  precondition_failed: 412,
  too_large: 413,
  image_not_found: 422,
  start_failed: 422,
  exited: 422,
  too_many_requests: 429,
  internal: 500,
  engine_unavailable: 503,
  low_memory: 503,
  queue_full: 503,
};

const retryable: ReadonlySet<ApiErrorCode> = new Set([
  "too_many_requests",
  "engine_unavailable",
  "low_memory",
  "queue_full",
]);
const defaultRetryAfterSeconds = 5;

/** Whether the same call may succeed a little later without anything being changed. */
export function isRetryable({ code, retryAfterSeconds }: ApiError): boolean {
  return retryable.has(code) || retryAfterSeconds !== undefined;
}

export type ErrorAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
};

/** An error as the caller sees it: by code below `/v1`, as a mere message on the short forms. */
export function errorAnswer(error: ApiError, url: string): ErrorAnswer {
  const { code, message } = error;
  const status = statusOf[code];
  if (code === "unauthorized") {
    return { status, headers: { "www-authenticate": "Bearer" }, body: { error: "unauthorized" } };
  }
  const retryAfter =
    error.retryAfterSeconds ?? (status === 503 || status === 429 ? defaultRetryAfterSeconds : undefined);
  const headers: Record<string, string> = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
  const body = isVersioned(url)
    ? { error: { code, message, retryable: isRetryable(error), ...error.detail } }
    : { error: message };
  return { status, headers, body };
}

/** Answers with an error and logs those that are ours. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = toApiError(error);
  if (known.code === "internal")
    // Without its query, which may have a token in it.
    request.log.error({ err: error, method: request.method, path: request.url.split("?", 1)[0] }, "internal error");
  const { status, headers, body } = errorAnswer(known, request.url);
  return reply.code(status).headers(headers).type("application/json; charset=utf-8").send(JSON.stringify(body));
}

/** What any thrown value means for the caller. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof ValidationError) return new ApiError("invalid_request", error.message, { cause: error });
  if (error instanceof EngineError) return engineError(error);
  const { statusCode = 500, code, message } = error as Partial<FastifyError>;
  if (statusCode === 413) return new ApiError("too_large", "The body is too large", { cause: error });
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
    return new ApiError("invalid_request", "A body needs the content type application/json", { cause: error });
  }
  if (statusCode >= 400 && statusCode < 500)
    return new ApiError("invalid_request", message ?? "Bad request", { cause: error });
  return new ApiError("internal", "Internal error", { cause: error });
}

function engineError(error: EngineError): ApiError {
  const { code, message } = error;
  return new ApiError(code === "unsupported" ? "invalid_request" : code, message, { cause: error });
}

function isVersioned(url: string): boolean {
  return /^\/v1(?:[/?]|$)/.test(url);
}

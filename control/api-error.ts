import type { ApiErrorCode } from "#contract/error-codes.ts";
import type { WakeRefusal } from "#contract/gateway-api.ts";

export type ApiErrorOptions = ErrorOptions & {
  readonly retryAfterSeconds?: number;
  /** What an integrator can act on, beside the message. */
  readonly detail?: Readonly<Record<string, unknown>>;
};

/** The one error of control: what a caller is told, and by which code. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ApiErrorCode;
  readonly retryAfterSeconds: number | undefined;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(
    code: ApiErrorCode,
    message: string,
    { retryAfterSeconds, detail = {}, ...options }: ApiErrorOptions = {},
  ) {
    super(message, options);
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
    this.detail = detail;
  }
}

const codeOfRefusal: Readonly<Record<WakeRefusal["code"], ApiErrorCode>> = {
  not_found: "not_found",
  exited: "exited",
  start_failed: "start_failed",
  out_of_memory: "exited",
  low_memory: "low_memory",
  image_missing: "image_not_found",
  engine_unavailable: "engine_unavailable",
  queue_full: "queue_full",
  too_many_requests: "too_many_requests",
};

/** A refused wake as the API tells it. */
export function refusalError(refusal: WakeRefusal): ApiError {
  const { code, message, retryAfterSeconds, exitCode, signal, queuePosition, memAvailablePercent, logTail } = refusal;
  const detail = {
    ...(code === "exited" && { exit_code: exitCode ?? null, signal: signal ?? null }),
    ...(code === "out_of_memory" && { out_of_memory: true }),
    ...(queuePosition !== undefined && { queue_position: queuePosition }),
    ...(memAvailablePercent !== undefined && { mem_available_percent: memAvailablePercent }),
    ...(logTail !== undefined && { log_tail: logTail }),
  };
  return new ApiError(codeOfRefusal[code], message, {
    detail,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

const wakeAgainSeconds = 5;

/** As above, for whoever asked for a wake: what kept it from starting is looked at anew by each, so it may be over soon. */
export function wakeRefusal(refusal: WakeRefusal): ApiError {
  const { code, retryAfterSeconds = wakeAgainSeconds } = refusal;
  return refusalError(code === "not_found" ? refusal : { ...refusal, retryAfterSeconds });
}

export function notFound(message = "There is no such sandbox"): ApiError {
  return new ApiError("not_found", message);
}

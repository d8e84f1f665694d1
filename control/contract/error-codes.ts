/** Why the gateway refuses a request (one code, one status, one page, one problem document). */
export const refusalCodes = [
  "not_found",
  "misdirected",
  "bad_request",
  "unauthorized",
  "forbidden",
  "asleep",
  "waking",
  "waking_timeout",
  "busy",
  "queue_full",
  "too_many_requests",
  "exited",
  "start_failed",
  "out_of_memory",
  "low_memory",
  "image_missing",
  "engine_unavailable",
  "no_listener",
  "loopback_only",
  "upstream_reset",
  "upstream_timeout",
  "control_unavailable",
] as const;
export type RefusalCode = (typeof refusalCodes)[number];

/** Why a wake did not happen. */
export const wakeRefusalCodes = [
  "not_found",
  "exited",
  "start_failed",
  "out_of_memory",
  "low_memory",
  "image_missing",
  "engine_unavailable",
  "queue_full",
  "too_many_requests",
] as const satisfies readonly RefusalCode[];
export type WakeRefusalCode = (typeof wakeRefusalCodes)[number];

/** The codes of the control API's errors. */
export const apiErrorCodes = [
  "invalid_request",
  "unauthorized",
  "forbidden",
  "not_found",
  "already_exists",
  "conflict",
  "idempotency_conflict",
  "workspace_owner_mismatch",
  "precondition_failed",
  "too_large",
  "image_not_found",
  "start_failed",
  "exited",
  "too_many_requests",
  "engine_unavailable",
  "low_memory",
  "queue_full",
  "internal",
] as const;
export type ApiErrorCode = (typeof apiErrorCodes)[number];

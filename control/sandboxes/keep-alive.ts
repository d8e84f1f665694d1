import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../api-error.ts";
import type { Collaborators } from "./collaborators.ts";
import type { Sandbox } from "./sandbox.ts";

/** RFC 3339 §5.6, with the upper case that its section 4.4 asks for. */
const timestamp = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/**
 * Keeps a sandbox awake until an RFC 3339 time; one too far away is brought nearer, and a later call may shorten it.
 * Throws ApiError `invalid_request` for a time in the past and `not_found`.
 */
export function keepAlive({ records, settings, now }: Collaborators, id: SandboxId, until: string): Sandbox {
  const time = timestamp.test(until) && isDay(until.slice(0, 10)) ? Date.parse(until) : Number.NaN;
  if (Number.isNaN(time)) throw new ApiError("invalid_request", "body: until must be an RFC 3339 time");
  if (time <= now()) throw new ApiError("invalid_request", "body: until is in the past");
  const keepaliveUntil = Math.min(time, now() + settings.keepaliveMaxSeconds * 1000);
  const sandbox = records.extend(id, { keepaliveUntil }, "keepalive");
  if (sandbox === undefined) throw notFound();
  return sandbox;
}

/** Whether the calendar has this day: `Date` takes the 31st of every month for one. */
function isDay(date: string): boolean {
  const time = Date.parse(date);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date);
}

/** Keeps a sandbox awake for so many seconds from now without traffic; it never shortens an earlier lease. */
export function lease({ records, settings, now }: Collaborators, id: SandboxId, seconds: number): void {
  const until = now() + Math.min(seconds, settings.keepaliveMaxSeconds) * 1000;
  const before = records.get(id)?.leaseUntil ?? 0;
  records.extend(id, { leaseUntil: Math.max(before, until) }, "lease");
}

import t from "tap";
import { apiErrorCodes } from "#contract/error-codes.ts";
import { ApiError } from "../api-error.ts";
import { EngineError } from "../engines/sandbox-engine.ts";
import { errorAnswer, isRetryable, toApiError } from "./problem.ts";
import { ValidationError } from "./validation.ts";

t.test("errorAnswer() has one status for each code", async (t) => {
  const statuses = apiErrorCodes.map((code) => [code, errorAnswer(new ApiError(code, "why"), "/v1/x").status]);
  t.same(Object.fromEntries(statuses), {
    ...{ invalid_request: 400, unauthorized: 401, forbidden: 403, not_found: 404 },
    ...{ already_exists: 409, conflict: 409, idempotency_conflict: 409, workspace_owner_mismatch: 409 },
    ...{ precondition_failed: 412, too_large: 413, image_not_found: 422, start_failed: 422, exited: 422 },
    ...{ too_many_requests: 429, engine_unavailable: 503, low_memory: 503, queue_full: 503, internal: 500 },
  });
});

t.test("errorAnswer() speaks two forms, by the path", async (t) => {
  const error = new ApiError("exited", "It ended", { detail: { exit_code: 1 } });
  const long = { error: { code: "exited", message: "It ended", retryable: false, exit_code: 1 } };
  t.same(errorAnswer(error, "/v1/sandboxes").body, long);
  t.same(errorAnswer(error, "/v1?x").body, long);
  for (const url of ["/sandbox", "/v1x", "/", "/v2/v1/"])
    t.same(errorAnswer(error, url).body, { error: "It ended" }, url);
});

t.test("errorAnswer() of `unauthorized` is the same everywhere", async (t) => {
  const error = new ApiError("unauthorized", "whatever");
  const expected = { status: 401, headers: { "www-authenticate": "Bearer" }, body: { error: "unauthorized" } };
  t.same(errorAnswer(error, "/v1/sandboxes"), expected);
  t.same(errorAnswer(error, "/sandboxes"), expected);
});

t.test("errorAnswer() says when to try again", async (t) => {
  const retryAfter = (error: ApiError) => errorAnswer(error, "/v1/x").headers["retry-after"];
  t.equal(retryAfter(new ApiError("engine_unavailable", "away")), "5");
  t.equal(retryAfter(new ApiError("low_memory", "full", { retryAfterSeconds: 30 })), "30");
  t.equal(retryAfter(new ApiError("exited", "loop", { retryAfterSeconds: 2 })), "2");
  t.equal(retryAfter(new ApiError("not_found", "no")), undefined);
  t.ok(isRetryable(new ApiError("queue_full", "full")));
  t.notOk(isRetryable(new ApiError("exited", "once")));
});

t.test("toApiError() tells a caller's mistake from ours", async (t) => {
  t.match(toApiError(new ValidationError("body: no")), { code: "invalid_request", message: "body: no" });
  t.match(toApiError(Object.assign(new Error("x"), { statusCode: 413 })), { code: "too_large" });
  t.match(toApiError(Object.assign(new Error("bad JSON"), { statusCode: 400 })), {
    code: "invalid_request",
    message: "bad JSON",
  });
  t.match(toApiError(new EngineError("engine_unavailable", "away")), { code: "engine_unavailable", message: "away" });
  t.match(toApiError(new EngineError("unsupported", "cannot")), { code: "invalid_request" });
  const bug = new TypeError("secret detail");
  t.match(toApiError(bug), { code: "internal", message: "Internal error", cause: bug });
  const known = new ApiError("conflict", "c");
  t.equal(toApiError(known), known);
});

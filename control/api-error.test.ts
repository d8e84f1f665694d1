import t from "tap";
import { wakeRefusalCodes } from "#contract/error-codes.ts";
import { notFound, refusalError } from "./api-error.ts";

t.test("refusalError() tells every refusal by a code of the API", async (t) => {
  const codes = wakeRefusalCodes.map((code) => [code, refusalError({ code, message: "why" }).code]);
  t.same(Object.fromEntries(codes), {
    ...{ not_found: "not_found", exited: "exited", start_failed: "start_failed", out_of_memory: "exited" },
    ...{ low_memory: "low_memory", image_missing: "image_not_found", engine_unavailable: "engine_unavailable" },
    ...{ queue_full: "queue_full", too_many_requests: "too_many_requests" },
  });
});

t.test("refusalError() keeps what an integrator can act on", async (t) => {
  const exited = refusalError({ code: "exited", message: "m", exitCode: 1, retryAfterSeconds: 2, logTail: ["bye"] });
  t.match(exited, { message: "m", retryAfterSeconds: 2, detail: { exit_code: 1, signal: null, log_tail: ["bye"] } });
  t.match(refusalError({ code: "low_memory", message: "m", memAvailablePercent: 7 }), {
    detail: { mem_available_percent: 7 },
  });
  t.match(refusalError({ code: "out_of_memory", message: "m" }), { detail: { out_of_memory: true } });
});

t.test("notFound() is not found", async (t) => {
  t.match(notFound(), { code: "not_found", message: "There is no such sandbox" });
});

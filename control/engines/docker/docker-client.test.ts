import t from "tap";
import { commonApiVersion, toEngineError } from "./docker-client.ts";

t.test("commonApiVersion() is the older of both, by number", async (t) => {
  t.equal(commonApiVersion("1.41", "1.12"), "1.41");
  t.equal(commonApiVersion("1.9", "1.1"), "1.9");
  t.equal(commonApiVersion("1.99", "1.44"), "1.51");
  t.throws(() => commonApiVersion("1.99", "1.52"), { code: "engine_unavailable" });
});

t.test("toEngineError() tells why from what the daemon says", async (t) => {
  const refusal = (statusCode: number, message: string) =>
    Object.assign(new Error("HTTP"), { statusCode, json: { message } });
  t.match(toEngineError(refusal(404, "No such image: a:b")), {
    code: "image_not_found",
    message: "Docker: No such image: a:b",
  });
  t.match(toEngineError(refusal(404, "No such container: a")), { code: "start_failed" });
  t.match(toEngineError(refusal(500, "OCI runtime create failed")), { code: "start_failed" });
  t.match(toEngineError(Object.assign(new Error("connect"), { code: "ECONNREFUSED" })), { code: "engine_unavailable" });
  const cause = refusal(409, "conflict");
  t.equal(toEngineError(cause).cause, cause);
  const own = toEngineError(cause);
  t.equal(toEngineError(own), own);
});

import t from "tap";
import { upstreamFailure } from "./upstream-failure.ts";
import type { ConnectionError } from "./upstream-pools.ts";

type Circumstances = Partial<ConnectionError> & { readonly started?: boolean; readonly answering?: boolean };

function failure(code: string | undefined, { started = true, answering = false, ...more }: Circumstances = {}) {
  const error: ConnectionError = Object.assign(new Error("x"), code !== undefined && { code }, more);
  return upstreamFailure(error, started, answering);
}

t.test("upstreamFailure() knows what never went out", async (t) => {
  const unreachable = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "UND_ERR_CONNECT_TIMEOUT"];
  for (const code of [...unreachable, "ECONNRESET", "EPIPE", "UND_ERR_SOCKET", "UND_ERR_DESTROYED"]) {
    t.strictSame(failure(code, { started: false }), { kind: "unreachable" }, code);
  }
});

t.test("upstreamFailure() knows a kept connection that was closed as the request went out", async (t) => {
  for (const code of ["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]) {
    t.strictSame(failure(code, { carriedAnswer: true }), { kind: "stale-connection" }, code);
    t.strictSame(failure(code, { socket: { bytesRead: 9 } }), { kind: "stale-connection" }, code);
  }
});

t.test("upstreamFailure() takes nothing for stale that may have reached the app", async (t) => {
  const closed = { kind: "refused", code: "upstream_reset", detail: /closed the connection/ };
  t.match(failure("ECONNRESET"), closed, "a fresh connection");
  t.match(failure("ECONNRESET", { carriedAnswer: false, socket: { bytesRead: 9 } }), closed, "known to be fresh");
  t.match(failure("ECONNRESET", { carriedAnswer: true, answering: true }), closed, "an answer that had begun");
  t.match(failure("UND_ERR_DESTROYED"), closed, "a sandbox that was stopped");
});

t.test("upstreamFailure() tells timeouts apart", async (t) => {
  t.match(failure("UND_ERR_HEADERS_TIMEOUT"), { code: "upstream_timeout", detail: /begin/ });
  t.match(failure("UND_ERR_BODY_TIMEOUT", { answering: true }), { code: "upstream_timeout", detail: /middle/ });
});

t.test("upstreamFailure() takes everything else for an answer that is not HTTP", async (t) => {
  for (const code of [undefined, "HPE_INVALID_CONSTANT", "UND_ERR_HEADERS_OVERFLOW", "ERR_INVALID_CHAR"]) {
    const known = { kind: "refused", code: "upstream_reset", detail: /not valid HTTP/ };
    t.match(failure(code), known, String(code));
    t.match(failure(code, { started: false }), known, `${code}, before it was sent`);
  }
});

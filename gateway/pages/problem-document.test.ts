import t from "tap";
import { problemDocument, refusalTexts } from "./pages.ts";
import { sandboxId } from "./scripted-preview.ts";

t.test("problemDocument() has the members of every refusal and no others", async (t) => {
  const document = JSON.parse(problemDocument({ code: "not_found", ...refusalTexts.not_found }));
  t.same(document, {
    type: "about:blank",
    title: "There is no preview here",
    status: 404,
    code: "not_found",
    detail: refusalTexts.not_found.detail,
  });
});

t.test("problemDocument() says what is known under the names of the wire", async (t) => {
  const document = JSON.parse(
    problemDocument({
      code: "exited",
      ...refusalTexts.exited,
      sandboxId,
      retryAfterSeconds: 8,
      exitCode: 0,
      signal: "SIGTERM",
      listeningPorts: [],
      queuePosition: 2,
      memAvailablePercent: 9,
      reason: "expired",
      logTail: ["\x1b[31mError\x1b[0m"],
      action: "retry",
      url: "/",
      refreshSeconds: 5,
    }),
  );
  t.same(document, {
    type: "about:blank",
    title: refusalTexts.exited.title,
    status: 502,
    code: "exited",
    detail: refusalTexts.exited.detail,
    sandbox_id: sandboxId,
    retry_after_seconds: 8,
    reason: "expired",
    exit_code: 0,
    signal: "SIGTERM",
    listening_ports: [],
    queue_position: 2,
    mem_available_percent: 9,
    log_tail: ["Error"],
  });
});

import t from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { MemoryEngine } from "../testing/memory-engine.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { exitReason, logTailOf, refusalOf } from "./refusal.ts";

t.test("refusalOf() names every failure of an engine in the words of the contract", async (t) => {
  const codeOf = (code: EngineError["code"]) => refusalOf(new EngineError(code, "why")).code;
  t.equal(codeOf("engine_unavailable"), "engine_unavailable");
  t.equal(codeOf("image_not_found"), "image_missing");
  t.equal(codeOf("start_failed"), "start_failed");
  t.equal(codeOf("unsupported"), "start_failed");
});

t.test("refusalOf() tells nobody outside about a bug", async (t) => {
  t.same(refusalOf(new TypeError("undefined is not a function")), { code: "start_failed", message: "Internal error" });
});

t.test("exitReason() tells code, signal and memory apart", async (t) => {
  const exit = { code: null, signal: null, outOfMemory: false };
  t.same(exitReason({ ...exit, code: 0 }, []), {
    code: "exited",
    message: "The command ended with code 0",
    exitCode: 0,
  });
  t.match(exitReason({ ...exit, signal: "SIGKILL" }, ["bye"]), {
    signal: "SIGKILL",
    logTail: ["bye"],
    message: /by SIGKILL/,
  });
  t.match(exitReason({ ...exit, code: 137, outOfMemory: true }, []), { code: "out_of_memory" });
  t.same(exitReason(null, []), { code: "exited", message: "The command ended" });
});

t.test("logTailOf() keeps the last ten lines, each cut short", async (t) => {
  const engine = new MemoryEngine();
  for (let n = 1; n <= 12; n++) engine.log.push({ stream: "stdout", time: n, line: `${n}${"x".repeat(600)}` });
  const tail = await logTailOf(engine, newSandboxId());
  t.same(
    tail.map((line) => [Number.parseInt(line, 10), line.length]),
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((n) => [n, 500]),
  );
});

t.test("logTailOf() of a log that cannot be read is empty", async (t) => {
  const engine = new MemoryEngine();
  engine.logs = () => {
    throw new EngineError("engine_unavailable", "away");
  };
  t.same(await logTailOf(engine, newSandboxId()), []);
});

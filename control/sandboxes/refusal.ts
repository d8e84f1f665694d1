import type { StatusReason, WakeRefusal } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { EngineError, type EngineExit, type SandboxEngine } from "../engines/sandbox-engine.ts";

const tailLines = 10;
const tailLineLength = 500;
const tailPatienceMs = 300;

/** Why a sandbox could not be started, in the words of the contract. What is not an EngineError is a bug: the caller logs it. */
export function refusalOf(error: unknown): WakeRefusal {
  if (!(error instanceof EngineError)) return { code: "start_failed", message: "Internal error" };
  switch (error.code) {
    case "engine_unavailable":
      return { code: "engine_unavailable", message: error.message, retryAfterSeconds: 5 };
    case "image_not_found":
      return { code: "image_missing", message: error.message };
    case "start_failed":
    case "unsupported":
      return { code: "start_failed", message: error.message };
    default: {
      const never: never = error.code;
      throw new Error(`unknown engine error: ${never}`);
    }
  }
}

/** How the command ended by itself. `logTail` is left out when it is empty. */
export function exitReason(exit: EngineExit | null, logTail: readonly string[]): StatusReason & WakeRefusal {
  const tail = logTail.length > 0 ? { logTail } : {};
  if (exit?.outOfMemory) {
    return { code: "out_of_memory", message: "The sandbox ran out of memory and was killed", ...tail };
  }
  const how = exit?.code != null ? ` with code ${exit.code}` : exit?.signal != null ? ` by ${exit.signal}` : "";
  return {
    code: "exited",
    message: `The command ended${how}`,
    ...(exit?.code != null && { exitCode: exit.code }),
    ...(exit?.signal != null && { signal: exit.signal }),
    ...tail,
  };
}

/** The last lines of a sandbox's log, as far as the engine tells them soon. */
export async function logTailOf(engine: SandboxEngine, id: SandboxId): Promise<readonly string[]> {
  const lines: string[] = [];
  try {
    const signal = AbortSignal.timeout(tailPatienceMs);
    for await (const { line } of engine.logs(id, { tail: tailLines, signal }))
      lines.push(line.slice(0, tailLineLength));
  } catch {
    // A log that cannot be read explains nothing; the exit itself still does.
  }
  return lines.slice(-tailLines);
}

import { constants } from "node:os";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound, wakeRefusal } from "../api-error.ts";
import type { EngineExit, ExecCommand, ExecEvent } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "./collaborators.ts";
import type { Exec } from "./execs.ts";
import { wakeSandbox } from "./wake-sandbox.ts";

export type ExecRequest = ExecCommand & { readonly timeoutSeconds: number };

/** What a command says, and then how it ended. */
export type ExecMessage = Extract<ExecEvent, { type: "output" }> | ({ readonly type: "end" } & ExecEnd);

export type ExecEnd = {
  /** 128 and the signal's number where one ended it, as a shell tells it. */
  readonly exitCode: number;
  readonly signal: string | null;
  readonly endedBy: "itself" | "timeout" | "stop";
  readonly durationMs: number;
};

/** Of what the system does not tell the end of. */
const unknownCode = 137;

/**
 * Runs a command in a sandbox, which is woken for it and stays awake as long as it runs. It resolves once the command
 * runs, and what it says has to be read from then on. An abort of the signal, or leaving that before its end, ends the command
 * with all that it started. Throws ApiError and EngineError.
 */
export async function execInSandbox(
  use: Collaborators,
  id: SandboxId,
  request: ExecRequest,
  signal: AbortSignal,
): Promise<AsyncIterable<ExecMessage>> {
  if (use.records.get(id) === undefined) throw notFound();
  const exec = use.execs.begin(id);
  try {
    await wakeForExec(use, id);
    const stop = exec.started();
    const timeout = AbortSignal.timeout(request.timeoutSeconds * 1000);
    const begun = performance.now();
    const events = await use.engine.exec(id, request, { signal: AbortSignal.any([signal, timeout, stop]) });
    return follow(use, id, events, { exec, stop, timeout, begun });
  } catch (error) {
    exec.over();
    throw error;
  }
}

type Course = {
  readonly exec: Exec;
  readonly stop: AbortSignal;
  readonly timeout: AbortSignal;
  readonly begun: number;
};

async function* follow(
  use: Collaborators,
  id: SandboxId,
  events: AsyncIterable<ExecEvent>,
  { exec, stop, timeout, begun }: Course,
): AsyncGenerator<ExecMessage> {
  try {
    for await (const event of events) {
      if (event.type === "output") yield event;
      else {
        const { signal } = event.exit;
        const endedBy = stop.aborted ? "stop" : timeout.aborted ? "timeout" : "itself";
        const durationMs = Math.round(performance.now() - begun);
        yield { type: "end", exitCode: toExitCode(event.exit), signal, endedBy, durationMs };
      }
    }
  } finally {
    exec.over();
    markActive(use, id);
  }
}

/** Wakes a sandbox for what shall run in it. Throws ApiError. */
export async function wakeForExec(use: Collaborators, id: SandboxId): Promise<void> {
  markActive(use, id);
  const result = await wakeSandbox(use, id, { cause: "operator" });
  switch (result.outcome) {
    case "ready":
      return;
    case "refused":
      throw wakeRefusal(result.refusal);
    case "timed-out":
      throw new ApiError("engine_unavailable", "The engine has not started it in time", { retryAfterSeconds: 5 });
    default: {
      const never: never = result;
      throw new Error(`unknown outcome: ${JSON.stringify(never)}`);
    }
  }
}

function markActive({ store, now }: Collaborators, id: SandboxId): void {
  store.markActive([{ id, lastActiveAt: now(), lastNavigationAt: 0 }]);
}

/** 128 and the signal's number where one ended it, as a shell tells it. */
export function toExitCode({ code, signal }: EngineExit): number {
  if (code !== null) return code;
  const number = constants.signals[signal as NodeJS.Signals];
  return number === undefined ? unknownCode : 128 + number;
}

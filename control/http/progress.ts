import type { ProgressMessage, WakePhase } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { LogLine } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";
import type { LiveStream } from "./live-streams.ts";
import { toTime } from "./resource.ts";

const tailLines = 20;

/** Tells how a sandbox comes up, and what it logs, until the reader hangs up or the sandbox is gone. */
export function streamProgress(use: Collaborators, id: SandboxId, stream: LiveStream): void {
  const { records, admission } = use;
  const log = new FollowedLog(use, id, stream);
  let last = "";
  const tell = (sandbox: Sandbox | undefined) => {
    if (sandbox === undefined) return stream.end();
    const state = JSON.stringify(toState(use, sandbox));
    if (state !== last) stream.push(`${state}\n`);
    last = state;
    void log.follow();
  };
  const onChange = (changed: SandboxId, sandbox: Sandbox | undefined) => changed === id && tell(sandbox);
  const onMove = (moved: SandboxId) => moved === id && tell(records.get(id));
  records.on("change", onChange);
  admission.on("moved", onMove);
  stream.signal.addEventListener("abort", () => {
    records.off("change", onChange);
    admission.off("moved", onMove);
  });
  tell(records.get(id));
}

/** Before its first start a sandbox may have no log yet, so every change of it is a reason to look again. */
class FollowedLog {
  readonly #use: Collaborators;
  readonly #id: SandboxId;
  readonly #stream: LiveStream;
  #following = false;
  #lastTime = 0;

  constructor(use: Collaborators, id: SandboxId, stream: LiveStream) {
    this.#use = use;
    this.#id = id;
    this.#stream = stream;
  }

  async follow(): Promise<void> {
    if (this.#following) return;
    this.#following = true;
    const { engine, logger } = this.#use;
    const told = this.#lastTime;
    try {
      const { signal } = this.#stream;
      for await (const line of engine.logs(this.#id, { tail: tailLines, follow: true, signal })) {
        if (line.time > told) await this.#tell(line);
      }
    } catch (error) {
      logger.debug({ sandbox: this.#id, err: error }, "a log cannot be followed");
    } finally {
      this.#following = false;
    }
  }

  #tell({ stream, time, line }: LogLine): Promise<void> {
    this.#lastTime = time;
    const message: ProgressMessage = { type: "log", stream, time: toTime(time), line };
    return this.#stream.write(`${JSON.stringify(message)}\n`);
  }
}

function toState({ flights, admission }: Collaborators, sandbox: Sandbox): ProgressMessage {
  const { status, reason, recentStartsMs } = sandbox;
  const sorted = [...recentStartsMs].sort((a, b) => a - b);
  const usualStartMs = sorted[Math.floor(sorted.length / 2)];
  const queuePosition = admission.positionOf(sandbox.id);
  const phase = queuePosition === undefined ? phaseOf(sandbox, flights.isUnderWay(sandbox.id)) : "queued";
  return {
    ...{ type: "state", status, phase, reason },
    ...(queuePosition !== undefined && { queuePosition }),
    ...(usualStartMs !== undefined && { usualStartMs }),
  };
}

function phaseOf({ status, reason }: Sandbox, wakeUnderWay: boolean): WakePhase {
  switch (status) {
    case "running":
      return "started";
    case "creating":
    case "waking":
      return "starting";
    case "draining":
      return wakeUnderWay ? "queued" : "started";
    case "stopped":
    case "paused":
      if (wakeUnderWay) return "queued";
      return reason === null ? "asleep" : "failed";
    case "error":
      return wakeUnderWay ? "queued" : "failed";
    default: {
      const never: never = status;
      throw new Error(`unknown status: ${never}`);
    }
  }
}

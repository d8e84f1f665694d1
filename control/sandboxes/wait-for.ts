import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxRecords } from "./sandbox-records.ts";

/**
 * Resolves with the sandbox as soon as it is as wanted, or as it is when the time is up or the signal aborts; undefined
 * when it is gone.
 */
export function waitFor(
  records: SandboxRecords,
  id: SandboxId,
  wanted: (sandbox: Sandbox) => boolean,
  { milliseconds, signal }: { milliseconds: number; signal: AbortSignal },
): Promise<Sandbox | undefined> {
  const now = records.get(id);
  if (now === undefined || wanted(now) || signal.aborted) return Promise.resolve(now);
  return new Promise((resolve) => {
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end, { once: true });
    records.on("change", look);
    function look(changed: SandboxId, sandbox: Sandbox | undefined): void {
      if (changed === id && (sandbox === undefined || wanted(sandbox))) end();
    }
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      records.off("change", look);
      resolve(records.get(id));
    }
  });
}

import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../api-error.ts";
import { parseByteSize } from "./byte-size.ts";
import type { Collaborators } from "./collaborators.ts";
import type { Sandbox, SandboxPolicy } from "./sandbox.ts";
import { destinationsOf } from "./sandbox-egress.ts";

/** Changes that the next start picks up, and that are a reason to try that start without waiting. */
const shapesTheStart = [
  "ports",
  "image",
  "cmd",
  "env",
  "sealedEnv",
  "memoryHigh",
  "memoryMax",
  "cpu",
  "runtime",
  "disk",
] as const;

/**
 * Changes what an integrator decided about a sandbox. It restarts nothing: what shapes the container applies at its next
 * start, the limit of its disk and the allow list of its egress at once. `ifGeneration` guards against changes in
 * between. Throws ApiError `not_found`, `precondition_failed`, and `forbidden` past the limit of a new owner, and
 * EngineError `unsupported` for a disk that cannot be.
 */
export async function patchSandbox(
  { engine, records, egress, limits }: Collaborators,
  id: SandboxId,
  patch: (sandbox: Sandbox) => Partial<SandboxPolicy>,
  { ifGeneration }: { ifGeneration?: readonly number[] },
): Promise<Sandbox> {
  const sandbox = records.get(id);
  if (sandbox === undefined) throw notFound();
  if (ifGeneration !== undefined && !ifGeneration.includes(sandbox.generation)) {
    throw new ApiError("precondition_failed", `The sandbox is at generation ${sandbox.generation}`);
  }
  const changes = patch(sandbox);
  const owner = changes.external?.userId;
  if (owner !== undefined && owner !== sandbox.external.userId) limits.checkCount(owner, id);
  const startsAnew = shapesTheStart.some((field) => changes[field] !== undefined);
  if (changes.disk !== undefined) await engine.setDisk(id, changes.disk === null ? null : parseByteSize(changes.disk));
  const detail = Object.keys(changes).join(", ");
  const all = startsAnew ? { ...changes, crashes: 0, retryAt: null } : changes;
  const after = records.change(id, all, { kind: "change", cause: "operator", detail }) ?? sandbox;
  if (changes.egressAllow !== undefined) await egress.allow(id, destinationsOf(after));
  return after;
}

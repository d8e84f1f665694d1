import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Collaborators } from "./collaborators.ts";
import { reconcile, reconcileOne } from "./reconcile.ts";

/**
 * Follows what happens to sandboxes without our doing. An event is no more than a reason to look: what counts is what the
 * engine says once the sandbox's lock is held. Returns what ends it.
 */
export function followEngine(use: Collaborators): () => void {
  return use.engine.watch((event) => {
    switch (event.type) {
      case "started":
      case "ended":
        return void look(use, event.id);
      case "resync":
        return void reconcile(use).catch((error: unknown) => use.logger.error({ err: error }, "reconcile failed"));
      default: {
        const never: never = event;
        throw new Error(`unknown engine event: ${JSON.stringify(never)}`);
      }
    }
  });
}

async function look(use: Collaborators, id: SandboxId): Promise<void> {
  try {
    await use.lock.run(id, async () => {
      const sandbox = use.records.get(id);
      if (sandbox !== undefined) await reconcileOne(use, sandbox, await use.engine.inspect(id));
    });
  } catch (error) {
    use.logger.error({ sandbox: id, err: error }, "a sandbox's state could not be looked up");
  }
}

import type { Collaborators } from "./collaborators.ts";
import { stopSandbox } from "./stop-sandbox.ts";

const drainMs = 5_000;

/** Puts every running sandbox to sleep, all at once: their engine ends with control. */
export async function stopAll(use: Collaborators): Promise<void> {
  const { store, logger } = use;
  const awake = [...store.withStatus("running"), ...store.withStatus("paused"), ...store.withStatus("draining")];
  const drain = { kind: "asked", milliseconds: drainMs, shutdown: true } as const;
  const stops = awake.map(async ({ id }) => {
    try {
      await stopSandbox(use, id, { cause: "shutdown", mode: "stop", drain });
    } catch (error) {
      logger.error({ sandbox: id, err: error }, "a sandbox could not be stopped at the end");
    }
  });
  await Promise.all(stops);
}

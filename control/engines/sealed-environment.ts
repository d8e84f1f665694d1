import type { SandboxId } from "#contract/sandbox-id.ts";
import { EngineError, type SandboxSpec } from "./sandbox-engine.ts";

/** Opens what a specification holds sealed. */
export interface SecretOpener {
  open(id: SandboxId, variable: string, sealed: string): string;
}

/**
 * A sandbox's own variables, its secrets opened among them: for the one moment in which its process or container is made.
 * Throws `start_failed` for a secret that cannot be opened.
 */
export function openEnvironment({ id, env, sealedEnv }: SandboxSpec, secrets: SecretOpener): Record<string, string> {
  try {
    const opened = Object.entries(sealedEnv).map(([name, sealed]) => [name, secrets.open(id, name, sealed)]);
    return { ...env, ...Object.fromEntries(opened) };
  } catch (cause) {
    throw new EngineError("start_failed", (cause as Error).message, { cause });
  }
}

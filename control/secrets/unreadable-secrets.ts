import type { Logger } from "pino";
import type { Sandbox } from "../sandboxes/sandbox.ts";
import { type SecretBox, SecretError } from "./secret-box.ts";

/** Says at the start which sandboxes will not, because the key of their secrets is another one. */
export function reportUnreadable(sandboxes: readonly Sandbox[], secrets: SecretBox, logger: Logger): void {
  const unreadable = sandboxes.filter((sandbox) => !canOpen(sandbox, secrets)).map(({ id }) => id);
  if (unreadable.length === 0) return;
  logger.error(
    { sandboxes: unreadable.slice(0, 20), count: unreadable.length },
    "SANDBOXD_SECRET_KEY_FILE: secrets of sandboxes were sealed under another key; put it back, or set them again",
  );
}

function canOpen({ id, sealedEnv }: Sandbox, secrets: SecretBox): boolean {
  try {
    for (const [name, sealed] of Object.entries(sealedEnv)) secrets.open(id, name, sealed);
    return true;
  } catch (error) {
    if (error instanceof SecretError) return false;
    throw error;
  }
}

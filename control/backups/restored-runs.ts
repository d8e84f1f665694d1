import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseSandboxId, type SandboxId } from "#contract/sandbox-id.ts";
import type { SandboxEngine } from "../engines/sandbox-engine.ts";

const pathIn = (dataDirectory: string) => join(dataDirectory, "state", "restored.json");

/** Notes whose workspaces a restore replaces: what still runs of them has the old ones. */
export async function noteRestored(dataDirectory: string, ids: readonly SandboxId[]): Promise<void> {
  await writeFile(pathIn(dataDirectory), JSON.stringify(ids));
}

/** Ends what ran before a restore, on the first start of control after it and before anything is adopted. */
export async function endRestoredRuns(engine: SandboxEngine, dataDirectory: string): Promise<void> {
  const text = await readFile(pathIn(dataDirectory), "utf8").catch(() => undefined);
  if (text === undefined) return;
  for (const id of JSON.parse(text) as string[]) {
    const sandboxId = parseSandboxId(id);
    if (sandboxId !== undefined) await engine.remove(sandboxId, { workspace: false });
  }
  await rm(pathIn(dataDirectory));
}

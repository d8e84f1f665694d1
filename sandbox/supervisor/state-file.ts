import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { ListeningPort } from "./listening-ports.ts";

/** What the supervisor is about, for programs in the sandbox. */
export type State = {
  readonly state: "installing" | "running" | "failed" | "files" | "nothing";
  readonly command?: string;
  readonly pid?: number;
  /** Times of the command's ends, since the sandbox came up. */
  readonly ends: number;
  readonly last_exit?: { readonly code: number | null; readonly signal: string | null };
  readonly listening: readonly ListeningPort[];
};

/** Writes it whole, so that nobody reads half of it. A full disk keeps the one before. */
export function writeState(path: string, state: State): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, `${JSON.stringify(state)}\n`);
    renameSync(`${path}.new`, path);
  } catch {}
}

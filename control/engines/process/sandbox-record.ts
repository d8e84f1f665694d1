import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as decode from "#contract/decode.ts";
import type { SandboxSpec } from "../sandbox-engine.ts";

const run = decode.object({
  /** null while the process is being started. */
  pid: decode.nullable(decode.count),
  /** Clock ticks since boot; null where the system does not tell it. */
  startTime: decode.nullable(decode.count),
  bootId: decode.string,
  /** Epoch milliseconds. */
  startedAt: decode.count,
  paused: decode.boolean,
  /** Its end was asked for: whoever finds it sees to that. */
  stopping: decode.optional(decode.boolean),
  ports: decode.array(decode.object({ port: decode.count, upstreamPort: decode.count })),
  /** What every process of the run has in its environment. */
  marks: decode.array(decode.string),
});

const record = decode.object({
  /** Compared, never looked into: one that an older program wrote is replaced by the next `ensure()`. */
  spec: (value: unknown) => value as SandboxSpec,
  run: decode.nullable(run),
  exit: decode.nullable(
    decode.object({
      code: decode.nullable(decode.count),
      signal: decode.nullable(decode.string),
      outOfMemory: decode.boolean,
    }),
  ),
});

/** The run that a record tells of, for the next program that finds its process. */
export type RunRecord = ReturnType<typeof run>;
/** What is known about one sandbox, on disk so that it outlives this program. */
export type SandboxRecord = ReturnType<typeof record>;

/** Throws for a file that is not there or not a record. */
export function readRecord(path: string): SandboxRecord {
  return decode.decodeJson<SandboxRecord>(record, readFileSync(path, "utf8"));
}

/**
 * Replaces the file whole. It is written at once, so that a process never lives unrecorded for longer than that takes,
 * and not flushed: after the machine's own end there is no process left to find.
 */
export function writeRecord(path: string, value: SandboxRecord): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

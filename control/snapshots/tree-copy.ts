import { spawn } from "node:child_process";
import { once } from "node:events";
import { statfs } from "node:fs/promises";
import { ApiError } from "../api-error.ts";

export type Skipped = { readonly skipped: readonly string[]; readonly skippedCount: number };

/** A tool of the system that did not do its work, with the first of what it said. */
export class TreeError extends Error {
  override readonly name = "TreeError";
}

const mostNamed = 100;
const mostSaid = 1_000;
/** What a copy leaves of the disk for everybody else, in bytes and as a share of the whole. */
const leftBytes = 2 ** 30;
const leftShare = 0.05;

/**
 * Copies a directory to a place that is not there yet: owners, modes, times, links and holes as they are, blocks shared
 * where the file system can. Links are copied and never followed. Nobody may write to either place meanwhile, since the
 * copying goes by paths: the caller has what runs in a sandbox stand still. Throws TreeError.
 */
export async function copyTree(from: string, to: string): Promise<void> {
  const flags = process.platform === "linux" ? ["-a", "-x", "--reflink=auto", "-T"] : ["-pPR"];
  await run("cp", [...flags, "--", from, to]);
}

/** Removes what is neither file, directory nor link from a copy, which nobody else reaches. */
export async function dropSpecial(directory: string): Promise<Skipped> {
  const skipped: string[] = [];
  let skippedCount = 0;
  const plain = ["f", "d", "l"].flatMap((type) => ["!", "-type", type]);
  await run("find", [directory, ...plain, "-print0", "-delete"], (path) => {
    skippedCount++;
    if (skipped.length < mostNamed) skipped.push(path.slice(directory.length + 1));
  });
  return { skipped, skippedCount };
}

/** What a directory occupies, in bytes; 0 for one that is not there. It may change meanwhile. */
export async function treeBytes(directory: string): Promise<number> {
  let line = "";
  await run("du", ["-skx", "--", directory], (text) => {
    line += text;
  }).catch(() => {});
  return Number(/^[0-9]+/.exec(line)?.[0] ?? 0) * 1024;
}

/** Removes a directory, however deep it is; one that is not there is fine. */
export async function removeTree(directory: string): Promise<void> {
  await run("rm", ["-rf", "--", directory]);
}

/** Waits until what was written to a directory's file system is on the disk. */
export async function syncTree(directory: string): Promise<void> {
  await run("sync", process.platform === "linux" ? ["-f", "--", directory] : []);
}

/** Throws ApiError `too_large` when the disk has no room for so many bytes more and some to spare. */
export async function checkRoom(directory: string, bytes: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(directory);
  const spare = Math.max(leftBytes, blocks * bsize * leftShare);
  if (bavail * bsize - bytes >= spare) return;
  throw new ApiError("too_large", `The disk has no room for a copy of ${bytes} bytes`);
}

async function run(tool: string, parameters: readonly string[], onText?: (text: string) => void): Promise<void> {
  const child = spawn(tool, parameters, { stdio: ["ignore", "pipe", "pipe"] });
  let [said, rest] = ["", ""];
  child.stderr.on("data", (chunk: Buffer) => {
    if (said.length < mostSaid) said += chunk.toString().slice(0, mostSaid - said.length);
  });
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const texts = (rest + chunk).split("\0");
    rest = texts.pop()!;
    for (const text of texts) onText?.(text);
  });
  try {
    const [code, signal] = await once(child, "close");
    if (rest !== "") onText?.(rest);
    if (code === 0) return;
    throw new TreeError(`${tool} ended with ${code ?? signal}: ${said.trim()}`);
  } catch (cause) {
    if (cause instanceof TreeError) throw cause;
    throw new TreeError(`${tool} cannot be run: ${(cause as Error).message}`, { cause });
  }
}

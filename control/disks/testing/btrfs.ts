import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { systemTool } from "../tool.ts";

export const tool = systemTool(process.env.PATH!);

/** A small btrfs of a test's own, in a file. */
export async function openBtrfs(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "btrfs-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  // The sandbox's user writes below it.
  await chmod(directory, 0o755);
  const [image, place] = [join(directory, "image"), join(directory, "place")];
  await tool("truncate", "-s", "512M", image);
  await tool("mkfs.btrfs", "-q", image);
  await tool("mkdir", place);
  await tool("mount", "-o", "loop", image, place);
  t.teardown(() => tool("umount", "-l", place));
  return place;
}

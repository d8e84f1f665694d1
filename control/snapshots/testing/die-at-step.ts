/** Imported first by a control that is to die: at so many steps of what it does to workspaces and snapshots. */
import children, { type ChildProcess } from "node:child_process";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

let left = Number(process.env.DIE_AT);
const file = process.env.ARMED!;

/** Before and after each rename, and after each tool that worked on a tree: from the moment on in which a file says so. */
function step(): void {
  if (fs.existsSync(file) && --left < 0) process.kill(process.pid, "SIGKILL");
}

const { rename } = fs.promises;
fs.promises.rename = async (from, to) => {
  const isTree = /\/(?:workspaces|snapshots)\//.test(String(to));
  if (isTree) step();
  await rename(from, to);
  if (isTree) step();
};

const { spawn } = children;
const tools: ReadonlySet<string> = new Set(["cp", "rm", "find", "sync"]);
children.spawn = ((...call: Parameters<typeof spawn>): ChildProcess => {
  if (tools.has(call[0])) step();
  return spawn(...call);
}) as typeof spawn;
syncBuiltinESMExports();

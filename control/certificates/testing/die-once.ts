/** Imported first by a process that is to die: at these steps of writing files, at each once, as long as no mark says it did. */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { basename, join } from "node:path";

const marks = process.env.MARKS!;
const { open, rename, rm } = fs.promises;

const steps: readonly string[] = JSON.parse(process.env.STEPS!);

function dieOnce(step: string): void {
  const mark = join(marks, step);
  if (!steps.includes(step) || fs.existsSync(mark)) return;
  fs.writeFileSync(mark, "");
  process.kill(process.pid, "SIGKILL");
}

fs.promises.open = async (...args: Parameters<typeof open>) => {
  const file = await open(...args);
  // A temporary file, still empty.
  if (args[1] === "wx") dieOnce(`staging${basename(String(args[0])).replace(/\.[0-9a-f]{12}$/, "")}`);
  return file;
};
fs.promises.rename = async (from, to) => {
  await rename(from, to);
  dieOnce(`renamed.${basename(String(to))}`);
};
fs.promises.rm = async (path, options) => {
  await rm(path, options);
  if (!basename(String(path)).startsWith(".")) dieOnce(`removed.${basename(String(path))}`);
};
syncBuiltinESMExports();

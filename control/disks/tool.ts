import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);
/** Of the largest that is done at once: to copy a workspace. */
const patienceMs = 10 * 60_000;

/** Runs a program of the system's and resolves with its output. Rejects with the first line of what it complained of. */
export type Tool = (program: string, ...args: readonly string[]) => Promise<string>;

export function systemTool(path: string): Tool {
  // On Debian those for disks are where not everybody's path leads.
  const env = { PATH: `${path}:/usr/sbin:/sbin`, LC_ALL: "C" };
  return async (program, ...args) => {
    try {
      return (await execute(program, [...args], { env, timeout: patienceMs, maxBuffer: 16 * 2 ** 20 })).stdout;
    } catch (error) {
      const { code, stderr = "", message } = error as NodeJS.ErrnoException & { stderr?: string };
      const said = stderr.split("\n").find((line) => line.trim() !== "" && !/^\w+2?fs [0-9.]+ \(/.test(line));
      const why = code === "ENOENT" ? "is not installed" : (said ?? message).trim();
      throw new Error(`${program} ${why}`.replace(`${program} ${program}`, program), { cause: error });
    }
  };
}

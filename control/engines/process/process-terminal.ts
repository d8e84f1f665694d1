import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { EngineError, type EngineExit, type EngineTerminal, type TerminalSize } from "../sandbox-engine.ts";
import { shell, terminalType } from "../shell.ts";
import { killAll, markName } from "./process-exec.ts";
import { hasProcessTable, readProcess } from "./process-table.ts";

/**
 * Whether script(1) of util-linux is there, which gives a program a terminal. It takes no native module of our own; the
 * script of other systems has other options.
 */
export const hasTerminals =
  hasProcessTable && /util-linux/.test(spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? "");

/** The place of the terminal is told on a descriptor of its own, so that its size can be set from here. */
const started = `tty >&3; exec 3>&-; ${shell}`;

/** Starts a shell on a terminal as a process of this machine. Throws `start_failed` and `unsupported`. */
export async function openProcessTerminal(
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
  size: TerminalSize,
): Promise<EngineTerminal> {
  if (!hasTerminals) throw new EngineError("unsupported", "A terminal needs script(1) of util-linux here");
  const mark = randomUUID();
  const own = { ...env, TERM: terminalType, SHELL: "/bin/sh", [markName]: mark };
  const child = spawn("script", ["--quiet", "--flush", "--return", "--command", started, "/dev/null"], {
    ...{ cwd, env: own, detached: true },
    stdio: ["pipe", "pipe", "ignore", "pipe"],
  });
  try {
    await once(child, "spawn");
  } catch (cause) {
    throw new EngineError("start_failed", `Cannot start a terminal: ${(cause as Error).message}`, { cause });
  }
  const leader = { pid: child.pid!, startTime: readProcess(child.pid!)?.startTime ?? null };
  const exit = once(child, "exit").then(([code, signal]): EngineExit => ({ code, signal, outOfMemory: false }));
  child.stdin!.on("error", () => {});
  const device = await readLine(child);
  const resize = ({ columns, rows }: TerminalSize) => setSize(device, columns, rows);
  await resize(size);
  return {
    output: child.stdout!,
    exit,
    resize,
    end: () => killAll(leader, [`${markName}=${mark}`]),
    write: async (bytes) => {
      const input = child.stdin!;
      if (input.destroyed || input.write(bytes)) return;
      await Promise.race([once(input, "drain"), once(input, "close")]);
    },
  };
}

/** The first line on the third descriptor, which script(1) itself keeps open; empty when the shell ended before. */
async function readLine({ stdio }: ChildProcess): Promise<string> {
  let said = "";
  for await (const chunk of stdio[3] as Readable) {
    said += chunk;
    if (said.includes("\n")) break;
  }
  return said.trim();
}

/** Whoever sits at a terminal is told of its new size by the kernel, whoever sets it. */
async function setSize(device: string, columns: number, rows: number): Promise<void> {
  if (!/^\/dev\/pts\/[0-9]+$/.test(device)) return;
  const setting = spawn("stty", ["-F", device, "cols", String(columns), "rows", String(rows)], { stdio: "ignore" });
  await once(setting, "exit").catch(() => {});
}

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

/** A process of this machine as proc(5) tells it. Times are clock ticks since the machine booted. */
export type ProcessEntry = {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly startTime: number;
};

/** The process that leads a sandbox's group and session. `startTime` is null where the system does not tell it. */
export type Leader = { readonly pid: number; readonly startTime: number | null };

/** Whether this system tells about its processes under /proc; others know no start times and no trees here. */
export const hasProcessTable = existsSync("/proc/self/stat");

/** Changes with every boot of the machine: a pid and start time of another boot mean nothing. */
export const bootId = hasProcessTable ? readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim() : "";

/** The process, or undefined when it has ended, waited for or not. */
export function readProcess(pid: number): ProcessEntry | undefined {
  const text = read(`/proc/${pid}/stat`);
  // The name in parentheses may hold anything, parentheses and spaces too.
  const [state, parent, group, session, ...rest] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (text === "" || state === "Z" || state === "X") return undefined;
  return { pid, parent: Number(parent), group: Number(group), session: Number(session), startTime: Number(rest[15]) };
}

/** Whether the leader itself still runs, and not another process that got its pid. */
export function isRunning(leader: Leader): boolean {
  if (!hasProcessTable) return signal(leader.pid, 0);
  const entry = readProcess(leader.pid);
  return entry !== undefined && entry.startTime === leader.startTime;
}

/**
 * Every running process of a sandbox: its leader's group, session and descendants, and whatever carries its marks
 * (`NAME=value`) in its environment, which finds those that left the session on purpose.
 */
export function processTree(leader: Leader, marks: readonly string[]): ProcessEntry[] {
  if (!hasProcessTable) {
    const { pid } = leader;
    return signal(-pid, 0) ? [{ pid, parent: 0, group: pid, session: pid, startTime: 0 }] : [];
  }
  const atLeader = readProcess(leader.pid);
  // The kernel gives a pid to another process only when nothing of its old group and session is left.
  const isReused = atLeader !== undefined && atLeader.startTime !== leader.startTime;
  const candidates = runningSince(leader.startTime ?? 0);
  const belongs = (entry: ProcessEntry) =>
    (!isReused && (entry.group === leader.pid || entry.session === leader.pid)) || carries(entry.pid, marks);
  const tree = new Map(candidates.filter(belongs).map((entry) => [entry.pid, entry]));
  for (let before = -1; before !== tree.size; ) {
    before = tree.size;
    for (const entry of candidates) if (tree.has(entry.parent)) tree.set(entry.pid, entry);
  }
  return [...tree.values()];
}

/** Sends a signal to a whole tree, its leader's group at one blow. */
export function signalTree(leader: Leader, tree: readonly ProcessEntry[], name: NodeJS.Signals): void {
  if (tree.some(({ group }) => group === leader.pid)) signal(-leader.pid, name);
  for (const { pid, group } of tree) if (group !== leader.pid) signal(pid, name);
}

/** When a process began, epoch milliseconds to the second, where only ps(1) knows; undefined when it has ended. */
export function startedAtByPs(pid: number): number | undefined {
  const { stdout } = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8", env: { LC_ALL: "C" } });
  return Date.parse(stdout ?? "") || undefined;
}

/** What a process has in memory, in bytes; 0 when it has ended. */
export function residentBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+([0-9]+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1];
  return Number(kibibytes ?? 0) * 1024;
}

/** The inodes of all sockets that these processes hold. */
export function socketInodes(tree: readonly ProcessEntry[]): Set<string> {
  const inodes = new Set<string>();
  for (const { pid } of tree) {
    for (const descriptor of list(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${descriptor}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    }
  }
  return inodes;
}

function runningSince(startTime: number): ProcessEntry[] {
  return list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((entry) => entry !== undefined && entry.startTime >= startTime) as ProcessEntry[];
}

function carries(pid: number, marks: readonly string[]): boolean {
  const environment = `\0${read(`/proc/${pid}/environ`)}`;
  return marks.length > 0 && marks.every((mark) => environment.includes(`\0${mark}\0`));
}

/** False when there is no such process or it is not ours to signal. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

// A process may end between any two looks at it, so what cannot be read is empty.
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

import { readdirSync, readFileSync } from "node:fs";

/** The kernel counts CPU time in hundredths of a second for programs, on every machine (USER_HZ, proc(5)). */
const ticksPerSecond = 100;

/** Seconds of CPU that a process and its living descendants have used, in user and kernel mode. */
export function cpuSeconds(pid: number): number {
  const { utime, stime } = readStat(pid);
  return (utime + stime) / ticksPerSecond + children(pid).reduce((sum, child) => sum + cpuSeconds(child), 0);
}

/** Resident memory of one process in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1];
  return Number(kilobytes) * 1024;
}

/** How many file descriptors a process has open. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function readStat(pid: number): { utime: number; stime: number } {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold anything: fields count from behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { utime: Number(fields[11]), stime: Number(fields[12]) };
}

function children(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}

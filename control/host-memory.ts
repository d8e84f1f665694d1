import { readFileSync } from "node:fs";

/** The machine's memory at one moment. */
export type HostMemory = {
  readonly totalBytes: number;
  /** What can be had without swapping, by the kernel's own estimate. */
  readonly availableBytes: number;
  /** For how much of the last ten seconds everything waited for memory; null where the kernel does not tell (PSI). */
  readonly stalledPercent: number | null;
};

/** Reads anew at each call; undefined where the machine does not tell. */
export type HostMemoryReader = () => HostMemory | undefined;

/** The memory of a Linux machine. Others do not tell in a form that could be trusted to stop sandboxes by. */
export function hostMemoryReader({ proc = "/proc" } = {}): HostMemoryReader {
  return () => {
    const meminfo = read(`${proc}/meminfo`);
    const totalBytes = field(meminfo, "MemTotal");
    const availableBytes = field(meminfo, "MemAvailable");
    if (totalBytes === undefined || availableBytes === undefined) return undefined;
    return { totalBytes, availableBytes, stalledPercent: stalled(read(`${proc}/pressure/memory`)) };
  };
}

/** How much of the whole is available, in percent. */
export function availablePercent({ availableBytes, totalBytes }: HostMemory): number {
  return (availableBytes / totalBytes) * 100;
}

function field(meminfo: string, name: string): number | undefined {
  const kibibytes = new RegExp(`^${name}:\\s+([0-9]+) kB$`, "m").exec(meminfo)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

function stalled(pressure: string): number | null {
  const percent = /^full avg10=([0-9.]+)/m.exec(pressure)?.[1];
  return percent === undefined ? null : Number(percent);
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

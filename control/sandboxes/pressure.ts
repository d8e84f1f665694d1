import type { SandboxId } from "#contract/sandbox-id.ts";
import { availablePercent, type HostMemory } from "../host-memory.ts";

/** Shares of the machine's memory, in percent, below which something is done. */
export type PressureRules = {
  /** Below it the longest idle are stopped. */
  readonly headroomPercent: number;
  /** Below it wakes are refused as well. */
  readonly refuseWakesPercent: number;
  /** Below it the heaviest are stopped, whoever uses them. */
  readonly emergencyPercent: number;
  /** What a sandbox is taken to occupy that nobody weighed. */
  readonly wakeCostBytes: number;
};

export type Band = "ok" | "headroom" | "refuse_wakes" | "emergency";

/** A sandbox that is up or paused, as the reaper sees it. */
export type Weighed = {
  readonly id: SandboxId;
  /** null: not known. */
  readonly bytes: number | null;
  /** Epoch milliseconds. */
  readonly lastUse: number;
  /** Whether it may be stopped while there is no emergency: nobody uses it, and nobody was promised that it stays. */
  readonly spare: boolean;
};

export type PressureStop = { readonly id: SandboxId; readonly why: "longest_idle" | "heaviest" };

/** Wakes are refused until so much more is available than where that begins: else they would flap. */
const hysteresisPercent = 2;
/** Everything waits for memory so much of the time: the kernel has less than it says. */
const stallingPercent = 10;

export function bandOf(memory: HostMemory, rules: PressureRules): Band {
  const available = availablePercent(memory);
  if (available < rules.emergencyPercent) return "emergency";
  if (available < rules.refuseWakesPercent) return "refuse_wakes";
  return available < headroom(memory, rules) ? "headroom" : "ok";
}

/** Whether wakes are refused now, given whether they were before. */
export function refusesWakes(memory: HostMemory, rules: PressureRules, before: boolean): boolean {
  const available = availablePercent(memory);
  if (available < rules.refuseWakesPercent) return true;
  return before && available < rules.refuseWakesPercent + hysteresisPercent;
}

/** What to stop now, in this order: as many as bring the available memory back above the bounds, by their weight. */
export function choosePressureStops(
  memory: HostMemory,
  sandboxes: readonly Weighed[],
  rules: PressureRules,
): readonly PressureStop[] {
  const band = bandOf(memory, rules);
  if (band === "ok") return [];
  const stops = new Map<SandboxId, PressureStop>();
  const weight = ({ bytes }: Weighed) => bytes ?? rules.wakeCostBytes;
  let available = memory.availableBytes;
  const stop = (why: PressureStop["why"], ordered: readonly Weighed[], percent: number) => {
    for (const sandbox of ordered) {
      if (available >= (memory.totalBytes * percent) / 100) return;
      if (stops.has(sandbox.id)) continue;
      stops.set(sandbox.id, { id: sandbox.id, why });
      available += weight(sandbox);
    }
  };
  if (band === "emergency") {
    const heaviest = [...sandboxes].sort((a, b) => weight(b) - weight(a));
    stop("heaviest", heaviest, rules.emergencyPercent);
  }
  const longestIdle = sandboxes.filter(({ spare }) => spare).sort((a, b) => a.lastUse - b.lastUse);
  stop("longest_idle", longestIdle, headroom(memory, rules));
  return [...stops.values()];
}

function headroom({ stalledPercent }: HostMemory, { headroomPercent }: PressureRules): number {
  return (stalledPercent ?? 0) >= stallingPercent ? headroomPercent * 2 : headroomPercent;
}

import { scheduleProblem } from "../sandboxes/schedule.ts";
import type { Retention } from "./retention.ts";

/** When snapshots of a sandbox are taken by the clock, and what is kept of them; null: as the configuration says. */
export type SnapshotPolicy = Retention & {
  /** Of the IANA database. */
  readonly timezone: string;
  /** Cron expressions of five fields; none: only when somebody asks. */
  readonly at: readonly string[];
};

/** What is wrong with a policy, in words; undefined when nothing is. */
export function snapshotPolicyProblem({ timezone, at }: SnapshotPolicy): string | undefined {
  return at.length === 0 ? undefined : scheduleProblem({ timezone, wake: at, sleep: [] });
}

/** The bounds that hold for a sandbox. */
export function retentionFor(policy: SnapshotPolicy | null, configured: Retention): Retention {
  return { keep: policy?.keep ?? configured.keep, keepDays: policy?.keepDays ?? configured.keepDays };
}

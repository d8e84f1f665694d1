import type { CliConfig } from "../config.ts";

export type Verdict = {
  readonly status: "ok" | "warn" | "fail";
  readonly message: string;
  /** What mends it: a command, or what to write where. */
  readonly mend?: string;
};

/** One noun that is looked at. */
export type Check = {
  readonly name: string;
  /** Looks things up and judges them. Need not heed the signal: nobody waits for longer. */
  run(config: CliConfig, signal: AbortSignal): Promise<readonly Verdict[]>;
};

/** Looking up is apart from judging, which is a pure function of what was found. */
export function check<Facts>(
  name: string,
  look: (config: CliConfig, signal: AbortSignal) => Promise<Facts>,
  judge: (facts: Facts, config: CliConfig) => readonly Verdict[],
): Check {
  return { name, run: async (config, signal) => judge(await look(config, signal), config) };
}

export const ok = (message: string): Verdict => ({ status: "ok", message });
export const warn = (message: string, mend?: string): Verdict => ({ status: "warn", message, ...(mend && { mend }) });
export const fail = (message: string, mend?: string): Verdict => ({ status: "fail", message, ...(mend && { mend }) });

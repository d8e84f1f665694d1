import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { CliConfig } from "../config.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** Whether this machine knows what time it is: certificates and tokens are good from one moment to another. */
export const clock = check("clock", compareClocks, (facts) => judgeClock(facts));

export type ClockFacts = {
  /** Whether the system says that its clock is kept in step; undefined: nothing here says so. */
  readonly synchronized: boolean | undefined;
  /** How far this clock is ahead of another one that tells whole seconds, and whose that is. */
  readonly ahead: { readonly seconds: number; readonly of: string } | undefined;
};

async function compareClocks({ remoteUrls }: CliConfig, signal: AbortSignal): Promise<ClockFacts> {
  const [synchronized, ahead] = await Promise.all([isSynchronized(signal), compareWith(remoteUrls, signal)]);
  return { synchronized, ahead };
}

async function isSynchronized(signal: AbortSignal): Promise<boolean | undefined> {
  const command = ["show", "--property=NTPSynchronized", "--value"];
  const said = await promisify(execFile)("timedatectl", command, { signal }).catch(() => undefined);
  const value = said?.stdout.trim();
  return value === "yes" ? true : value === "no" ? false : undefined;
}

/** By the `Date` of the first that answers (RFC 9110 §6.6.1). */
async function compareWith(urls: readonly string[], signal: AbortSignal): Promise<ClockFacts["ahead"]> {
  const asked = urls.map(async (url) => {
    const before = Date.now();
    const answer = await fetch(url, { method: "HEAD", redirect: "manual", signal });
    const then = Date.parse(answer.headers.get("date") ?? "");
    if (Number.isNaN(then)) throw new Error("no date");
    // It was within that second, and within the time that asking took.
    return { seconds: ((before + Date.now()) / 2 - (then + 500)) / 1000, of: new URL(url).host };
  });
  return Promise.any(asked).catch(() => undefined);
}

const tolerated = 5;
/** Beyond that a fresh certificate or token is not good yet for somebody. */
const harmful = 60;

export function judgeClock({ synchronized, ahead }: ClockFacts): readonly Verdict[] {
  const mend = "timedatectl set-ntp true";
  if (ahead !== undefined && Math.abs(ahead.seconds) > tolerated) {
    const by = `${Math.round(Math.abs(ahead.seconds))} s ${ahead.seconds > 0 ? "ahead of" : "behind"} ${ahead.of}`;
    return [(Math.abs(ahead.seconds) > harmful ? fail : warn)(`this clock is ${by}`, mend)];
  }
  if (synchronized === false) return [warn("nothing keeps this clock in step", mend)];
  if (ahead !== undefined) return [ok(`agrees with ${ahead.of}`)];
  if (synchronized) return [ok("is kept in step")];
  return [warn("there is nothing here to compare it with", "on the host: timedatectl show --property=NTPSynchronized")];
}

import type { CliConfig } from "../config.ts";
import { backups } from "./backups.ts";
import { binds } from "./binds.ts";
import { certificate } from "./certificate.ts";
import type { Check, Verdict } from "./check.ts";
import { clock } from "./clock.ts";
import { configuration } from "./configuration.ts";
import { control } from "./control.ts";
import { disk } from "./disk.ts";
import { dns } from "./dns.ts";
import { egress } from "./egress.ts";
import { engine } from "./engine.ts";
import { gateways } from "./gateways.ts";
import { kernel } from "./kernel.ts";
import { ports } from "./ports.ts";
import { tokens } from "./tokens.ts";
import { traefik } from "./traefik.ts";

/** In the order in which they are told: what others follow from comes first. */
export const checks: readonly Check[] = [
  configuration,
  dns,
  ports,
  certificate,
  traefik,
  gateways,
  control,
  engine,
  kernel,
  disk,
  clock,
  tokens,
  binds,
  egress,
  backups,
];

export type Finding = Verdict & { readonly name: string };

/** A check that takes longer has found out that something does not answer. */
const patienceMs = 3_000;

/** Runs all of them at once. Takes no longer than the patience with the slowest one, whatever hangs; never rejects. */
export async function examine(
  config: CliConfig,
  { all = checks, withinMs = patienceMs }: { readonly all?: readonly Check[]; readonly withinMs?: number } = {},
): Promise<readonly Finding[]> {
  const signal = AbortSignal.timeout(withinMs);
  const found = await Promise.all(all.map((each) => runOne(each, config, signal, withinMs)));
  return found.flat();
}

async function runOne(check: Check, config: CliConfig, signal: AbortSignal, withinMs: number): Promise<Finding[]> {
  const { name } = check;
  const late = Promise.withResolvers<readonly Verdict[]>();
  // A little after what heeds the signal: that one knows better what it waited for.
  const timer = setTimeout(
    () =>
      late.resolve([{ status: "fail", message: `could not be looked at within ${(withinMs / 1000).toFixed(1)} s` }]),
    withinMs + 200,
  );
  try {
    const verdicts = await Promise.race([check.run(config, signal), late.promise]);
    return verdicts.map((verdict) => ({ name, ...verdict }));
  } catch (error) {
    return [{ name, status: "fail", message: `could not be looked at: ${(error as Error).message}` }];
  } finally {
    clearTimeout(timer);
  }
}

import { formatAddress } from "#contract/environment.ts";
import type { CliConfig } from "../config.ts";
import { type Answer, ask, isSilent, type Silence } from "../http.ts";
import { check, fail, ok, type Verdict } from "./check.ts";

/** Whether control is up, and ready. */
export const control = check("control", askControl, judgeControl);

export type ControlFacts = { readonly health: Answer | Silence; readonly readiness: Answer | Silence };

async function askControl({ apiBind }: CliConfig, signal: AbortSignal): Promise<ControlFacts> {
  const [health, readiness] = await Promise.all([
    ask({ ...apiBind, path: "/healthz" }, signal),
    ask({ ...apiBind, path: "/readyz" }, signal),
  ]);
  return { health, readiness };
}

export function judgeControl(
  { health, readiness }: ControlFacts,
  config: Pick<CliConfig, "apiBind">,
): readonly Verdict[] {
  const address = formatAddress(config.apiBind);
  const start = "docker compose up -d control; docker compose logs --tail 20 control";
  if (isSilent(health)) return [fail(`the API at ${address} does not answer (${health.silence})`, start)];
  if (health.body !== "ok") {
    return [fail(`${address} is not control's API (${health.status})`, `ss -ltnp 'sport = :${config.apiBind.port}'`)];
  }
  if (isSilent(readiness))
    return [fail(`control is up and does not say whether it is ready (${readiness.silence})`, start)];
  if (readiness.status === 200) return [ok(`the API at ${address} is ready`)];
  return [fail(`control is up and ${readiness.body.trim()}`, start)];
}

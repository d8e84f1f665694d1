import type { CliConfig } from "../config.ts";
import { type Answer, ask, codeOf, isSilent, type Silence } from "../http.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** The way out: of control to what it reads from elsewhere, and of sandboxes. */
export const egress = check("egress", tryEgress, judgeEgress);

/** A URL, and the error of asking it. */
export type Tried = { readonly url: string; readonly error: string | undefined };

export type EgressFacts = { readonly tried: readonly Tried[]; readonly told: Answer | Silence };

async function tryEgress({ remoteUrls, apiBind }: CliConfig, signal: AbortSignal): Promise<EgressFacts> {
  const [told, ...tried] = await Promise.all([
    ask({ ...apiBind, path: "/v1/egress" }, signal),
    ...remoteUrls.map(async (url) => ({ url, error: await errorOf(url, signal) })),
  ]);
  return { tried, told };
}

async function errorOf(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { body } = await fetch(url, { method: "HEAD", redirect: "manual", signal });
    await body?.cancel();
    return undefined;
  } catch (error) {
    return codeOf((error as Error).cause ?? error);
  }
}

export function judgeEgress({ tried, told }: EgressFacts, { engine }: Pick<CliConfig, "engine">): readonly Verdict[] {
  const verdicts = tried.map(({ url, error }) => {
    const { host } = new URL(url);
    if (error === undefined) return ok(`control reaches ${host}`);
    return fail(`control cannot reach ${host} (${error})`, `curl -sSI ${url}`);
  });
  if (engine === "docker") verdicts.push(...judgeRules(told));
  return verdicts.length > 0 ? verdicts : [ok("control reads nothing from elsewhere")];
}

type Told = {
  readonly mode: "enforce" | "observe" | "off";
  readonly installed: boolean;
  readonly problem: string | null;
  readonly table: string;
  readonly reinstalls: number;
  readonly last_reinstall_at: string | null;
  readonly name_servers: readonly string[];
};

function judgeRules(told: Answer | Silence): readonly Verdict[] {
  if (isSilent(told) || told.status !== 200) {
    return [warn("control does not tell whether rules hold sandboxes back", "docker compose up -d control")];
  }
  const { mode, installed, problem, table, reinstalls, last_reinstall_at, name_servers } = JSON.parse(
    told.body,
  ) as Told;
  if (mode === "off") {
    const message = "sandboxes may reach private networks and this machine: SANDBOXD_EGRESS is off";
    return [warn(message, "write SANDBOXD_EGRESS=enforce to .env, then: docker compose up -d")];
  }
  if (!installed) {
    const mend = "apt-get install nftables; control needs CAP_NET_ADMIN in the host's network";
    if (mode === "observe") return [warn(`what sandboxes connect to is not observed: ${problem}`, mend)];
    return [fail(`no sandbox starts, for want of egress rules: ${problem}`, mend)];
  }
  const verdicts: Verdict[] = [];
  if (mode === "observe")
    verdicts.push(warn("connections of sandboxes are counted and not held back", "SANDBOXD_EGRESS=enforce"));
  else verdicts.push(ok(`the tables ${table} hold sandboxes back`));
  if (name_servers.length === 0) {
    const message = "this machine has no name server beyond loopback that sandboxes could ask";
    verdicts.push(warn(message, "write SANDBOXD_EGRESS_NAME_SERVERS=<address> to .env"));
  }
  if (reinstalls > 0) {
    const message = `somebody took the egress rules away ${reinstalls} times, at ${last_reinstall_at} for the last time`;
    verdicts.push(warn(message, "find what runs `nft flush ruleset`: systemctl status nftables firewalld"));
  }
  return verdicts;
}

import { isDeepStrictEqual } from "node:util";
import { formatAddress } from "#contract/environment.ts";
import { formatApiHost } from "#contract/preview-host.ts";
import type { CliConfig } from "../config.ts";
import { isSilent } from "../http.ts";
import { fail, ok, type Verdict, warn } from "./check.ts";
import type { DynamicFile, EntryPoint, Loaded, TraefikFacts } from "./traefik.ts";

/** What control writes to the dynamic directory. */
export const ours: readonly string[] = ["previews.yml", "api.yml", "certificate.yml"];
const restart = "docker compose restart traefik";
const logs = "docker compose logs --tail 20 traefik";

type Expected = Pick<
  CliConfig,
  "domain" | "tls" | "internalBind" | "trustedProxies" | "proxyProtocol" | "http3" | "dynamicDirectory"
>;

export function judgeTraefik({ ping, loaded, files }: TraefikFacts, config: Expected): readonly Verdict[] {
  const foreign = judgeFiles(files, config.dynamicDirectory);
  const address = formatAddress(config.internalBind);
  if (isSilent(ping))
    return [fail(`does not answer at ${address} (${ping.silence})`, "docker compose up -d traefik"), ...foreign];
  if (ping.status === 503) return [fail("is about to end", "docker compose up -d traefik"), ...foreign];
  if (ping.status !== 200 || ping.body !== "OK") {
    return [
      fail(`${address} is not Traefik's (${ping.status})`, `ss -ltnp 'sport = :${config.internalBind.port}'`),
      ...foreign,
    ];
  }
  if (isSilent(loaded)) {
    return [
      fail(`has loaded none of control's files (${loaded.silence})`, `${logs}; docker compose up -d control`),
      ...foreign,
    ];
  }
  const verdicts = [
    ...judgeRoutes(loaded, files ?? [], config),
    ...judgeStatic(loaded.entryPoints, config),
    ...foreign,
  ];
  const healthy = ok("has loaded what control wrote and .env asks for");
  return verdicts.every(({ status }) => status !== "fail") ? [healthy, ...verdicts] : verdicts;
}

/** One file that Traefik does not take freezes all of them at what they said before. */
function judgeFiles(files: readonly DynamicFile[] | undefined, directory: string): readonly Verdict[] {
  if (files === undefined) return [fail(`${directory} cannot be read`, "docker compose up -d control")];
  return files.flatMap(({ name, content, problem }) => {
    const mend = ours.includes(name) ? "docker compose restart control" : `rm ${directory}/${name}`;
    if (problem !== undefined) return [fail(`${name} is not YAML and freezes every file beside it: ${problem}`, mend)];
    const isMapping = typeof content === "object" && content !== null;
    if (!isMapping) return [fail(`${name} says nothing that Traefik takes, and freezes every file beside it`, mend)];
    return ours.includes(name)
      ? []
      : [warn(`${name} is not control's: a mistake in it would freeze the certificate too`, mend)];
  });
}

function judgeRoutes(
  { routers, services }: Loaded,
  files: readonly DynamicFile[],
  config: Expected,
): readonly Verdict[] {
  const verdicts: Verdict[] = [];
  const previews = routers["previews@file"];
  const rule = `Host(\`*.preview.${config.domain}\`)`;
  if (previews === undefined) verdicts.push(fail("has no route for previews", `${logs}; docker compose up -d control`));
  else if (!previews.rule?.startsWith(rule)) {
    verdicts.push(
      fail(`routes other previews than *.preview.${config.domain}: ${previews.rule}`, "docker compose up -d control"),
    );
  }
  for (const [name, { status, error }] of Object.entries(routers)) {
    if (status === "enabled" || !name.endsWith("@file")) continue;
    verdicts.push(fail(`its route ${name} is out of order: ${error?.join("; ") ?? status}`, logs));
  }
  const stale = files.filter((file) => isStale(file, routers));
  for (const { name } of stale)
    verdicts.push(fail(`goes on with an older ${name}: its files are frozen`, `${logs}; ${restart}`));
  if (routers["api@file"] === undefined && stale.length === 0) {
    const message = `the API is off the edge: ${formatApiHost(config.domain)} has no route`;
    verdicts.push(warn(message, "to have it back: docker compose restart control"));
  }
  const statuses = Object.entries(services["gateway@file"]?.serverStatus ?? {});
  const down = statuses.filter(([, status]) => status === "DOWN").map(([url]) => url);
  if (down.length > 0) {
    const verdict = down.length === statuses.length ? fail : warn;
    verdicts.push(verdict(`finds no gateway at ${down.join(", ")}`, "docker compose up -d gateway gateway-2"));
  }
  return verdicts;
}

/** Whether a file of ours says something else than what is in force. */
function isStale({ name, content }: DynamicFile, routers: Loaded["routers"]): boolean {
  if (!ours.includes(name)) return false;
  const { http } = (content ?? {}) as {
    http?: { routers?: Record<string, { rule?: string; entryPoints?: string[] }> };
  };
  return Object.entries(http?.routers ?? {}).some(([router, { rule, entryPoints }]) => {
    const loaded = routers[`${router}@file`];
    return loaded?.rule !== rule || !isDeepStrictEqual(loaded?.entryPoints, entryPoints);
  });
}

/** The static file is read once, when Traefik starts. */
function judgeStatic(entryPoints: readonly EntryPoint[], config: Expected): readonly Verdict[] {
  const mend = "docker compose up -d traefik";
  return ["web", "websecure"].flatMap((name) => {
    const entryPoint = entryPoints.find((each) => each.name === name);
    if (entryPoint === undefined) return [fail(`has no entry point ${name}`, mend)];
    const verdicts: Verdict[] = [];
    const trusted = entryPoint.forwardedHeaders?.trustedIPs ?? [];
    if (!isDeepStrictEqual([...trusted], [...config.trustedProxies])) {
      verdicts.push(fail(`${name} trusts ${list(trusted)} instead of ${list(config.trustedProxies)}`, mend));
    }
    if ((entryPoint.proxyProtocol !== undefined) !== config.proxyProtocol) {
      verdicts.push(fail(`${name} speaks the PROXY protocol otherwise than PREVIEW_PROXY_PROTOCOL says`, mend));
    }
    if (name === "websecure" && (entryPoint.http3 !== undefined) !== config.http3) {
      verdicts.push(fail("websecure speaks HTTP/3 otherwise than PREVIEW_HTTP3 says", mend));
    }
    return verdicts;
  });
}

function list(networks: readonly string[]): string {
  return networks.join(", ") || "nobody";
}

import { readFile } from "node:fs/promises";
import { isLoopback } from "#contract/environment.ts";
import type { CliConfig } from "../config.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** Which addresses what trusts this machine's loopback really listens at. */
export const binds = check("binds", listListeners, judgeBinds);

/** Listening TCP sockets; undefined: the system does not tell. */
export type Listeners = readonly { readonly host: string; readonly port: number }[] | undefined;

async function listListeners(): Promise<Listeners> {
  const tables = await Promise.all(
    ["/proc/net/tcp", "/proc/net/tcp6"].map((path) => readFile(path, "utf8").catch(() => undefined)),
  );
  if (tables.every((table) => table === undefined)) return undefined;
  return tables.flatMap((table) => readTable(table ?? ""));
}

const listening = "0A";

/** Rows of number, local address, remote address, state. */
export function readTable(table: string): { host: string; port: number }[] {
  const rows = table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
  return rows
    .filter(([, , , state]) => state === listening)
    .map(([, local = ""]) => {
      const [address = "", port = ""] = local.split(":");
      return { host: readAddress(address), port: Number.parseInt(port, 16) };
    });
}

/** Words of four bytes, each in the order of this machine, which is little-endian wherever Node runs. */
function readAddress(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)));
  if (bytes.length === 4) return bytes.join(".");
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (isMapped) return bytes.slice(12).join(".");
  if (bytes.every((byte) => byte === 0)) return "::";
  if (bytes.slice(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return "::1";
  return (hex.match(/.{4}/g) ?? []).length === 0 ? hex : formatIpv6(bytes);
}

function formatIpv6(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[2 * index]! << 8) | bytes[2 * index + 1]!).toString(16),
  );
  return groups.join(":");
}

type Expected = Pick<CliConfig, "apiBind" | "gatewayBinds" | "internalBind" | "apiAuthDisabled" | "engine">;

/** Docker's own API without TLS. */
const dockerPort = 2375;

export function judgeBinds(listeners: Listeners, config: Expected): readonly Verdict[] {
  if (listeners === undefined)
    return [warn("this system does not tell who listens where", "lsof -nP -iTCP -sTCP:LISTEN")];
  const inner = [
    { name: "the API", port: config.apiBind.port, variable: "SANDBOXD_API_BIND", severe: config.apiAuthDisabled },
    ...config.gatewayBinds.map(({ port }) => ({ name: "a gateway", port, variable: "GATEWAY_BIND", severe: true })),
    {
      name: "Traefik's internal entry point",
      port: config.internalBind.port,
      variable: "EDGE_INTERNAL_BIND",
      severe: true,
    },
  ];
  const verdicts = inner.flatMap(({ name, port, variable, severe }) => {
    const open = listeners.filter((each) => each.port === port && !isLoopback(each.host));
    return open.map(({ host }) =>
      (severe ? fail : warn)(
        `${name} listens at ${host}:${port}, beyond this machine's loopback`,
        `${variable}=127.0.0.1:${port} in .env, then: docker compose up -d`,
      ),
    );
  });
  for (const { host } of listeners.filter(({ port, host }) => port === dockerPort && !isLoopback(host))) {
    verdicts.push(
      fail(
        `Docker's API listens at ${host}:${dockerPort}: whoever reaches it is root here`,
        "remove -H tcp://… from dockerd",
      ),
    );
  }
  return verdicts.length > 0 ? verdicts : [ok("only Traefik listens beyond this machine")];
}

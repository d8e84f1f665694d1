import { formatAddress } from "#contract/environment.ts";
import { gatewayHealth } from "#contract/gateway-health.ts";
import type { CliConfig } from "../config.ts";
import { type Answer, ask, isSilent, type Silence } from "../http.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** Each gateway that Traefik is told of. */
export const gateways = check("gateways", askGateways, (asked) => judgeGateways(asked));

export type AskedGateway = { readonly address: string; readonly answer: Answer | Silence };

function askGateways({ gatewayBinds }: CliConfig, signal: AbortSignal): Promise<readonly AskedGateway[]> {
  const { host: hostHeader, path } = gatewayHealth;
  return Promise.all(
    gatewayBinds.map(async (bind) => ({
      address: formatAddress(bind),
      answer: await ask({ ...bind, path, hostHeader }, signal),
    })),
  );
}

export function judgeGateways(asked: readonly AskedGateway[]): readonly Verdict[] {
  const isWell = ({ answer }: AskedGateway) => !isSilent(answer) && answer.status === 200;
  // As long as one is well, previews are served.
  const bad = asked.some(isWell) ? warn : fail;
  return asked.map((gateway) => {
    const { address, answer } = gateway;
    if (isWell(gateway)) return ok(`${address} takes requests`);
    if (isSilent(answer)) {
      return bad(`${address} does not answer (${answer.silence})`, "docker compose up -d gateway gateway-2");
    }
    if (answer.status === 503) {
      return bad(`${address} leaves, or has not heard of control yet`, "docker compose up -d control");
    }
    return bad(
      `${address} is no gateway (it answers ${answer.status})`,
      `ss -ltnp 'sport = :${address.replace(/.*:/, "")}'`,
    );
  });
}

import type { CliConfig } from "../config.ts";
import { type Answer, ask, isSilent, type Silence } from "../http.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";
import { askOverTls } from "./tls.ts";

/** Who answers where visitors come in. */
export const ports = check("ports", knock, judgePorts);

export type Knocked = {
  readonly web: Answer | Silence;
  /** Absent when nothing is to be there. */
  readonly websecure?: Answer | Silence;
};

async function knock(config: CliConfig, signal: AbortSignal): Promise<Knocked> {
  const { httpPort, httpsPort, tls, entryPoint } = config;
  const hostHeader = `doctor.preview.${config.domain}`;
  const asked = { host: "127.0.0.1", path: "/", hostHeader };
  const [web, websecure] = await Promise.all([
    ask({ ...asked, port: httpPort }, signal),
    tls
      ? askOverTls({ ...asked, port: httpsPort }, signal)
      : entryPoint === "websecure"
        ? ask({ ...asked, port: httpsPort }, signal)
        : undefined,
  ]);
  return { web, ...(websecure && { websecure }) };
}

export function judgePorts({ web, websecure }: Knocked, config: Expected): readonly Verdict[] {
  const { httpPort, httpsPort, tls, entryPoint } = config;
  const verdicts = [judgePort(web, httpPort, tls ? "redirect" : entryPoint === "web" ? "gateway" : "nothing")];
  if (websecure !== undefined) verdicts.push(judgePort(websecure, httpsPort, "gateway"));
  return verdicts;
}

type Expected = Pick<CliConfig, "httpPort" | "httpsPort" | "tls" | "entryPoint">;

function judgePort(answer: Answer | Silence, port: number, expected: "redirect" | "gateway" | "nothing"): Verdict {
  if (isSilent(answer)) return judgeSilence(answer, port);
  const { status, headers, body } = answer;
  const isTraefik = body.startsWith("404 page not found") || body.startsWith("no available server");
  if (headers["x-sandbox-gateway"] !== undefined) return ok(`port ${port} leads to the gateway`);
  if (expected === "redirect" && headers.location?.startsWith("https://")) {
    return ok(`port ${port} sends visitors to ${new URL(headers.location).origin.replace(/doctor\./, "*.")}`);
  }
  if (status === 502 || status === 503 || status === 504) {
    return fail(`port ${port}: Traefik reaches no gateway (${status})`, "docker compose up -d gateway gateway-2");
  }
  if (isTraefik && expected === "nothing") return ok(`port ${port} is Traefik's, without a preview on it`);
  if (isTraefik) {
    return fail(
      `port ${port}: Traefik has no route for previews`,
      "docker compose logs traefik; docker compose up -d control",
    );
  }
  return fail(`port ${port} belongs to another program (it answers ${status})`, `ss -ltnp 'sport = :${port}'`);
}

function judgeSilence({ silence }: Silence, port: number): Verdict {
  switch (silence) {
    case "ECONNREFUSED":
      return fail(`nothing listens on port ${port}`, "docker compose up -d");
    case "timeout":
      return fail(`port ${port} does not answer in time`, "docker compose restart traefik");
    case "EPROTO":
    case "HPE_INVALID_CONSTANT":
    case "ECONNRESET":
      return fail(`port ${port} does not speak as it should (${silence})`, `ss -ltnp 'sport = :${port}'`);
    default:
      return warn(`port ${port} could not be asked: ${silence}`, `ss -ltnp 'sport = :${port}'`);
  }
}

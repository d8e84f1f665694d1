import { formatApiHost } from "#contract/preview-host.ts";
import type { CliConfig } from "../config.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** Who may call the API, and whether secrets are worth that name. None of them is ever told. */
export const tokens = check("tokens", async (config) => config, judgeTokens);

type Expected = Pick<CliConfig, "domain" | "apiAuthDisabled" | "apiSecrets" | "previewSecrets">;

const make = "openssl rand -hex 32";
const reload = "docker compose up -d control";

export function judgeTokens(
  { apiAuthDisabled, apiSecrets, previewSecrets }: Omit<Expected, "domain">,
  { domain }: Pick<Expected, "domain">,
): readonly Verdict[] {
  return [...judgeApi(apiAuthDisabled, apiSecrets, domain), ...judgePreview(previewSecrets)];
}

function judgeApi(disabled: boolean, secrets: readonly string[], domain: string): readonly Verdict[] {
  if (disabled && domain === "localhost") return [ok("the API is open, on this machine's own domain")];
  if (disabled) {
    return [
      fail(
        `anyone who reaches ${formatApiHost(domain)} may call the API`,
        `write SANDBOXD_API_AUTH_DISABLED=false and SANDBOXD_API_TOKENS=name:$(${make}) to .env, then: ${reload}`,
      ),
    ];
  }
  if (secrets.length === 0) {
    return [warn("no token is set: every call at the edge is refused", `SANDBOXD_API_TOKENS=name:$(${make})`)];
  }
  const weak = secrets.filter(isWeak).length;
  if (weak > 0) return [fail(`${weak} of ${secrets.length} API tokens can be guessed`, `${make}; then: ${reload}`)];
  return [ok(`${count(secrets, "token")} may call the API`)];
}

/** RFC 7518 §3.2: a key for HS256 has at least 256 bits. */
function judgePreview(secrets: readonly string[]): readonly Verdict[] {
  if (secrets.length === 0) return [];
  const weak = secrets.filter(isWeak).length;
  if (weak > 0)
    return [fail(`${weak} of ${secrets.length} preview secrets can be guessed`, `${make}; then: ${reload}`)];
  const short = secrets.filter((secret) => Buffer.byteLength(secret) < 32).length;
  if (short > 0) return [warn(`${short} of ${secrets.length} preview secrets are shorter than 32 bytes`, make)];
  return [ok(`${count(secrets, "secret")} sign previews`)];
}

/** Short, or what a guide has in its place. */
function isWeak(secret: string): boolean {
  return secret.length < 16 || new Set(secret).size < 6 || /^<.*>$|change|example|secret|password/i.test(secret);
}

function count(list: readonly string[], noun: string): string {
  return `${list.length} ${noun}${list.length === 1 ? "" : "s"}`;
}

import type { Static } from "typebox";
import { ApiError } from "../api-error.ts";
import type { SandboxPolicy } from "../sandboxes/sandbox.ts";
import type { createBody, PatchBody, Resource } from "./schemas.ts";

type Environment = Pick<SandboxPolicy, "env" | "sealedEnv">;

/** Seals a variable's value for the sandbox that it is for. */
export type Seal = (variable: string, value: string) => string;

/**
 * A sandbox's variables after a merge patch of them: null removes one, a text is a plain value, `{"value", "secret": true}`
 * a secret. A secret without a value stays as it is, so that what the API shows can be sent back. Throws ApiError
 * `invalid_request` for what would need a value that is not there.
 */
export function fromWireEnv(patch: PatchBody["env"], current: Environment, seal: Seal): Environment {
  if (patch === null || patch === undefined) return { env: {}, sealedEnv: {} };
  const env = { ...current.env };
  const sealedEnv = { ...current.sealedEnv };
  for (const [name, entry] of Object.entries(patch)) {
    const wasSecret = name in sealedEnv;
    const { value = env[name], secret = wasSecret } =
      typeof entry === "string" ? { value: entry, secret: false } : (entry ?? { value: "", secret: false });
    if (value === undefined && !(wasSecret && secret))
      throw new ApiError("invalid_request", `body: env.${name} needs a value`);
    delete env[name];
    if (entry === null || !secret || value !== undefined) delete sealedEnv[name];
    if (entry === null || value === undefined) continue;
    if (secret) sealedEnv[name] = seal(name, value);
    else env[name] = value;
  }
  return { env, sealedEnv };
}

/** As the API shows them: of secrets nothing but their names. */
export function toWireEnv({ env, sealedEnv }: Environment): Resource["env"] {
  const secrets = Object.keys(sealedEnv).map((name) => [name, { secret: true }] as const);
  return { ...env, ...Object.fromEntries(secrets) };
}

/** A create's body for telling it from another one, with nothing of its secrets. */
export function withoutSecrets(
  body: Static<typeof createBody>,
  fingerprint: (value: string) => string,
): Readonly<Record<string, unknown>> {
  if (!body.env) return body;
  const entries = Object.entries(body.env).map(([name, entry]) => {
    const isSecret = typeof entry === "object" && entry !== null && entry.value !== undefined;
    return [name, isSecret ? { ...entry, value: fingerprint(entry.value!) } : entry];
  });
  return { ...body, env: Object.fromEntries(entries) };
}

import type { CorsPolicy } from "#contract/cors.ts";
import { ApiError } from "../api-error.ts";
import { mergePatch } from "./merge-patch.ts";
import type { PatchBody, Resource } from "./schemas.ts";

type WireCors = NonNullable<Resource["cors"]>;

/** A sandbox's CORS policy after a merge patch of it. Throws ApiError `invalid_request` for one that cannot be followed. */
export function fromWireCors(patch: PatchBody["cors"], current: CorsPolicy | null): CorsPolicy | null {
  if (patch === null || patch === undefined) return null;
  const merged = mergePatch(toWireCors(current) ?? {}, patch) as Partial<WireCors>;
  const { origins, methods, headers, credentials, max_age_seconds: maxAgeSeconds } = merged;
  if (origins === undefined) throw new ApiError("invalid_request", "body: the field cors.origins is missing");
  if (origins.includes("*") && (origins.length > 1 || credentials === true)) {
    throw new ApiError("invalid_request", "body: cors.origins: * stands alone and without credentials");
  }
  return {
    origins: origins.map((origin) => origin.toLowerCase()),
    ...(methods !== undefined && { methods }),
    ...(headers !== undefined && { headers }),
    ...(credentials !== undefined && { credentials }),
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
  };
}

export function toWireCors(policy: CorsPolicy | null): Resource["cors"] {
  if (policy === null) return null;
  const { origins, methods, headers, credentials, maxAgeSeconds } = policy;
  return {
    origins: [...origins],
    ...(methods !== undefined && { methods: [...methods] }),
    ...(headers !== undefined && { headers: [...headers] }),
    ...(credentials !== undefined && { credentials }),
    ...(maxAgeSeconds !== undefined && { max_age_seconds: maxAgeSeconds }),
  };
}

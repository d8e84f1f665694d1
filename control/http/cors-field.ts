import type { CorsPolicy } from "#contract/cors.ts";
import { ApiError } from "../api-error.ts";
import type { PatchBody, Resource } from "./schemas.ts";

/** A sandbox's CORS policy out of a body; one that is given stands for the whole. Throws ApiError `invalid_request`. */
export function fromWireCors(field: PatchBody["cors"]): CorsPolicy | null {
  if (field === null || field === undefined) return null;
  const { origins, methods, headers, credentials, max_age_seconds: maxAgeSeconds } = field;
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

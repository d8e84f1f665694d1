type Json = Readonly<Record<string, unknown>>;

/** The target after a merge patch (RFC 7396 §2); the patch null empties it. */
export function mergePatch<T>(
  target: Readonly<Record<string, T>>,
  patch: Readonly<Record<string, T | null>> | null,
): Record<string, T>;
export function mergePatch(target: Json, patch: Json | null): Record<string, unknown>;
export function mergePatch(target: Json, patch: Json | null): Record<string, unknown> {
  if (patch === null) return {};
  const result: Record<string, unknown> = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = isObject(value) ? mergePatch(asObject(result[key]), value) : value;
  }
  return result;
}

function asObject(value: unknown): Json {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

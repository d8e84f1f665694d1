/** A ULID in its canonical upper case: 26 characters of Crockford's base 32, the first at most 7. */
export type SandboxId = string & { readonly brand: "SandboxId" };

const ulid = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** The canonical id, or undefined when `text` is not a ULID. Both cases are accepted: browsers send hosts in lower case. */
export function parseSandboxId(text: string): SandboxId | undefined {
  const canonical = text.toUpperCase();
  return ulid.test(canonical) ? (canonical as SandboxId) : undefined;
}

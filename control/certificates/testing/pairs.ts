import { createAuthority, issueLeaf } from "../certificate-authority.ts";
import type { CertificatePair } from "../valid-certificate.ts";

export const day = 86_400_000;

/** A moment so many days from now. */
export function daysFromNow(days: number): Date {
  return new Date(Date.now() + days * day);
}

/** The wildcard pair of a domain, of an authority of its own, as an operator would store it. */
export async function operatorPair(
  domain: string,
  from = new Date(),
): Promise<CertificatePair & { readonly ca: string }> {
  const authority = await createAuthority(from);
  const leaf = await issueLeaf(authority, [`*.preview.${domain}`], from);
  return { chain: leaf.chain + authority.chain, key: leaf.key, ca: authority.chain };
}

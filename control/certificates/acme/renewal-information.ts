import "reflect-metadata";
import { AuthorityKeyIdentifierExtension, X509Certificate } from "@peculiar/x509";
import Type from "typebox";
import { Check } from "typebox/value";
import { getJson } from "./authority-calls.ts";
import type { RenewalWindow } from "./renewal-time.ts";

/** How often the CA is asked again: what it says, within bounds, or every six hours (RFC 9773 §4.3.2). */
const everyMs = 6 * 3_600_000;
const soonestMs = 60_000;
const latestMs = 86_400_000;

export type RenewalInformation = {
  readonly window: RenewalWindow;
  /** Where the CA says why, for an unusual window. */
  readonly explanationUrl: string | null;
  readonly askAgainMs: number;
};

const answer = Type.Object({
  suggestedWindow: Type.Object({ start: Type.String(), end: Type.String() }),
  explanationURL: Type.Optional(Type.String()),
});
const directory = Type.Object({ renewalInfo: Type.Optional(Type.String()) });

/** Where a CA tells when to renew; null for one that does not. Throws when it does not answer. */
export async function renewalUrlOf(directoryUrl: string, signal: AbortSignal): Promise<string | null> {
  const { result } = await getJson(directoryUrl, signal);
  if (!Check(directory, result)) throw new Error(`${directoryUrl} is not the directory of a CA`);
  return result.renewalInfo ?? null;
}

/** Asks the CA when it wants a certificate renewed (RFC 9773 §4.2). Throws when it does not say. */
export async function askRenewal(baseUrl: string, chain: string, signal: AbortSignal): Promise<RenewalInformation> {
  const id = renewalId(chain);
  if (id === undefined) throw new Error("the certificate does not name its issuer's key");
  const { result, retryAfterMs } = await getJson(`${baseUrl.replace(/\/$/, "")}/${id}`, signal);
  if (!Check(answer, result)) throw new Error("the CA's renewal information is not in its form");
  const [start, end] = [Date.parse(result.suggestedWindow.start), Date.parse(result.suggestedWindow.end)];
  if (Number.isNaN(start) || Number.isNaN(end)) throw new Error("the CA's renewal window has no times");
  return {
    window: { start, end },
    explanationUrl: result.explanationURL ?? null,
    askAgainMs: Math.min(Math.max(retryAfterMs ?? everyMs, soonestMs), latestMs),
  };
}

/** How ARI names the leaf of a chain (RFC 9773 §4.1); undefined for one that does not name its issuer's key. */
export function renewalId(chain: string): string | undefined {
  const leaf = new X509Certificate(chain);
  const keyId = leaf.getExtension(AuthorityKeyIdentifierExtension)?.keyId;
  if (keyId === undefined) return undefined;
  const encode = (hex: string) => Buffer.from(hex, "hex").toString("base64url");
  // As it is in the certificate: a first byte of 80 or more has a zero before it, which the library leaves out.
  const serial = /^[89a-f]/i.test(leaf.serialNumber) ? `00${leaf.serialNumber}` : leaf.serialNumber;
  return `${encode(keyId)}.${encode(serial)}`;
}

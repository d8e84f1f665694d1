import type { CertificatePair, ValidCertificate } from "./valid-certificate.ts";

/** The sources whose certificate control writes; with `traefik` it is Traefik's own. */
export type SourceName = "self-signed" | "file" | "acme";

export type Failure = { readonly at: Date; readonly message: string };
export type SourceStatus = {
  /** When another certificate is going to be made or asked for; null when that is not the source's to decide. */
  readonly nextRenewalAt: Date | null;
  /** Why none was made; null since the last success. */
  readonly lastError: Failure | null;
};

/** Where the wildcard certificate comes from. */
export interface CertificateSource {
  readonly name: SourceName;
  /** The certificate to hand to those who shall trust the pair; undefined when clients know the issuer anyway. */
  readonly trustAnchor: string | undefined;
  /** Whether all that it gives is new, so that one that ends sooner is no stale copy. */
  readonly isAlwaysFresh: boolean;
  /**
   * The pair to use now: the one in use, which came from this source, for as long as nothing better is there. Undefined
   * as long as there is none, but the source is after one: what is in use, wherever it came from, then stays. Throws when
   * there is none, or when what is there cannot be read.
   */
  obtain(inUse: ValidCertificate | undefined, now: Date): Promise<CertificatePair | undefined>;
  /** Calls back when `obtain` may answer otherwise than before, until it is disposed of. */
  watch(changed: () => void): AsyncDisposable;
  status(inUse: ValidCertificate | undefined): SourceStatus;
}

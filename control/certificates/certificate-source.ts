import type { CertificatePair, ValidCertificate } from "./valid-certificate.ts";

/** Where the wildcard certificate comes from. */
export interface CertificateSource {
  readonly name: "self-signed" | "file";
  /** The certificate to hand to those who shall trust the pair; undefined when clients know the issuer anyway. */
  readonly trustAnchor: string | undefined;
  /**
   * The pair to use now: the one in use for as long as nothing better is there. Throws when there is none, or when
   * what is there cannot be read; the one in use then stays.
   */
  obtain(inUse: ValidCertificate | undefined, now: Date): Promise<CertificatePair>;
  /** Calls back when `obtain` may answer otherwise than before, until it is disposed of. */
  watch(changed: () => void): Disposable;
}

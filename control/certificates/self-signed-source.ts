import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import { createAuthority, issueLeaf } from "./certificate-authority.ts";
import type { CertificateSource, SourceStatus } from "./certificate-source.ts";
import type { CertificatePair, ValidCertificate } from "./valid-certificate.ts";
import { readIfThere, writeWhole } from "./write-whole.ts";

/** An authority that ends sooner is replaced, and has to be trusted anew. */
const authorityMarginMs = 30 * 86_400_000;

/** A local authority in a directory of the data directory, and leaves of it: for development and for closed networks. */
export class SelfSignedSource implements CertificateSource {
  readonly name = "self-signed";
  readonly trustAnchor: string;
  readonly isAlwaysFresh = false;
  readonly #keyPath: string;
  readonly #staging: string;
  readonly #names: readonly string[];
  readonly #domain: string;
  readonly #logger: Logger;

  /** `directory` gets the authority's certificate, `privateDirectory` its key. */
  constructor(directory: string, privateDirectory: string, domain: string, logger: Logger) {
    this.trustAnchor = join(directory, "ca.pem");
    this.#keyPath = join(privateDirectory, "ca.key");
    this.#staging = privateDirectory;
    this.#domain = domain;
    this.#names = [`*.preview.${domain}`, `preview.${domain}`];
    this.#logger = logger;
  }

  async obtain(inUse: ValidCertificate | undefined, now: Date): Promise<CertificatePair> {
    const authority = await this.#authority(now);
    if (inUse !== undefined && this.#isGood(inUse, authority, now)) return inUse;
    return issueLeaf(authority, this.#names, now);
  }

  watch(): AsyncDisposable {
    return { [Symbol.asyncDispose]: async () => {} };
  }

  status(inUse: ValidCertificate | undefined): SourceStatus {
    return { nextRenewalAt: inUse === undefined ? null : new Date(renewalOf(inUse)), lastError: null };
  }

  /** Of this authority, of this domain, and within the first two thirds of its life. */
  #isGood(inUse: ValidCertificate, authority: CertificatePair, now: Date): boolean {
    const issued = new X509Certificate(inUse.chain).verify(new X509Certificate(authority.chain).publicKey);
    return issued && this.#names.every((name) => inUse.names.includes(name)) && now.getTime() < renewalOf(inUse);
  }

  async #authority(now: Date): Promise<CertificatePair> {
    const chain = await readIfThere(this.trustAnchor);
    const key = await readIfThere(this.#keyPath);
    if (chain !== undefined && key !== undefined) {
      const problem = problemOf({ chain, key }, now);
      if (problem === undefined) return { chain, key };
      this.#logger.warn({ problem, path: this.trustAnchor }, "local certificate authority replaced: trust the new one");
    }
    const authority = await createAuthority(now);
    // Without its certificate a key is no authority: a crash in between makes a new one at the next start.
    await this.#write(this.#keyPath, authority.key, 0o600);
    await this.#write(this.trustAnchor, authority.chain, 0o644);
    this.#logger.info({ path: this.trustAnchor, domain: this.#domain }, "local certificate authority created");
    return authority;
  }

  #write(path: string, content: string, mode: number): Promise<boolean> {
    return writeWhole(path, content, { mode, stagingDirectories: [this.#staging], verify: () => {} });
  }
}

function renewalOf({ notBefore, notAfter }: ValidCertificate): number {
  return notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * (2 / 3);
}

function problemOf(authority: CertificatePair, now: Date): string | undefined {
  try {
    const certificate = new X509Certificate(authority.chain);
    if (!certificate.checkPrivateKey(createPrivateKey(authority.key))) return "its key does not belong to it";
    const end = certificate.validToDate.getTime();
    return now.getTime() > end - authorityMarginMs ? `it ends at ${certificate.validToDate.toISOString()}` : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

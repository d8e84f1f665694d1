import type { Logger } from "pino";
import type { Address } from "#contract/environment.ts";
import type { CertificateSource } from "./certificate-source.ts";
import type { SourcedPair } from "./dynamic-files.ts";
import { isServed } from "./served-certificate.ts";
import {
  CertificateError,
  type CertificatePair,
  type ValidCertificate,
  validateCertificate,
} from "./valid-certificate.ts";

/** Where the pair in use is kept, and from where the edge takes it. */
export interface CertificateStore {
  readCertificate(): Promise<SourcedPair | undefined>;
  /** Answers whether it was another one before. */
  writeCertificate(pair: SourcedPair): Promise<boolean>;
}

export type KeeperOptions = {
  readonly logger: Logger;
  readonly now: () => Date;
  readonly checkEveryMs: number;
  /** Where Traefik answers TLS; without it nothing proves that the certificate is served. */
  readonly traefikAddress: Address | undefined;
};

export type KeeperStatus = {
  readonly certificate: ValidCertificate;
  readonly lastError: { readonly at: Date; readonly message: string } | null;
  /** Whether Traefik's own handshake showed it; null as long as nobody looked. */
  readonly served: boolean | null;
};

/** How long Traefik may take to serve a new certificate: usually 30 ms, but it may have been started just now. */
const swapMs = 60_000;

/** Keeps the best certificate of one source in one store. What is bad never replaces what is good. */
export class CertificateKeeper implements AsyncDisposable {
  readonly #source: CertificateSource;
  readonly #store: CertificateStore;
  readonly #domain: string;
  readonly #options: KeeperOptions;
  #closed = false;
  #proving = new AbortController();
  #inUse: ValidCertificate;
  #lastError: KeeperStatus["lastError"] = null;
  #served: boolean | null = null;
  #turn: Promise<void> = Promise.resolve();
  #proof: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #watch: Disposable | undefined;

  private constructor(
    source: CertificateSource,
    store: CertificateStore,
    domain: string,
    options: KeeperOptions,
    inUse: ValidCertificate,
  ) {
    this.#source = source;
    this.#store = store;
    this.#domain = domain;
    this.#options = options;
    this.#inUse = inUse;
  }

  /**
   * Takes what the source has now, or else what it had before if that is in use and still good.
   *
   * @throws {CertificateError} when neither can be used; whatever the disk throws.
   */
  static async open(
    source: CertificateSource,
    store: CertificateStore,
    domain: string,
    options: KeeperOptions,
  ): Promise<CertificateKeeper> {
    const now = options.now();
    const stored = await store.readCertificate();
    const before = stored?.source === source.name ? ifValid(stored, domain, now) : undefined;
    let inUse = before;
    let problem: unknown;
    try {
      inUse = validateCertificate(await source.obtain(before, now), domain, now);
    } catch (error) {
      if (before === undefined) throw explained(error, source);
      problem = error;
    }
    const keeper = new CertificateKeeper(source, store, domain, options, inUse!);
    await keeper.#install(inUse!);
    if (problem !== undefined) keeper.#failed(problem);
    keeper.#timer = setInterval(() => void keeper.refresh(), options.checkEveryMs).unref();
    keeper.#watch = source.watch(() => void keeper.refresh());
    return keeper;
  }

  status(): KeeperStatus {
    return { certificate: this.#inUse, lastError: this.#lastError, served: this.#served };
  }

  /** Asks the source again and takes what is better. Settles when the store holds the result; a failure is in the status. */
  refresh(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#refresh());
    return this.#turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#watch?.[Symbol.dispose]();
    this.#closed = true;
    this.#proving.abort();
    await this.#turn;
    this.#proving.abort();
    await this.#proof;
  }

  async #refresh(): Promise<void> {
    if (this.#closed) return;
    const now = this.#options.now();
    try {
      const candidate = validateCertificate(await this.#source.obtain(this.#inUse, now), this.#domain, now);
      refuseStepBack(candidate, this.#inUse);
      await this.#install(candidate);
      this.#lastError = null;
    } catch (error) {
      this.#failed(error);
    }
  }

  async #install(certificate: ValidCertificate): Promise<void> {
    const changed = await this.#store.writeCertificate({ ...certificate, source: this.#source.name });
    this.#inUse = certificate;
    const { names, issuer, fingerprint, notAfter } = certificate;
    if (changed) {
      this.#served = null;
      this.#options.logger.info({ names, issuer, fingerprint, notAfter }, "certificate installed");
    }
    this.#proving.abort();
    await this.#proof;
    this.#proving = new AbortController();
    this.#proof = this.#prove(certificate, this.#proving.signal).catch(() => {});
  }

  async #prove({ fingerprint }: ValidCertificate, signal: AbortSignal): Promise<void> {
    const { traefikAddress, logger } = this.#options;
    if (traefikAddress === undefined) return;
    const name = `api.preview.${this.#domain}`;
    const options = { withinMs: swapMs, signal };
    const served = await isServed(fingerprint, traefikAddress, name, options);
    if (served && this.#served !== true) logger.info({ fingerprint }, "certificate served");
    if (!served) logger.error({ fingerprint, traefikAddress }, "Traefik does not serve the certificate");
    this.#served = served;
  }

  #failed(error: unknown): void {
    const { logger, now } = this.#options;
    const { message } = explained(error, this.#source);
    logger.error({ err: error, source: this.#source.name }, "certificate not replaced: the one in use stays");
    this.#lastError = { at: now(), message };
  }
}

/** While control runs, a certificate that ends sooner is taken for a stale copy. */
function refuseStepBack(candidate: ValidCertificate, inUse: ValidCertificate): void {
  if (candidate.notAfter >= inUse.notAfter) return;
  const [end, later] = [candidate.notAfter.toISOString(), inUse.notAfter.toISOString()];
  throw new CertificateError(`expires at ${end}, before the one in use (${later}): restart control to take it anyway`);
}

function ifValid(pair: CertificatePair, domain: string, now: Date): ValidCertificate | undefined {
  try {
    return validateCertificate(pair, domain, now);
  } catch {
    return undefined;
  }
}

function explained(error: unknown, source: CertificateSource): Error {
  if (!(error instanceof CertificateError)) return error as Error;
  return new CertificateError(`Cannot use the certificate of the source "${source.name}": ${error.message}`, {
    cause: error,
  });
}

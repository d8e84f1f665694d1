import type { Logger } from "pino";
import type { Address } from "#contract/environment.ts";
import type { CertificateSource, Failure } from "./certificate-source.ts";
import type { SourcedPair } from "./dynamic-files.ts";
import type { FileProblem } from "./foreign-file.ts";
import { SwapProof } from "./swap-proof.ts";
import { CertificateError, type ValidCertificate, validateCertificate } from "./valid-certificate.ts";

/** Where the pair in use is kept, and from where the edge takes it. */
export interface CertificateStore {
  readCertificate(): Promise<SourcedPair | undefined>;
  /** Answers whether it was another one before. */
  writeCertificate(pair: SourcedPair): Promise<boolean>;
  /** What keeps the edge from taking a change, as far as it is known. */
  readonly problems: readonly FileProblem[];
}

export type KeeperOptions = {
  readonly logger: Logger;
  readonly now: () => Date;
  readonly checkEveryMs: number;
  /** Where Traefik answers TLS; without it nothing proves that the certificate is served. */
  readonly traefikAddress: Address | undefined;
  /** How long Traefik may take to serve a new certificate where it served the one before: usually 30 ms. */
  readonly swapMs?: number;
};

export type KeeperStatus = {
  /** Undefined as long as the source has not given any, and none was there before. */
  readonly inUse: InUse | undefined;
  readonly nextRenewalAt: Date | null;
  readonly lastError: Failure | null;
  /** Whether Traefik's own handshake showed it; null as long as nobody looked. */
  readonly served: boolean | null;
};

/** A certificate and the name of the source that it came from. */
export type InUse = { readonly certificate: ValidCertificate; readonly source: string };

const usualSwapMs = 10_000;

/** Keeps the best certificate of one source in one store. What is bad never replaces what is good. */
export class CertificateKeeper implements AsyncDisposable {
  /** Resolves as soon as there is a certificate. */
  readonly installed: Promise<void>;
  readonly #resolveInstalled: () => void;
  readonly #source: CertificateSource;
  readonly #store: CertificateStore;
  readonly #domain: string;
  readonly #options: KeeperOptions;
  readonly #closing = new AbortController();
  readonly #proof: SwapProof;
  #inUse: InUse | undefined;
  #lastError: Failure | null = null;
  /** One that Traefik took and did not serve: trying again would show every visitor something else meanwhile. */
  #unservable: string | undefined;
  #turn: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #watch: AsyncDisposable | undefined;

  private constructor(source: CertificateSource, store: CertificateStore, domain: string, options: KeeperOptions) {
    this.#source = source;
    this.#store = store;
    this.#domain = domain;
    this.#options = options;
    this.#proof = new SwapProof(options.traefikAddress, `api.preview.${domain}`, options.logger);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.installed = promise;
    this.#resolveInstalled = resolve;
  }

  /**
   * Takes what the source has now, or else what it had before if that is in use and still good. While the source is
   * after its first one, what another source had before stays in use.
   *
   * @throws {CertificateError} when none can be used and none is to come; whatever the disk throws.
   */
  static async open(
    source: CertificateSource,
    store: CertificateStore,
    domain: string,
    options: KeeperOptions,
  ): Promise<CertificateKeeper> {
    const keeper = new CertificateKeeper(source, store, domain, options);
    await keeper.#open();
    keeper.#timer = setInterval(() => void keeper.refresh(), options.checkEveryMs).unref();
    keeper.#watch = source.watch(() => void keeper.refresh());
    return keeper;
  }

  status(): KeeperStatus {
    const source = this.#source.status(this.#ofSource());
    return {
      inUse: this.#inUse,
      nextRenewalAt: source.nextRenewalAt,
      lastError: this.#lastError ?? source.lastError,
      served: this.#proof.served,
    };
  }

  /**
   * Asks the source again and takes what is better. Settles when the store holds the result, and when Traefik serves it
   * where Traefik served the one before; a failure is in the status.
   */
  refresh(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#refresh());
    return this.#turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#watch?.[Symbol.asyncDispose]();
    await this.#turn;
    await this.#proof[Symbol.asyncDispose]();
  }

  async #open(): Promise<void> {
    const now = this.#options.now();
    const stored = await this.#store.readCertificate();
    const before = stored === undefined ? undefined : ifValid(stored, this.#domain, now);
    if (before?.source === this.#source.name) this.#inUse = before;
    try {
      const pair = await this.#source.obtain(this.#ofSource(), now);
      if (pair !== undefined) return await this.#take(validateCertificate(pair, this.#domain, now), before);
      this.#inUse = before;
    } catch (error) {
      if (this.#inUse === undefined) throw explained(error, this.#source);
      this.#failed(error);
    }
    await this.#keep();
  }

  async #refresh(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const now = this.#options.now();
    try {
      const pair = await this.#source.obtain(this.#ofSource(), now);
      if (pair === undefined) return await this.#keep();
      const candidate = validateCertificate(pair, this.#domain, now);
      if (!this.#source.isAlwaysFresh) refuseStepBack(candidate, this.#ofSource());
      await this.#take(candidate, this.#inUse);
      this.#lastError = null;
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#failed(error);
    }
  }

  /** What is in use when it came from this source; any other one is nothing to compare with. */
  #ofSource(): ValidCertificate | undefined {
    return this.#inUse?.source === this.#source.name ? this.#inUse.certificate : undefined;
  }

  /** Puts back what somebody took away. */
  async #keep(): Promise<void> {
    if (this.#inUse === undefined) return;
    await this.#install(this.#inUse);
    await this.#proof.later(this.#inUse.certificate.fingerprint);
  }

  /** Swaps to the certificate; back to the one before, when Traefik served that one and does not serve the new one. */
  async #take(certificate: ValidCertificate, previous: InUse | undefined): Promise<void> {
    const next = { certificate, source: this.#source.name };
    const { fingerprint } = certificate;
    if (fingerprint === this.#unservable) throw new CertificateError("Traefik does not serve it");
    const isSwap = previous !== undefined && previous.certificate.fingerprint !== fingerprint;
    const { signal } = this.#closing;
    const wasServed = isSwap && (await this.#proof.shows(previous.certificate.fingerprint, signal));
    await this.#install(next);
    const withinMs = this.#options.swapMs ?? usualSwapMs;
    const verdict = wasServed ? await this.#proof.within(withinMs, fingerprint, signal) : "silent";
    if (verdict === "silent") await this.#proof.later(fingerprint);
    if (verdict === "another") await this.#goBack(next, previous!);
  }

  /** Throws why the new one is not served; the one before is in force again when it is still good. */
  async #goBack(next: InUse, previous: InUse): Promise<void> {
    const { problems } = this.#store;
    const isFrozen = await this.#proof.shows(previous.certificate.fingerprint, this.#closing.signal);
    const reasons = problems.map(({ file, problem }) => `${file} ${problem}`).join("; ");
    const why = isFrozen
      ? `Traefik takes no change of its dynamic directory${reasons && `: ${reasons}`}`
      : "Traefik serves another one";
    const { certificate, source } = previous;
    const isGood = ifValid({ ...certificate, source }, this.#domain, this.#options.now()) !== undefined;
    if (!isGood) throw new CertificateError(why);
    if (!isFrozen) this.#unservable = next.certificate.fingerprint;
    await this.#install(previous);
    await this.#proof.later(certificate.fingerprint);
    throw new CertificateError(`${why}; the one before was put back`);
  }

  async #install(next: InUse): Promise<void> {
    const { certificate, source } = next;
    const changed = await this.#store.writeCertificate({ ...certificate, source });
    this.#inUse = next;
    this.#resolveInstalled();
    if (!changed) return;
    await this.#proof.forget();
    const { names, issuer, fingerprint, notAfter } = certificate;
    this.#options.logger.info({ names, issuer, fingerprint, notAfter, source }, "certificate installed");
  }

  #failed(error: unknown): void {
    const { logger, now } = this.#options;
    const { message } = explained(error, this.#source);
    logger.error({ err: error, source: this.#source.name }, "certificate not replaced: the one in use stays");
    this.#lastError = { at: now(), message };
  }
}

/** While control runs, a certificate that ends sooner is taken for a stale copy. */
function refuseStepBack(candidate: ValidCertificate, inUse: ValidCertificate | undefined): void {
  if (inUse === undefined || candidate.notAfter >= inUse.notAfter) return;
  const [end, later] = [candidate.notAfter.toISOString(), inUse.notAfter.toISOString()];
  throw new CertificateError(`expires at ${end}, before the one in use (${later}): restart control to take it anyway`);
}

function ifValid(pair: SourcedPair, domain: string, now: Date): InUse | undefined {
  try {
    return { certificate: validateCertificate(pair, domain, now), source: pair.source };
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

import type { Logger } from "pino";
import type { Address } from "#contract/environment.ts";
import type { Failure } from "./certificate-source.ts";
import type { TlsStatus } from "./edge-status.ts";
import { servedCertificate } from "./served-certificate.ts";
import { CertificateError, checkLeaf, describeLeaf, type Leaf } from "./valid-certificate.ts";

export type TraefikCertificateOptions = {
  readonly logger: Logger;
  readonly now: () => Date;
  readonly checkEveryMs: number;
  readonly traefikAddress: Address | undefined;
};

/** As long as it is not there. */
const impatientMs = 5_000;

/** The certificate that Traefik gets by itself: all that is known of it is what a handshake shows. */
export class TraefikCertificate implements AsyncDisposable {
  readonly #domain: string;
  readonly #options: TraefikCertificateOptions;
  readonly #closing = new AbortController();
  #certificate: Leaf | null = null;
  #lastError: Failure | null = null;
  #served: boolean | null = null;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(domain: string, options: TraefikCertificateOptions) {
    this.#domain = domain;
    this.#options = options;
    void this.refresh();
  }

  /** When Traefik renews is its own business. */
  status(): TlsStatus {
    return {
      tls: true,
      source: "traefik",
      certificate: this.#certificate,
      from: this.#certificate === null ? null : "traefik",
      nextRenewalAt: null,
      lastError: this.#lastError,
      served: this.#served,
      trustAnchor: null,
    };
  }

  refresh(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#look());
    return this.#turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#turn;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const { traefikAddress, logger, now, checkEveryMs } = this.#options;
    const { signal } = this.#closing;
    if (signal.aborted || traefikAddress === undefined) return;
    clearTimeout(this.#timer);
    try {
      const leaf = await servedCertificate(traefikAddress, `api.preview.${this.#domain}`, signal);
      checkLeaf(leaf, this.#domain, now());
      const certificate = describeLeaf(leaf);
      if (certificate.fingerprint !== this.#certificate?.fingerprint) logger.info(certificate, "certificate served");
      [this.#certificate, this.#served, this.#lastError] = [certificate, true, null];
    } catch (error) {
      if (signal.aborted) return;
      this.#failed(error as Error);
    }
    this.#timer = setTimeout(() => void this.refresh(), this.#served ? checkEveryMs : impatientMs).unref();
  }

  #failed(error: Error): void {
    const isShown = error instanceof CertificateError;
    const message = isShown ? `Traefik serves no good certificate: it ${error.message}` : "Traefik does not answer";
    if (message !== this.#lastError?.message) this.#options.logger.error({ err: error }, message);
    this.#lastError = { at: this.#options.now(), message };
    this.#served = isShown ? false : null;
  }
}

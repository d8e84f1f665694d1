import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { CertificateSource, SourceStatus } from "../certificate-source.ts";
import { type CertificatePair, type ValidCertificate, validateCertificate } from "../valid-certificate.ts";
import { forgetAccount, isUnknownAccount, openAccount } from "./acme-account.ts";
import type { AcmeConfig } from "./acme-config.ts";
import { AcmeStore, type StoredCertificate } from "./acme-store.ts";
import { issueCertificate } from "./certificate-order.ts";
import type { ChallengeRecords } from "./challenge-records.ts";
import { NameServers } from "./name-servers.ts";
import { openRecords } from "./open-records.ts";
import { askRenewal, renewalId, renewalUrlOf } from "./renewal-information.ts";
import { RenewalSchedule } from "./renewal-schedule.ts";

export type AcmeSourceOptions = {
  readonly config: AcmeConfig;
  readonly domain: string;
  readonly privateDirectory: string;
  readonly logger: Logger;
  readonly now: () => Date;
  /** How often it looks whether anything is due. */
  readonly turnEveryMs: number;
  /** Where authoritative name servers answer; 53 unless said otherwise. */
  readonly authoritativePort?: number;
};

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

type Issued = { readonly stored: StoredCertificate; readonly certificate: ValidCertificate };

/**
 * A certificate of a CA, by ACME (RFC 8555) with DNS-01. It is asked for in the background; what the CA gave is kept
 * beside what is needed to go on after a crash, and `obtain` only hands it out.
 */
export class AcmeSource implements CertificateSource {
  readonly name = "acme";
  readonly trustAnchor = undefined;
  readonly isAlwaysFresh = true;
  readonly #options: AcmeSourceOptions;
  readonly #names: readonly string[];
  readonly #store: AcmeStore;
  readonly #nameServers: NameServers;
  readonly #records: ChallengeRecords;
  readonly #schedule: RenewalSchedule;
  #issued: Issued | undefined;

  private constructor(options: AcmeSourceOptions, store: AcmeStore, schedule: RenewalSchedule) {
    const { config, domain, authoritativePort } = options;
    this.#options = options;
    this.#names = [`*.preview.${domain}`];
    this.#store = store;
    this.#schedule = schedule;
    const port = authoritativePort === undefined ? {} : { authoritativePort };
    this.#nameServers = new NameServers({ resolvers: config.resolvers, ...port });
    this.#records = openRecords(config.dns, this.#nameServers, store);
  }

  /** Picks up where an earlier process stood. Throws what the disk throws. */
  static async open(options: AcmeSourceOptions): Promise<AcmeSource> {
    const { config, domain, privateDirectory, logger } = options;
    const store = new AcmeStore(privateDirectory, config.directoryUrl, logger);
    await store.open();
    const configuration = createHash("sha256").update(JSON.stringify([config, domain]));
    const source = new AcmeSource(options, store, await RenewalSchedule.open(store, configuration.digest("hex")));
    const stored = await store.readCertificate();
    if (stored !== undefined) source.#adopt(stored);
    // A process that died between the two left the order of the certificate that it had stored.
    if (stored !== undefined && (await store.readOrder())?.key === stored.key) await store.removeOrder();
    return source;
  }

  async obtain(): Promise<CertificatePair | undefined> {
    return this.#current()?.certificate;
  }

  /** Asks for certificates in the background until it is disposed of. */
  watch(changed: () => void): AsyncDisposable {
    const closing = new AbortController();
    const loop = this.#loop(changed, closing.signal);
    return {
      [Symbol.asyncDispose]: async () => {
        closing.abort();
        await loop;
      },
    };
  }

  status(): SourceStatus {
    const { lastError } = this.#schedule;
    return {
      nextRenewalAt: new Date(Math.max(this.#dueAt(), this.#options.now().getTime())),
      lastError: lastError === null ? null : { at: new Date(lastError.at), message: lastError.message },
    };
  }

  /**
   * Does what is due: asks the CA when to renew, and gets a certificate. Answers whether there is a new one. What fails
   * is in the status, and tried again later; it rejects only when the signal is aborted or the disk refuses.
   */
  async turn(signal: AbortSignal): Promise<boolean> {
    const current = this.#current();
    if (current !== undefined && this.#schedule.isWindowDue(current.certificate, this.#now())) {
      await this.#askWindow(current, signal);
    }
    if (this.#now() < this.#dueAt()) return false;
    try {
      await this.#issue(current, signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const retryAt = await this.#schedule.failed(error as Error, this.#now());
      this.#options.logger.error({ err: error, retryAt }, "the CA gave no certificate");
      return false;
    }
  }

  async #loop(changed: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (await this.turn(signal)) changed();
        await delay(this.#options.turnEveryMs, undefined, { signal });
      } catch (error) {
        if (signal.aborted) return;
        this.#options.logger.error({ err: error }, "the ACME client cannot go on");
        await delay(this.#options.turnEveryMs, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #issue(current: Issued | undefined, signal: AbortSignal): Promise<void> {
    const { domain, logger, now } = this.#options;
    const pair = await this.#order(current, signal);
    const certificate = validateCertificate(pair, domain, now());
    const stored = { ...pair, profile: this.#options.config.profile, fraction: Math.random() };
    await this.#store.writeCertificate(stored);
    await this.#store.removeOrder();
    this.#issued = { stored, certificate };
    await this.#schedule.succeeded();
    const { names, issuer, fingerprint, notAfter } = certificate;
    logger.info({ names, issuer, fingerprint, notAfter }, "certificate issued by the CA");
  }

  /** Once more from the start when the CA does not know the account any longer. */
  async #order(current: Issued | undefined, signal: AbortSignal): Promise<CertificatePair> {
    try {
      return await this.#orderOnce(current, signal);
    } catch (error) {
      if (!isUnknownAccount(error)) throw error;
      await forgetAccount(this.#store);
      return this.#orderOnce(current, signal);
    }
  }

  async #orderOnce(current: Issued | undefined, signal: AbortSignal): Promise<CertificatePair> {
    const { config, logger } = this.#options;
    const client = await openAccount(config, this.#store, signal);
    const replaces = current === undefined ? null : await this.#replaced(current, signal);
    const tools = {
      ...{ client, store: this.#store, records: this.#records, nameServers: this.#nameServers, logger, signal },
      dnsWaitMs: config.dnsWaitSeconds * 1000,
      now: () => this.#now(),
    };
    return issueCertificate(tools, { names: this.#names, profile: config.profile, replaces });
  }

  /** A CA that tells when to renew wants to know what is renewed (RFC 9773 §5). */
  async #replaced({ stored }: Issued, signal: AbortSignal): Promise<string | null> {
    const url = await renewalUrlOf(this.#options.config.directoryUrl, signal);
    return url === null ? null : (renewalId(stored.chain) ?? null);
  }

  /** While the CA does not tell, the last window stays as it was. */
  async #askWindow({ stored, certificate }: Issued, signal: AbortSignal): Promise<void> {
    const { config, logger } = this.#options;
    try {
      const url = await renewalUrlOf(config.directoryUrl, signal);
      if (url === null) return await this.#schedule.askWindowAgain(certificate, this.#now() + dayMs);
      const { window, explanationUrl, askAgainMs } = await askRenewal(url, stored.chain, signal);
      const before = this.#schedule.windowOf(certificate);
      if (explanationUrl !== null && (window.start !== before?.start || window.end !== before.end)) {
        const [start, end] = [new Date(window.start), new Date(window.end)];
        logger.warn({ start, end, explanationUrl }, "the CA wants the certificate renewed at another time");
      }
      await this.#schedule.askWindowAgain(certificate, this.#now() + askAgainMs, window);
    } catch (error) {
      signal.throwIfAborted();
      logger.warn({ err: error }, "the CA does not tell when to renew the certificate");
      await this.#schedule.askWindowAgain(certificate, this.#now() + hourMs);
    }
  }

  #dueAt(): number {
    const current = this.#current();
    return this.#schedule.dueAt(current?.certificate, current?.stored.fraction ?? 0);
  }

  /** What the CA gave, as long as it is in force and of the profile that the operator wants. */
  #current(): Issued | undefined {
    const issued = this.#issued;
    const isWanted = issued?.stored.profile === this.#options.config.profile;
    return isWanted && this.#now() < issued.certificate.notAfter.getTime() ? issued : undefined;
  }

  /** One of another domain, or one that has ended, is none. */
  #adopt(stored: StoredCertificate): void {
    try {
      const certificate = validateCertificate(stored, this.#options.domain, this.#options.now());
      this.#issued = { stored, certificate };
    } catch (error) {
      this.#options.logger.info(
        { reason: (error as Error).message },
        "the last certificate of the CA is of no use now",
      );
    }
  }

  #now(): number {
    return this.#options.now().getTime();
  }
}

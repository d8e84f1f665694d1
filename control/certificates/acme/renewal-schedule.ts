import type { ValidCertificate } from "../valid-certificate.ts";
import type { AcmeStore, StoredSchedule } from "./acme-store.ts";
import { AuthorityError } from "./authority-calls.ts";
import { type RenewalWindow, renewalTime } from "./renewal-time.ts";
import { retryAfterStart, retryDelay } from "./retry-time.ts";

const nothingDue: StoredSchedule = {
  failures: 0,
  lastAttemptAt: 0,
  retryAt: 0,
  askedUntil: 0,
  configuration: "",
  lastError: null,
  window: null,
  fingerprint: "",
  windowCheckAt: 0,
};

/** What is due when, over restarts. Times are epoch milliseconds. */
export class RenewalSchedule {
  readonly #store: AcmeStore;
  readonly #configuration: string;
  #stored: StoredSchedule;

  private constructor(store: AcmeStore, configuration: string, stored: StoredSchedule) {
    this.#store = store;
    this.#configuration = configuration;
    this.#stored = stored;
  }

  /** `configuration` stands for all that the operator may change: after a change a failure is tried again at once. */
  static async open(store: AcmeStore, configuration: string): Promise<RenewalSchedule> {
    const stored = (await store.readSchedule()) ?? nothingDue;
    const retryAt = stored.configuration === configuration ? retryAfterStart(stored) : 0;
    return new RenewalSchedule(store, configuration, { ...stored, retryAt });
  }

  /** Why the last attempt failed; null since the last success. */
  get lastError(): StoredSchedule["lastError"] {
    return this.#stored.lastError;
  }

  /** When the next certificate is to be asked for; as soon as the last failure allows when there is none. */
  dueAt(current: ValidCertificate | undefined, fraction: number): number {
    if (current === undefined) return this.#stored.retryAt;
    const [notBefore, notAfter] = [current.notBefore.getTime(), current.notAfter.getTime()];
    const window = this.windowOf(current);
    return Math.max(renewalTime({ notBefore, notAfter, window, fraction }), this.#stored.retryAt);
  }

  /** What the CA last said of this certificate. */
  windowOf({ fingerprint }: ValidCertificate): RenewalWindow | null {
    return this.#stored.fingerprint === fingerprint ? this.#stored.window : null;
  }

  /** Whether the CA is to be asked when it wants this certificate renewed. */
  isWindowDue({ fingerprint }: ValidCertificate, now: number): boolean {
    return this.#stored.fingerprint !== fingerprint || now >= this.#stored.windowCheckAt;
  }

  askWindowAgain(certificate: ValidCertificate, at: number, window = this.windowOf(certificate)): Promise<void> {
    return this.#write({ fingerprint: certificate.fingerprint, window, windowCheckAt: at });
  }

  succeeded(): Promise<void> {
    return this.#write(nothingDue);
  }

  /** Answers when to try again. */
  async failed(error: Error, now: number): Promise<Date> {
    const failures = this.#stored.failures + 1;
    const retryAfterMs = error instanceof AuthorityError ? error.retryAfterMs : null;
    const retryAt = now + retryDelay({ count: failures, retryAfterMs, fraction: Math.random() });
    await this.#write({
      ...{ failures, retryAt, lastAttemptAt: now, configuration: this.#configuration },
      askedUntil: retryAfterMs === null ? 0 : now + retryAfterMs,
      lastError: { at: now, message: error.message },
    });
    return new Date(retryAt);
  }

  async #write(changes: Partial<StoredSchedule>): Promise<void> {
    this.#stored = { ...this.#stored, ...changes };
    await this.#store.writeSchedule(this.#stored);
  }
}

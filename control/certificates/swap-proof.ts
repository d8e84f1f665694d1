import type { Logger } from "pino";
import type { Address } from "#contract/environment.ts";
import { isServed, servedFingerprint, type Verdict } from "./served-certificate.ts";

/** For a Traefik that may have been started just now. */
const startMs = 60_000;

/** What handshakes with Traefik say of the certificate in use. */
export class SwapProof implements AsyncDisposable {
  readonly #address: Address | undefined;
  readonly #servername: string;
  readonly #logger: Logger;
  #served: boolean | null = null;
  #later: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;

  /** Without an address nothing is ever proven. */
  constructor(address: Address | undefined, servername: string, logger: Logger) {
    this.#address = address;
    this.#servername = servername;
    this.#logger = logger;
  }

  /** Null as long as nobody looked. */
  get served(): boolean | null {
    return this.#served;
  }

  /** Another certificate is in use: what was seen says nothing of it. */
  async forget(): Promise<void> {
    await this[Symbol.asyncDispose]();
    this.#served = null;
  }

  /** Whether this one is served right now. */
  async shows(fingerprint: string, signal: AbortSignal): Promise<boolean> {
    if (this.#address === undefined) return false;
    const shown = servedFingerprint(this.#address, this.#servername, signal);
    return (await shown.catch(() => undefined)) === fingerprint;
  }

  /** Whether this one is served within so many milliseconds. Rejects only when the signal is aborted. */
  async within(withinMs: number, fingerprint: string, signal: AbortSignal): Promise<Verdict> {
    if (this.#address === undefined) return "silent";
    const verdict = await isServed(fingerprint, this.#address, this.#servername, { withinMs, signal });
    if (verdict === "served" && this.#served !== true) this.#logger.info({ fingerprint }, "certificate served");
    if (verdict !== "served") {
      this.#logger.error({ fingerprint, traefikAddress: this.#address }, "Traefik does not serve the certificate");
    }
    this.#served = verdict === "served";
    return verdict;
  }

  /** The same without anybody waiting for it. */
  async later(fingerprint: string): Promise<void> {
    await this[Symbol.asyncDispose]();
    const stop = new AbortController();
    const done = this.within(startMs, fingerprint, stop.signal).then(
      () => {},
      () => {},
    );
    this.#later = { stop, done };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#later?.stop.abort();
    await this.#later?.done;
  }
}

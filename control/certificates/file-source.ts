import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import type { CertificateSource, SourceStatus } from "./certificate-source.ts";
import { CertificateError, type CertificatePair } from "./valid-certificate.ts";
import { readIfThere } from "./write-whole.ts";

/** The names under which tools store a pair, in the order in which they are looked for. */
export const pairNames = [
  { chain: "fullchain.pem", key: "privkey.pem" },
  { chain: "tls.crt", key: "tls.key" },
  { chain: "cert.pem", key: "key.pem" },
  { chain: "server.crt", key: "server.key" },
] as const;

/** Two files are replaced one after the other: what lies between is not looked at when they follow closely. */
const settleMs = 300;

/** The operator's own PEMs in a directory. */
export class FileSource implements CertificateSource {
  readonly name = "file";
  readonly trustAnchor = undefined;
  readonly isAlwaysFresh = false;
  readonly #directory: string;
  readonly #logger: Logger;

  constructor(directory: string, logger: Logger) {
    this.#directory = directory;
    this.#logger = logger;
  }

  /** @throws {CertificateError} when no pair is there, or half a pair. */
  async obtain(): Promise<CertificatePair> {
    for (const names of pairNames) {
      const chain = await this.#read(names.chain);
      const key = await this.#read(names.key);
      if (chain !== undefined && key !== undefined) return { chain, key };
      if (chain === undefined && key === undefined) continue;
      const [there, missing] = chain === undefined ? [names.key, names.chain] : [names.chain, names.key];
      throw new CertificateError(`${there} is in ${this.#directory}, but ${missing} is not`);
    }
    const choices = pairNames.map(({ chain, key }) => `${chain} and ${key}`).join(", ");
    throw new CertificateError(`no certificate is in ${this.#directory} (looked for ${choices})`);
  }

  /** A directory that cannot be watched, or is replaced itself, is looked at with the timer alone. */
  watch(changed: () => void): AsyncDisposable {
    let timer: NodeJS.Timeout | undefined;
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(changed, settleMs);
    };
    const watcher = this.#open(later);
    return {
      [Symbol.asyncDispose]: async () => {
        clearTimeout(timer);
        watcher?.close();
      },
    };
  }

  /** When the operator's tool renews it is its own business. */
  status(): SourceStatus {
    return { nextRenewalAt: null, lastError: null };
  }

  #open(changed: () => void): FSWatcher | undefined {
    const failed = (error: unknown) => this.#logger.warn({ err: error }, "certificate directory cannot be watched");
    try {
      return watch(this.#directory, { persistent: false }, changed).on("error", failed);
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  async #read(name: string): Promise<string | undefined> {
    try {
      return await readIfThere(join(this.#directory, name));
    } catch (cause) {
      throw new CertificateError(`${name} cannot be read: ${(cause as Error).message}`, { cause });
    }
  }
}

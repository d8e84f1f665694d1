import { type AcmeDnsAccount, parseAcmeDnsAccount } from "./acme-config.ts";
import type { ChallengeRecord, ChallengeRecords } from "./challenge-records.ts";

const answerMs = 20_000;

/** Where the account of an acme-dns server is kept that nobody gave us. */
export type AcmeDnsAccountStore = {
  readAcmeDnsAccount(): Promise<AcmeDnsAccount | undefined>;
  writeAcmeDnsAccount(account: AcmeDnsAccount): Promise<void>;
};

/**
 * An acme-dns server: a name server for challenges alone, which the operator's own zone leads to by one CNAME. Without
 * an account it registers one, and says which CNAME is missing.
 */
export class AcmeDns implements ChallengeRecords {
  readonly #url: string;
  readonly #given: AcmeDnsAccount | null;
  readonly #store: AcmeDnsAccountStore;

  constructor(url: string, given: AcmeDnsAccount | null, store: AcmeDnsAccountStore) {
    this.#url = url.replace(/\/+$/, "");
    this.#given = given;
    this.#store = store;
  }

  async present({ asked, name, value }: ChallengeRecord, signal: AbortSignal): Promise<void> {
    const account = this.#given ?? (await this.#store.readAcmeDnsAccount()) ?? (await this.#register(signal));
    const { username, password, subdomain, fulldomain } = account;
    if (name !== fulldomain.toLowerCase()) {
      const now = name === asked ? "it is no alias" : `it leads to ${name}`;
      throw new Error(`${asked} must be a CNAME of ${fulldomain} (${now})`);
    }
    const headers = { "X-Api-User": username, "X-Api-Key": password };
    await this.#post("update", { subdomain, txt: value }, headers, signal);
  }

  /** It keeps the newest two values and forgets by itself. */
  async remove(): Promise<void> {}

  async #register(signal: AbortSignal): Promise<AcmeDnsAccount> {
    const account = parseAcmeDnsAccount(await this.#post("register", {}, {}, signal));
    if (account === undefined) throw new Error(`${this.#url}/register does not answer with an account of acme-dns`);
    await this.#store.writeAcmeDnsAccount(account);
    return account;
  }

  async #post(path: string, body: object, headers: Record<string, string>, signal: AbortSignal): Promise<string> {
    const url = `${this.#url}/${path}`;
    const answer = await fetch(url, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
      redirect: "error",
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
    }).catch((cause) => {
      signal.throwIfAborted();
      throw new Error(`${url} does not answer: ${cause.cause?.code ?? cause.message}`, { cause });
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${text.slice(0, 200)}`);
    return text;
  }
}

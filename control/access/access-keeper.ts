import { createHmac } from "node:crypto";
import type { Logger } from "pino";
import type { AccessKey, AccessMessage, KeyAnswer, Revocation, RevocationMessage } from "#contract/access.ts";
import { AccessState } from "#contract/access-state.ts";
import type { AccessStore } from "../sqlite/access-store.ts";
import type { AccessConfig } from "./access-config.ts";
import { fetchKeySet, readKeySetFile } from "./key-set.ts";

export type AccessKeeperOptions = {
  readonly store: AccessStore;
  /** Previews are reached over TLS. */
  readonly secure: boolean;
  readonly logger: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

/** Takes one line of the routes stream. */
type Sink = (line: string) => void;

/** A key set is not asked for more often than this, whatever keys tokens name. */
const cooldownMs = 30_000;

/**
 * What decides about private previews: the keys out of the configuration and the key sets, our own key, and what was
 * revoked. Every gateway worker is told of it first of all, and of each change.
 */
export class AccessKeeper {
  /** For what control itself has to decide. */
  readonly state = new AccessState();
  readonly sessionKey: string;
  readonly #options: AccessKeeperOptions;
  readonly #sinks = new Set<Sink>();
  readonly #changed = new Set<() => void>();
  #config: AccessConfig;
  #fileKeys: readonly AccessKey[] = [];
  #urlKeys: readonly AccessKey[] = [];
  #askedAt = Number.NEGATIVE_INFINITY;
  /** A look at the key sets that is under way, and whose they are. */
  #asking: { readonly config: AccessConfig; readonly done: Promise<void> } | undefined;

  constructor(config: AccessConfig, options: AccessKeeperOptions) {
    this.#config = config;
    this.#options = options;
    // Without them a start of control would end every session that came of one of them.
    if (config.jwksUrl !== null) this.#urlKeys = options.store.keySet(config.jwksUrl);
    this.sessionKey = options.store.sessionKey();
    this.state.apply(this.message());
  }

  /** Reads the key sets for the first time; one at a URL may answer later. Throws KeySetError for a bad file. */
  async open(): Promise<void> {
    const { jwksFile } = this.#config;
    if (jwksFile !== null) this.#fileKeys = await readKeySetFile(jwksFile);
    this.#tell(this.message());
    this.#refreshSoon();
  }

  /**
   * Takes another configuration at once and whole. Throws KeySetError for a bad file, and then nothing has changed; a URL
   * that does not answer keeps nobody from losing access.
   */
  async reload(config: AccessConfig): Promise<void> {
    const fileKeys = config.jwksFile === null ? [] : await readKeySetFile(config.jwksFile);
    if (config.jwksUrl !== this.#config.jwksUrl) this.#urlKeys = [];
    this.#config = config;
    this.#fileKeys = fileKeys;
    this.#tell(this.message());
    this.#refreshSoon();
  }

  /** Looks at the key sets once more, unless that was done just now. */
  async findKeys(): Promise<KeyAnswer> {
    const { now } = this.#options;
    if (now() - this.#askedAt >= cooldownMs) await this.refresh();
    else await this.#asking?.done;
    return { access: this.message(), retryAfterMs: Math.max(0, this.#askedAt + cooldownMs - now()) };
  }

  /** Everything as it stands. */
  message(): AccessMessage {
    const { store, secure, now } = this.#options;
    const { tokenSecrets, redirectUrl, denyMode, jwksUrl, jwksFile } = this.#config;
    const secrets = tokenSecrets.map(({ kid, secret }): AccessKey => {
      const fingerprint = createHmac("sha256", this.sessionKey)
        .update(`${kid}=${secret}`)
        .digest("base64url")
        .slice(0, 22);
      return { alg: "HS256", kid, fingerprint, secret: Buffer.from(secret).toString("base64url") };
    });
    const keys = [...secrets, ...this.#fileKeys, ...this.#urlKeys];
    const settings = {
      secure,
      sessionKey: this.sessionKey,
      keys,
      keysMayGrow: jwksUrl !== null || jwksFile !== null,
      redirectUrl,
      denyMode,
    };
    const revocations = store.revocations(now()).map(({ revocation }) => revocation);
    return { type: "access", settings, revocations };
  }

  /** Notes a revocation and tells every gateway at once. Returns its id. */
  revoke(revocation: Revocation): string {
    const id = this.#options.store.addRevocation(revocation, this.#options.now());
    this.#tell({ type: "revocation", revocation });
    return id;
  }

  /** Takes a revocation back; false when there is none. */
  restore(id: string): boolean {
    if (!this.#options.store.deleteRevocation(id)) return false;
    this.#tell(this.message());
    return true;
  }

  /** Sends everything as it stands, and then every change. Returns what ends it. */
  subscribe(sink: Sink): () => void {
    sink(toLine(this.message()));
    this.#sinks.add(sink);
    return () => this.#sinks.delete(sink);
  }

  onChange(listener: () => void): void {
    this.#changed.add(listener);
  }

  /** Looks at the key sets, once for all who ask meanwhile; one that cannot be read leaves its keys as they were. */
  refresh(): Promise<void> {
    const config = this.#config;
    if (config.jwksUrl === null && config.jwksFile === null) return Promise.resolve();
    this.#askedAt = this.#options.now();
    if (this.#asking?.config === config) return this.#asking.done;
    const done = this.#look(config).finally(() => {
      if (this.#asking?.done === done) this.#asking = undefined;
    });
    this.#asking = { config, done };
    return done;
  }

  #refreshSoon(): void {
    this.refresh().catch((error) => this.#options.logger.error({ err: error }, "the key sets cannot be looked at"));
  }

  async #look({ jwksUrl, jwksFile }: AccessConfig): Promise<void> {
    const { logger, store, now } = this.#options;
    const before = JSON.stringify([this.#fileKeys, this.#urlKeys]);
    const keep = (name: string) => (error: unknown) =>
      void logger.warn({ err: error }, `${name} cannot be read: its keys stay as they are`);
    const fromFile = jwksFile === null ? [] : await readKeySetFile(jwksFile).catch(keep("SANDBOXD_PREVIEW_JWKS_FILE"));
    const fromUrl = jwksUrl === null ? [] : await fetchKeySet(jwksUrl).catch(keep("SANDBOXD_PREVIEW_JWKS_URL"));
    if (fromFile && this.#config.jwksFile === jwksFile) this.#fileKeys = fromFile;
    if (jwksUrl !== null && fromUrl && this.#config.jwksUrl === jwksUrl) {
      this.#urlKeys = fromUrl;
      store.keepKeySet(jwksUrl, fromUrl, now());
    }
    if (JSON.stringify([this.#fileKeys, this.#urlKeys]) !== before) this.#tell(this.message());
  }

  #tell(message: AccessMessage | RevocationMessage): void {
    this.state.apply(message);
    for (const listener of this.#changed) listener();
    for (const sink of this.#sinks) sink(toLine(message));
  }
}

function toLine(message: AccessMessage | RevocationMessage): string {
  return `${JSON.stringify(message)}\n`;
}

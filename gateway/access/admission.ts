import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import type { AccessMessage, AccessReason, Grant, RevocationMessage } from "#contract/access.ts";
import { AccessState } from "#contract/access-state.ts";
import type { Credential } from "#contract/credentials.ts";
import { isShareToken, readShareToken } from "#contract/share-token.ts";
import { TokenVerifier } from "#contract/token-verifier.ts";
import type { ControlClient } from "../control-client.ts";
import type { Target } from "../exchange.ts";
import type { RoutingTable } from "../routing-table.ts";
import { checkSignature } from "./signature.ts";

export type AdmissionOptions = {
  readonly control: ControlClient;
  readonly table: RoutingTable;
  readonly logger: Logger;
  /** Epoch milliseconds. */
  readonly now?: () => number;
};

/** What became of a request's credentials: the first that is good, or why the first is not. */
export type Decision =
  | { readonly kind: "admitted"; readonly grant: Grant; readonly credential: Credential; readonly limited: boolean }
  | { readonly kind: "denied"; readonly reason: AccessReason; readonly credential: Credential | undefined };

type Finding = { readonly grant: Grant; readonly limited: boolean } | { readonly reason: AccessReason };

/**
 * Who may see private previews, as far as this worker was told. Emits `change` when somebody who was let in might not be
 * any more.
 */
export class Admission extends EventEmitter<{ change: [] }> {
  readonly state = new AccessState();
  readonly #verifier: TokenVerifier;
  readonly #options: AdmissionOptions;
  readonly #now: () => number;
  #lookAgainAt = 0;
  #lookingForKey: Promise<void> | undefined;

  constructor(options: AdmissionOptions) {
    super();
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const findKey = () => this.#findKey();
    this.#verifier = new TokenVerifier({ state: this.state, checkSignature, findKey, now: this.#now });
  }

  take(message: AccessMessage | RevocationMessage): void {
    this.state.apply(message);
    if (message.type === "access") this.#verifier.forget();
    this.emit("change");
  }

  /** Decides from what is known; undefined when something has to be found out first. */
  decideNow(credentials: readonly Credential[], target: Target): Decision | undefined {
    let first: { reason: AccessReason; credential: Credential } | undefined;
    for (const credential of credentials) {
      const { token, place } = credential;
      if (place !== "cookie" && isShareToken(token)) return undefined;
      const verdict = this.#verifier.known(token, place === "cookie");
      if (verdict === undefined) return undefined;
      const reason = "grant" in verdict ? this.#judge(verdict.grant, target) : verdict.reason;
      if (reason === undefined && "grant" in verdict) {
        return { kind: "admitted", grant: verdict.grant, credential, limited: false };
      }
      first ??= { reason: reason!, credential };
    }
    return { kind: "denied", reason: first?.reason ?? "no_token", credential: first?.credential };
  }

  /** Decides after finding out, by what is true then. Throws ControlUnavailableError when a share's use cannot be asked for. */
  async decide(credentials: readonly Credential[], target: Target): Promise<Decision> {
    let first: { reason: AccessReason; credential: Credential } | undefined;
    for (const credential of credentials) {
      const finding = await this.#find(credential, target);
      const reason = this.#judgeAnew(finding, target);
      if (reason === undefined && "grant" in finding) return { kind: "admitted", credential, ...finding };
      first ??= { reason: reason!, credential };
    }
    return { kind: "denied", reason: first?.reason ?? "no_token", credential: first?.credential };
  }

  /** Whether whoever was let in by this grant, or by none into a public preview, may stay. */
  mayStay(grant: Grant | undefined, target: Target): boolean {
    if (target.route.visibility === "public") return true;
    return grant !== undefined && this.#judge(grant, target) === undefined;
  }

  /** Uses a share once. Throws ControlUnavailableError. */
  async spend({ token, place }: Credential, target: Target): Promise<Finding> {
    if (place === "cookie" || !isShareToken(token)) throw new Error("only shares can be spent");
    const finding = await this.#askForShare(token, target, true);
    const reason = this.#judgeAnew(finding, target);
    return reason === undefined ? finding : { reason };
  }

  async #find({ token, place }: Credential, target: Target): Promise<Finding> {
    if (place !== "cookie" && isShareToken(token)) return await this.#askForShare(token, target, false);
    const verdict = await this.#verifier.verify(token, place === "cookie");
    return "grant" in verdict ? { grant: verdict.grant, limited: false } : verdict;
  }

  async #askForShare(token: string, { id, port }: Target, spend: boolean): Promise<Finding> {
    const { settings } = this.state;
    // What we never made is refused without asking anybody.
    if (settings === undefined || readShareToken(token, settings.sessionKey) === undefined) {
      return { reason: "bad_signature" };
    }
    const outcome = await this.#options.control.share({ token, id, port, spend });
    if (outcome.outcome === "refused") return { reason: outcome.reason };
    const { share, expiresAt, issuedAt, limited } = outcome;
    const grant: Grant = {
      ...{ kind: "share", share, sandboxId: id, port: outcome.port ?? undefined, expiresAt, issuedAt, notBefore: 0 },
      ...{ subject: undefined, jti: undefined, kid: undefined, fingerprint: undefined },
    };
    return { grant, limited };
  }

  /** After a wait: the sandbox may have changed as well as what is revoked. */
  #judgeAnew(finding: Finding, target: Target): AccessReason | undefined {
    target.route = this.#options.table.get(target.id) ?? target.route;
    return "grant" in finding ? this.#judge(finding.grant, target) : finding.reason;
  }

  #judge(grant: Grant, { id, port, route }: Target): AccessReason | undefined {
    return this.state.judge(grant, { id, port, owner: route.owner }, this.#now());
  }

  /** Has control look at its key set again: one call for all who wait, and none before control would look once more. */
  async #findKey(): Promise<void> {
    if (this.#now() < this.#lookAgainAt) return;
    this.#lookingForKey ??= this.#options.control
      .findKeys()
      .then(({ access, retryAfterMs }) => {
        this.#lookAgainAt = this.#now() + retryAfterMs;
        this.take(access);
      })
      .catch((error: unknown) => {
        this.#lookAgainAt = this.#now() + 1_000;
        this.#options.logger.debug({ err: error }, "control cannot look for a key");
      })
      .finally(() => {
        this.#lookingForKey = undefined;
      });
    await this.#lookingForKey;
  }
}

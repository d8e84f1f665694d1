import { hash } from "node:crypto";
import type { AccessKey, AccessReason, Grant } from "./access.ts";
import type { AccessState } from "./access-state.ts";
import { readPreviewClaims, readSessionClaims, readToken, type TokenParts } from "./preview-token.ts";
import { sessionKid } from "./session.ts";

/** Whether the signature of a compact JWS is this key's, by the key's own algorithm. Never rejects. */
export type CheckSignature = (token: string, key: AccessKey) => Promise<boolean>;

/** What is known of a token for as long as its key is: who was granted what, or why it is none. */
export type Verdict = { readonly grant: Grant } | { readonly reason: AccessReason };

export type TokenVerifierOptions = {
  readonly state: AccessState;
  readonly checkSignature: CheckSignature;
  /** Called for a key that is not known, when such a one may turn up; resolves when it is worth another look. */
  readonly findKey: (kid: string) => Promise<void>;
  readonly now?: () => number;
};

const unknownKey: Verdict = { reason: "bad_signature" };

/** So many verdicts are kept, good and bad ones apart, so that nobody's rubbish drives out what others use. */
const keptVerdicts = 20_000;
/** Those in use right now are found without a hash of ours, and by no more of them than tells most of them apart. */
const keptRecent = 256;
const tailLength = 24;

type Recent = { readonly token: string; readonly verdict: Verdict };

/** Verifies tokens once: what was found is kept by the token's hash. Whether it opens a door is judged anew each time. */
export class TokenVerifier {
  readonly #options: TokenVerifierOptions;
  readonly #now: () => number;
  readonly #good = new Map<string, Verdict>();
  readonly #bad = new Map<string, Verdict>();
  /** Which keys these verdicts are about: another number, other keys. */
  #era = 0;
  readonly #recent = { session: new Map<string, Recent>(), token: new Map<string, Recent>() };

  constructor(options: TokenVerifierOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Forgets what a change of the keys may have made wrong. */
  forget(): void {
    this.#era++;
    this.#good.clear();
    this.#bad.clear();
    this.#recent.session.clear();
    this.#recent.token.clear();
  }

  /** What is known of it without waiting; `session`: it stood where our own sessions stand, and can be nothing else. */
  known(token: string, session: boolean): Verdict | undefined {
    const recent = session ? this.#recent.session : this.#recent.token;
    const tail = token.slice(-tailLength);
    const found = recent.get(tail);
    if (found !== undefined && found.token === token) return found.verdict;
    const name = nameOf(token, session);
    const good = this.#good.get(name);
    if (good === undefined) return this.#bad.get(name);
    if (recent.size >= keptRecent) recent.delete(recent.keys().next().value!);
    recent.set(tail, { token, verdict: good });
    return good;
  }

  /** Finds out about a token. Never rejects. */
  async verify(token: string, session: boolean): Promise<Verdict> {
    const known = this.known(token, session);
    if (known !== undefined) return known;
    const era = this.#era;
    const parts = readToken(token);
    if (parts === undefined) return this.#keep(token, session, { reason: "malformed" });
    const verdict = session ? await this.#verifySession(token, parts) : await this.#verifyToken(token, parts);
    if (era !== this.#era) return await this.verify(token, session);
    // Its key may turn up at any time, and then nothing would say that the verdict is out of date.
    const isPassing = verdict === unknownKey && this.#options.state.settings?.keysMayGrow;
    return isPassing ? verdict : this.#keep(token, session, verdict);
  }

  async #verifySession(token: string, { alg, kid, payload }: TokenParts): Promise<Verdict> {
    const { settings } = this.#options.state;
    if (settings === undefined || alg !== "HS256" || kid !== sessionKid) return { reason: "bad_signature" };
    const key = { alg: "HS256", kid, fingerprint: "", secret: settings.sessionKey } as const;
    if (!(await this.#options.checkSignature(token, key))) return { reason: "bad_signature" };
    return readSessionClaims(payload, this.#now());
  }

  async #verifyToken(token: string, { alg, kid, payload }: TokenParts): Promise<Verdict> {
    const { state, findKey, checkSignature } = this.#options;
    if (state.key(alg, kid) === undefined && state.settings?.keysMayGrow && alg !== "HS256") await findKey(kid);
    const key = state.key(alg, kid);
    if (key === undefined) return unknownKey;
    if (!(await checkSignature(token, key))) return { reason: "bad_signature" };
    return readPreviewClaims(payload, { kid, fingerprint: key.fingerprint }, this.#now());
  }

  #keep(token: string, session: boolean, verdict: Verdict): Verdict {
    const kept = "grant" in verdict ? this.#good : this.#bad;
    if (kept.size >= keptVerdicts) kept.delete(kept.keys().next().value!);
    kept.set(nameOf(token, session), verdict);
    return verdict;
  }
}

/** A hash and not the token: what is in memory opens nothing. */
function nameOf(token: string, session: boolean): string {
  const name = hash("sha256", token, "base64url");
  return session ? `s${name}` : name;
}

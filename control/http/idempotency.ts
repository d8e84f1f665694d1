import { createHash } from "node:crypto";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError } from "../api-error.ts";
import { KeyedLock } from "../sandboxes/keyed-lock.ts";
import type { IdempotencyStore, StoredAnswer } from "../sqlite/idempotency-store.ts";
import { errorAnswer, isRetryable, toApiError } from "./problem.ts";

export type IdempotentCall = {
  readonly caller: string;
  readonly key: string;
  /** What the call asks for, in full. */
  readonly request: unknown;
  readonly url: string;
};

const longestKey = 255;

/**
 * Gives the first answer again to a call that is repeated with its key, a refusal included. Calls with one key come one
 * after the other; what may go better the next time is not kept.
 */
export class Idempotency {
  readonly #store: IdempotencyStore;
  readonly #now: () => number;
  readonly #lock = new KeyedLock<string>();

  constructor(store: IdempotencyStore, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * Answers a call. `act` gets the id to create under, which is the same one when an earlier attempt was cut off, and
   * whether there was such an attempt. Throws ApiError `idempotency_conflict` for a key that was used for another body.
   */
  run(
    call: IdempotentCall,
    newId: () => SandboxId,
    act: (id: SandboxId, attempted: boolean) => Promise<StoredAnswer>,
  ): Promise<StoredAnswer> {
    const { caller, key } = call;
    if (key.length === 0 || key.length > longestKey) {
      throw new ApiError("invalid_request", `header: Idempotency-Key has 1 to ${longestKey} characters`);
    }
    const hash = createHash("sha256").update(canonical(call.request)).digest("base64url");
    return this.#lock.run(JSON.stringify([caller, key]), async () => {
      const known = this.#store.get(caller, key, this.#now());
      if (known !== undefined && known.requestHash !== hash) {
        throw new ApiError("idempotency_conflict", "This Idempotency-Key was used for another request");
      }
      if (known?.answer) return known.answer;
      const id = known?.sandboxId ?? newId();
      if (known === undefined) this.#store.begin(caller, key, hash, id, this.#now());
      return this.#keep(call, () => act(id, known !== undefined));
    });
  }

  async #keep({ caller, key, url }: IdempotentCall, act: () => Promise<StoredAnswer>): Promise<StoredAnswer> {
    try {
      const answer = await act();
      this.#store.finish(caller, key, answer);
      return answer;
    } catch (error) {
      const known = toApiError(error);
      if (known.code === "internal" || isRetryable(known)) this.#store.forget(caller, key);
      else {
        const { status, body } = errorAnswer(known, url);
        this.#store.finish(caller, key, { status, body: JSON.stringify(body) });
      }
      throw error;
    }
  }
}

/** JSON with the fields of every object in one order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each !== "object" || each === null || Array.isArray(each)) return each;
    return Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/**
 * So much may an app say before its final answer (RFC 9110 §15.2). Nothing holds it back when the client reads none of it,
 * and it could go on for ever.
 */
const most = { answers: 100, bytes: 1 << 18 };

/** Counts the interim answers to one request. */
export class InterimAnswers {
  #answers = 0;
  #bytes = 0;

  /** Throws when it is too much. `raw`: the names and values of one more. */
  take(raw: readonly { readonly length: number }[]): void {
    this.#answers++;
    for (const { length } of raw) this.#bytes += length;
    if (this.#answers > most.answers || this.#bytes > most.bytes) throw new Error("interim answers without an end");
  }
}

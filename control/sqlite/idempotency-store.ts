import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Database } from "./database.ts";

/** What a caller's key stands for. `answer` is null while the first call has not ended. */
export type IdempotencyRecord = {
  readonly requestHash: string;
  readonly sandboxId: SandboxId;
  readonly answer: StoredAnswer | null;
};

export type StoredAnswer = { readonly status: number; readonly body: string };

/** Keys live for 24 hours. */
export const idempotencyLifetimeMs = 24 * 3600 * 1000;

export class IdempotencyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(caller: string, key: string, now: number): IdempotencyRecord | undefined {
    const sql = "SELECT * FROM idempotency_keys WHERE caller = ? AND key = ? AND created_at > ?";
    const row = this.#database.get<Row>(sql, caller, key, now - idempotencyLifetimeMs);
    if (row === undefined) return undefined;
    const answer = row.status === null ? null : { status: row.status, body: row.body ?? "" };
    return { requestHash: row.request_hash, sandboxId: row.sandbox_id as SandboxId, answer };
  }

  /** Notes a key before its call begins, in place of an outlived one. */
  begin(caller: string, key: string, requestHash: string, id: SandboxId, now: number): void {
    const sql =
      "INSERT OR REPLACE INTO idempotency_keys (caller, key, request_hash, sandbox_id, created_at) VALUES (?, ?, ?, ?, ?)";
    this.#database.transaction(() => this.#database.run(sql, caller, key, requestHash, id, now));
  }

  finish(caller: string, key: string, answer: StoredAnswer): void {
    const sql = "UPDATE idempotency_keys SET status = ?, body = ? WHERE caller = ? AND key = ?";
    this.#database.transaction(() => this.#database.run(sql, answer.status, answer.body, caller, key));
  }

  /** Forgets a key whose call failed in a way that is worth another try. */
  forget(caller: string, key: string): void {
    const sql = "DELETE FROM idempotency_keys WHERE caller = ? AND key = ?";
    this.#database.transaction(() => this.#database.run(sql, caller, key));
  }

  prune(now: number): number {
    const sql = "DELETE FROM idempotency_keys WHERE created_at <= ?";
    return this.#database.transaction(() => this.#database.run(sql, now - idempotencyLifetimeMs));
  }
}

type Row = {
  readonly request_hash: string;
  readonly sandbox_id: string;
  readonly status: number | null;
  readonly body: string | null;
};

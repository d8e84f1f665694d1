import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Database } from "./database.ts";

/** A share link; times are epoch milliseconds. Its token is nowhere but with whoever asked for it. */
export type Share = {
  readonly id: string;
  readonly sandboxId: SandboxId;
  readonly label: string | null;
  /** null: every port. */
  readonly port: number | null;
  /** null: any number. */
  readonly maxUses: number | null;
  readonly uses: number;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly lastUsedAt: number | null;
};

export class ShareStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  add(share: Share, tokenHash: string): void {
    const { id, sandboxId, label, port, maxUses, uses, createdAt, expiresAt, lastUsedAt } = share;
    const values = [id, sandboxId, tokenHash, label, port, maxUses, uses, createdAt, expiresAt, lastUsedAt];
    this.#database.transaction(() => this.#database.run(insert, ...values));
  }

  /** The newest first. */
  list(sandboxId: SandboxId): Share[] {
    const sql = "SELECT * FROM shares WHERE sandbox_id = ? ORDER BY id DESC";
    return this.#database.all<Row>(sql, sandboxId).map(fromRow);
  }

  find(tokenHash: string, id: string): Share | undefined {
    const row = this.#database.get<Row>("SELECT * FROM shares WHERE id = ? AND token_hash = ?", id, tokenHash);
    return row === undefined ? undefined : fromRow(row);
  }

  /** Counts one use, unless there is none left: of two at the same time only so many succeed as there are. */
  use(id: string, now: number): boolean {
    const sql =
      "UPDATE shares SET uses = uses + 1, last_used_at = ? WHERE id = ? AND expires_at > ? AND (max_uses IS NULL OR uses < max_uses)";
    return this.#database.transaction(() => this.#database.run(sql, now, id, now)) > 0;
  }

  /** Returns what was deleted. */
  delete(sandboxId: SandboxId, id: string): Share | undefined {
    return this.#database.transaction(() => {
      const row = this.#database.get<Row>("SELECT * FROM shares WHERE id = ? AND sandbox_id = ?", id, sandboxId);
      this.#database.run("DELETE FROM shares WHERE id = ? AND sandbox_id = ?", id, sandboxId);
      return row === undefined ? undefined : fromRow(row);
    });
  }

  prune(before: number): void {
    this.#database.transaction(() => this.#database.run("DELETE FROM shares WHERE expires_at < ?", before));
  }
}

const insert =
  "INSERT INTO shares (id, sandbox_id, token_hash, label, port, max_uses, uses, created_at, expires_at, last_used_at) " +
  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

type Row = {
  readonly id: string;
  readonly sandbox_id: string;
  readonly label: string | null;
  readonly port: number | null;
  readonly max_uses: number | null;
  readonly uses: number;
  readonly created_at: number;
  readonly expires_at: number;
  readonly last_used_at: number | null;
};

function fromRow(row: Row): Share {
  return {
    id: row.id,
    sandboxId: row.sandbox_id as SandboxId,
    label: row.label,
    port: row.port,
    maxUses: row.max_uses,
    uses: row.uses,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
  };
}

import { randomBytes } from "node:crypto";
import { ulid } from "ulid";
import type { AccessKey, Revocation } from "#contract/access.ts";
import type { Database } from "./database.ts";

export type StoredRevocation = { readonly id: string; readonly revocation: Revocation; readonly createdAt: number };

/** Our own key, what was revoked, and what a key set answered last. */
export class AccessStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The key that signs sessions and share tokens, base64url; made when it is first asked for. */
  sessionKey(): string {
    return this.#database.transaction(() => {
      const known = this.#database.get<{ value: Buffer }>("SELECT value FROM secrets WHERE name = 'session'");
      if (known !== undefined) return known.value.toString("base64url");
      const value = randomBytes(32);
      this.#database.run("INSERT INTO secrets (name, value) VALUES ('session', ?)", value);
      return value.toString("base64url");
    });
  }

  /** Those that still mean something, the newest first. */
  revocations(now: number): StoredRevocation[] {
    const sql = "SELECT * FROM revocations WHERE until IS NULL OR until > ? ORDER BY id DESC";
    return this.#database.all<Row>(sql, now).map(({ id, revocation, created_at }) => ({
      id,
      revocation: JSON.parse(revocation) as Revocation,
      createdAt: created_at,
    }));
  }

  addRevocation(revocation: Revocation, now: number): string {
    const id = ulid(now);
    const sql = "INSERT INTO revocations (id, revocation, created_at, until) VALUES (?, ?, ?, ?)";
    this.#database.transaction(() => this.#database.run(sql, id, JSON.stringify(revocation), now, revocation.until));
    return id;
  }

  deleteRevocation(id: string): boolean {
    return this.#database.transaction(() => this.#database.run("DELETE FROM revocations WHERE id = ?", id)) > 0;
  }

  /** What this URL answered last that was good; none for one that did not yet. */
  keySet(url: string): readonly AccessKey[] {
    const row = this.#database.get<{ keys: string }>("SELECT keys FROM key_sets WHERE url = ?", url);
    return row === undefined ? [] : (JSON.parse(row.keys) as AccessKey[]);
  }

  /** Keeps a key set in place of every other: what an operator turned away from may be out of date when it comes back. */
  keepKeySet(url: string, keys: readonly AccessKey[], now: number): void {
    this.#database.transaction(() => {
      this.#database.run("DELETE FROM key_sets");
      const sql = "INSERT INTO key_sets (url, keys, read_at) VALUES (?, ?, ?)";
      this.#database.run(sql, url, JSON.stringify(keys), now);
    });
  }

  prune(now: number): void {
    this.#database.transaction(() => this.#database.run("DELETE FROM revocations WHERE until <= ?", now));
  }
}

type Row = { readonly id: string; readonly revocation: string; readonly created_at: number };

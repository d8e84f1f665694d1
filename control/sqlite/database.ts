import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Sqlite from "better-sqlite3";
import { migrate } from "./migrate.ts";
import { setOriginalAside } from "./original-state.ts";

/**
 * The one connection to control's database, migrated. Writes go through `transaction`, which counts them; every statement
 * is prepared once and kept by its text.
 */
export class Database {
  readonly #connection: Sqlite.Database;
  readonly #statements = new Map<string, Sqlite.Statement<unknown[], unknown>>();
  readonly #onTransaction: () => void;
  #inTransaction = false;

  /** `path` may be `:memory:`. Throws when the file is not ours or is newer than this program. */
  constructor(path: string, onTransaction: () => void) {
    if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#onTransaction = onTransaction;
    this.#connection = new Sqlite(path);
    try {
      this.#connection.pragma("busy_timeout = 5000");
      this.#connection.pragma("journal_mode = WAL");
      this.#connection.pragma("synchronous = NORMAL");
      this.#connection.pragma("foreign_keys = ON");
      setOriginalAside(this.#connection);
      migrate(this.#connection);
    } catch (error) {
      this.#connection.close();
      throw error;
    }
  }

  /** Runs `work` in one immediate transaction; inside another one it joins that. */
  transaction<T>(work: () => T): T {
    if (this.#inTransaction) return work();
    this.#inTransaction = true;
    try {
      const result = this.#connection.transaction(work).immediate() as T;
      this.#onTransaction();
      return result;
    } finally {
      this.#inTransaction = false;
    }
  }

  run(sql: string, ...values: unknown[]): number {
    return this.#prepare(sql).run(...values).changes;
  }

  get<Row>(sql: string, ...values: unknown[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  all<Row>(sql: string, ...values: unknown[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }

  /** Copies all of it into a file while writes go on, a little at a time. */
  async copyTo(path: string): Promise<void> {
    await this.#connection.backup(path);
  }

  close(): void {
    this.#connection.close();
  }

  #prepare(sql: string): Sqlite.Statement<unknown[], unknown> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

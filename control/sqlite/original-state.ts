import { existsSync } from "node:fs";
import type Sqlite from "better-sqlite3";
import type { Database } from "./database.ts";

/** What the original's tables are called once they are out of our way. */
const prefix = "original_";

/** A sandbox as the original noted it. Times are epoch seconds; what an older one did not know of is undefined. */
export type OriginalSandbox = {
  readonly id: string;
  readonly status: string;
  readonly memory_high: string | null;
  readonly error_message: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly last_active_at?: number;
  readonly keepalive_until?: number | null;
  readonly external_user_id?: string | null;
  readonly external_project_id?: string | null;
  readonly external_workspace_id?: string | null;
  readonly visibility?: string;
  readonly idle_policy?: string;
  readonly ports: readonly number[];
};

/** Who may have a workspace back whose sandbox is gone. */
export type OriginalOwner = { readonly sandbox_id: string; readonly external_user_id: string };

/**
 * The original kept its state in a file of the same name. Its tables get other names, all at once, so that ours find
 * theirs free; before that the file is copied to `…-original.db`. Does nothing to any other database.
 */
export function setOriginalAside(connection: Sqlite.Database): void {
  const tables = tableNames(connection);
  if (!tables.includes("sandbox") || !tables.includes("migration") || tables.includes("schema_migrations")) return;
  const copy = connection.name.replace(/(?:\.db)?$/, "-original.db");
  if (!existsSync(copy)) connection.prepare("VACUUM INTO ?").run(copy);
  connection
    .transaction(() => {
      for (const table of tables) connection.exec(`ALTER TABLE "${table}" RENAME TO "${prefix}${table}"`);
    })
    .immediate();
}

/** What the original left, until it is taken over. */
export class OriginalState {
  readonly #database: Database;
  readonly #tables: readonly string[];

  constructor(database: Database) {
    this.#database = database;
    const named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB ? ORDER BY name";
    this.#tables = database.all<{ name: string }>(named, `${prefix}*`).map(({ name }) => name);
  }

  get isThere(): boolean {
    return this.#tables.includes(`${prefix}sandbox`);
  }

  sandboxes(): OriginalSandbox[] {
    const rows = this.#database.all<Omit<OriginalSandbox, "ports">>(`SELECT * FROM ${prefix}sandbox`);
    const portsOf = `SELECT port FROM ${prefix}sandbox_port WHERE sandbox_id = ? ORDER BY port`;
    return rows.map((row) => ({
      ...row,
      ports: this.#database.all<{ port: number }>(portsOf, row.id).map(({ port }) => port),
    }));
  }

  /** Of every workspace, whether its sandbox is there or not. */
  owners(): OriginalOwner[] {
    if (!this.#tables.includes(`${prefix}workspace_owner`)) return [];
    return this.#database.all(`SELECT sandbox_id, external_user_id FROM ${prefix}workspace_owner`);
  }

  /** Removes what was taken over. To be called within the transaction that did so. */
  drop(): void {
    // What others refer to goes last.
    const last = new Set([`${prefix}sandbox`]);
    const tables = [...this.#tables.filter((name) => !last.has(name)), ...last];
    for (const table of tables) this.#database.run(`DROP TABLE "${table}"`);
  }
}

function tableNames(connection: Sqlite.Database): string[] {
  const named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
  return connection.prepare(named).pluck().all() as string[];
}

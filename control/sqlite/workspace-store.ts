import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Database } from "./database.ts";

/** Workspaces that were kept when their sandbox was removed, and who may have them back. */
export class WorkspaceStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The owner of a kept workspace (null: nobody was named); undefined when none is kept under this id. */
  owner(id: SandboxId): string | null | undefined {
    const sql = "SELECT external_user_id AS owner FROM kept_workspaces WHERE sandbox_id = ?";
    return this.#database.get<{ owner: string | null }>(sql, id)?.owner;
  }

  keep(id: SandboxId, owner: string | null, now: number): void {
    const sql = "INSERT OR REPLACE INTO kept_workspaces (sandbox_id, external_user_id, kept_at) VALUES (?, ?, ?)";
    this.#database.transaction(() => this.#database.run(sql, id, owner, now));
  }

  forget(id: SandboxId): void {
    this.#database.transaction(() => this.#database.run("DELETE FROM kept_workspaces WHERE sandbox_id = ?", id));
  }
}

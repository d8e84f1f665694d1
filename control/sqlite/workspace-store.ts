import type { SandboxId } from "#contract/sandbox-id.ts";
import type { External } from "../sandboxes/sandbox.ts";
import type { Database } from "./database.ts";

/** Workspaces that were kept when their sandbox was removed, and who may have them back. */
export class WorkspaceStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Whose a kept workspace is; undefined when none is kept under this id. */
  owner(id: SandboxId): External | undefined {
    const row = this.#database.get<Row>("SELECT * FROM kept_workspaces WHERE sandbox_id = ?", id);
    if (row === undefined) return undefined;
    const { external_user_id: userId, external_project_id: projectId, external_workspace_id: workspaceId } = row;
    return { userId, projectId, workspaceId };
  }

  ids(): SandboxId[] {
    const sql = "SELECT sandbox_id AS id FROM kept_workspaces ORDER BY sandbox_id";
    return this.#database.all<{ id: SandboxId }>(sql).map(({ id }) => id);
  }

  /** Those of one external user or project. */
  ofOwner(kind: "user" | "project", externalId: string): SandboxId[] {
    const sql = `SELECT sandbox_id AS id FROM kept_workspaces WHERE external_${kind}_id = ? ORDER BY sandbox_id`;
    return this.#database.all<{ id: SandboxId }>(sql, externalId).map(({ id }) => id);
  }

  keep(id: SandboxId, { userId, projectId, workspaceId }: External, now: number): void {
    this.#database.transaction(() => this.#database.run(replace, id, userId, projectId, workspaceId, now));
  }

  /** Makes a kept workspace somebody else's. */
  claim(id: SandboxId, { userId, projectId, workspaceId }: External): void {
    this.#database.transaction(() => this.#database.run(claim, userId, projectId, workspaceId, id));
  }

  forget(id: SandboxId): void {
    this.#database.transaction(() => this.#database.run("DELETE FROM kept_workspaces WHERE sandbox_id = ?", id));
  }
}

const replace =
  "INSERT OR REPLACE INTO kept_workspaces " +
  "(sandbox_id, external_user_id, external_project_id, external_workspace_id, kept_at) VALUES (?, ?, ?, ?, ?)";

const claim =
  "UPDATE kept_workspaces SET external_user_id = ?, external_project_id = ?, external_workspace_id = ? WHERE sandbox_id = ?";

type Row = {
  readonly external_user_id: string | null;
  readonly external_project_id: string | null;
  readonly external_workspace_id: string | null;
};

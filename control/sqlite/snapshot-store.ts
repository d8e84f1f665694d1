import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Snapshot, SnapshotId, Template } from "../snapshots/snapshot.ts";
import type { Database } from "./database.ts";

export type SnapshotFilter = {
  readonly sandboxId?: SandboxId;
  readonly externalUserId?: string;
  readonly externalProjectId?: string;
  /** A page starts after it, newest first. */
  readonly after?: { readonly createdAt: number; readonly id: string };
  readonly limit: number;
};

/** The tables of snapshots and of the templates that name them. */
export class SnapshotStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(id: SnapshotId): Snapshot | undefined {
    const row = this.#database.get<Row>("SELECT * FROM snapshots WHERE id = ?", id);
    return row === undefined ? undefined : fromRow(row);
  }

  ids(): SnapshotId[] {
    return this.#database.all<{ id: SnapshotId }>("SELECT id FROM snapshots").map(({ id }) => id);
  }

  /** The newest first. */
  list(filter: SnapshotFilter): Snapshot[] {
    const conditions = ["TRUE"];
    const values: unknown[] = [];
    for (const [column, value] of [
      ["sandbox_id", filter.sandboxId],
      ["external_user_id", filter.externalUserId],
      ["external_project_id", filter.externalProjectId],
    ] as const) {
      if (value === undefined) continue;
      conditions.push(`${column} = ?`);
      values.push(value);
    }
    if (filter.after !== undefined) {
      conditions.push("(created_at, id) < (?, ?)");
      values.push(filter.after.createdAt, filter.after.id);
    }
    const sql = `SELECT * FROM snapshots WHERE ${conditions.join(" AND ")} ORDER BY created_at DESC, id DESC LIMIT ?`;
    return this.#database.all<Row>(sql, ...values, filter.limit).map(fromRow);
  }

  ofSandbox(sandboxId: SandboxId): Snapshot[] {
    return this.list({ sandboxId, limit: everyOne });
  }

  insert(snapshot: Snapshot): void {
    const { external } = snapshot;
    const values = [
      ...[snapshot.id, snapshot.sandboxId, snapshot.name, snapshot.cause],
      ...[external.userId, external.projectId, external.workspaceId, snapshot.sizeBytes, snapshot.stoodStillMs],
      ...[JSON.stringify(snapshot.skipped), snapshot.skippedCount, snapshot.createdAt],
    ];
    this.#database.transaction(() => this.#database.run(insert, ...values));
  }

  /** With the templates that name it. */
  delete(id: SnapshotId): void {
    this.#database.transaction(() => {
      this.#database.run("DELETE FROM templates WHERE snapshot_id = ?", id);
      this.#database.run("DELETE FROM snapshots WHERE id = ?", id);
    });
  }

  template(name: string): Template | undefined {
    const row = this.#database.get<TemplateRow>("SELECT * FROM templates WHERE name = ?", name);
    return row === undefined ? undefined : fromTemplateRow(row);
  }

  /** By name; of one snapshot, or all of them. */
  templates(snapshotId?: SnapshotId): Template[] {
    const where = snapshotId === undefined ? "" : "WHERE snapshot_id = ?";
    const sql = `SELECT * FROM templates ${where} ORDER BY name`;
    return this.#database.all<TemplateRow>(sql, ...(snapshotId === undefined ? [] : [snapshotId])).map(fromTemplateRow);
  }

  putTemplate(name: string, snapshotId: SnapshotId, now: number): void {
    this.#database.transaction(() => this.#database.run(putTemplate, name, snapshotId, now, now));
  }

  /** Returns whether there was one. */
  deleteTemplate(name: string): boolean {
    return this.#database.transaction(() => this.#database.run("DELETE FROM templates WHERE name = ?", name)) > 0;
  }
}

const everyOne = 2 ** 31 - 1;

const insert =
  "INSERT INTO snapshots (id, sandbox_id, name, cause, external_user_id, external_project_id, external_workspace_id, " +
  "size_bytes, stood_still_ms, skipped, skipped_count, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const putTemplate =
  "INSERT INTO templates (name, snapshot_id, created_at, updated_at) VALUES (?, ?, ?, ?) " +
  "ON CONFLICT (name) DO UPDATE SET snapshot_id = excluded.snapshot_id, updated_at = excluded.updated_at";

type Row = {
  readonly id: string;
  readonly sandbox_id: string;
  readonly name: string | null;
  readonly cause: Snapshot["cause"];
  readonly external_user_id: string | null;
  readonly external_project_id: string | null;
  readonly external_workspace_id: string | null;
  readonly size_bytes: number;
  readonly stood_still_ms: number;
  readonly skipped: string;
  readonly skipped_count: number;
  readonly created_at: number;
};

type TemplateRow = {
  readonly name: string;
  readonly snapshot_id: string;
  readonly created_at: number;
  readonly updated_at: number;
};

function fromRow(row: Row): Snapshot {
  return {
    id: row.id as SnapshotId,
    sandboxId: row.sandbox_id as SandboxId,
    name: row.name,
    cause: row.cause,
    external: {
      userId: row.external_user_id,
      projectId: row.external_project_id,
      workspaceId: row.external_workspace_id,
    },
    sizeBytes: row.size_bytes,
    stoodStillMs: row.stood_still_ms,
    skipped: JSON.parse(row.skipped) as string[],
    skippedCount: row.skipped_count,
    createdAt: row.created_at,
  };
}

function fromTemplateRow({ name, snapshot_id, created_at, updated_at }: TemplateRow): Template {
  return { name, snapshotId: snapshot_id as SnapshotId, createdAt: created_at, updatedAt: updated_at };
}

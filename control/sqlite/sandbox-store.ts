import type { SandboxStatus, StatusReason } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { OwnedSandbox } from "../sandboxes/owner-limits.ts";
import type { Sandbox, SandboxPolicy } from "../sandboxes/sandbox.ts";
import type { Database } from "./database.ts";

/** What the list is narrowed by. A page starts after `after`, newest first. */
export type SandboxFilter = {
  readonly status?: SandboxStatus;
  readonly externalUserId?: string;
  readonly externalProjectId?: string;
  readonly label?: readonly [key: string, value: string];
  readonly after?: { readonly createdAt: number; readonly id: string };
  readonly limit: number;
};

export type ActivityMark = {
  readonly id: SandboxId;
  readonly lastActiveAt: number;
  /** 0 for none. */
  readonly lastNavigationAt: number;
  /** When the app of a run first answered: until then its start has lasted. */
  readonly answered?: { readonly run: number; readonly at: number } | undefined;
};

/** The table of sandboxes. Those under removal are seen by `removing` alone. */
export class SandboxStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(id: SandboxId): Sandbox | undefined {
    const row = this.#database.get<Row>("SELECT * FROM sandboxes WHERE id = ?", id);
    return row === undefined || row.removing !== null ? undefined : fromRow(row);
  }

  all(): Sandbox[] {
    return this.#database.all<Row>("SELECT * FROM sandboxes WHERE removing IS NULL").map(fromRow);
  }

  removing(): Sandbox[] {
    return this.#database.all<Row>("SELECT * FROM sandboxes WHERE removing IS NOT NULL").map(fromRow);
  }

  withStatus(status: SandboxStatus): Sandbox[] {
    const sql = "SELECT * FROM sandboxes WHERE status = ? AND removing IS NULL";
    return this.#database.all<Row>(sql, status).map(fromRow);
  }

  countByStatus(): ReadonlyMap<SandboxStatus, number> {
    const sql = "SELECT status, count(*) AS count FROM sandboxes WHERE removing IS NULL GROUP BY status";
    const rows = this.#database.all<{ status: SandboxStatus; count: number }>(sql);
    return new Map(rows.map(({ status, count }) => [status, count]));
  }

  list(filter: SandboxFilter): Sandbox[] {
    const conditions = ["removing IS NULL"];
    const values: unknown[] = [];
    const where = (condition: string, ...bound: unknown[]) => {
      conditions.push(condition);
      values.push(...bound);
    };
    if (filter.status !== undefined) where("status = ?", filter.status);
    if (filter.externalUserId !== undefined) where("external_user_id = ?", filter.externalUserId);
    if (filter.externalProjectId !== undefined) where("external_project_id = ?", filter.externalProjectId);
    if (filter.label !== undefined) {
      where("id IN (SELECT sandbox_id FROM sandbox_labels WHERE key = ? AND value = ?)", ...filter.label);
    }
    if (filter.after !== undefined) where("(created_at, id) < (?, ?)", filter.after.createdAt, filter.after.id);
    const sql = `SELECT * FROM sandboxes WHERE ${conditions.join(" AND ")} ORDER BY created_at DESC, id DESC LIMIT ?`;
    return this.#database.all<Row>(sql, ...values, filter.limit).map(fromRow);
  }

  /** Of one external user or project, those under removal included. */
  ofOwner(kind: "user" | "project", externalId: string): SandboxId[] {
    const sql = `SELECT id FROM sandboxes WHERE external_${kind}_id = ? ORDER BY created_at`;
    return this.#database.all<{ id: SandboxId }>(sql, externalId).map(({ id }) => id);
  }

  /** As above of a user, with what counts for its limits. */
  ownedBy(userId: string): OwnedSandbox[] {
    return this.#database.all<OwnedRow>(ownedBy, userId).map(({ removing, memory_max: memoryMax, ...row }) => ({
      ...row,
      memoryMax,
      isRemoving: removing !== null,
    }));
  }

  /** Writes the whole row, a new or a changed one. */
  put(sandbox: Sandbox): void {
    const row = toRow(sandbox);
    this.#database.transaction(() => this.#database.run(upsert, ...columns.map((column) => row[column])));
  }

  /** The labels that the list filters by; apart from `put`, because they hardly ever change. */
  putLabels(sandbox: Sandbox): void {
    this.#database.transaction(() => {
      this.#database.run("DELETE FROM sandbox_labels WHERE sandbox_id = ?", sandbox.id);
      for (const [key, value] of Object.entries(sandbox.labels)) {
        this.#database.run(
          "INSERT INTO sandbox_labels (sandbox_id, key, value) VALUES (?, ?, ?)",
          sandbox.id,
          key,
          value,
        );
      }
    });
  }

  delete(id: SandboxId): void {
    this.#database.transaction(() => this.#database.run("DELETE FROM sandboxes WHERE id = ?", id));
  }

  /** One batch of activity in one transaction; times never go back. */
  markActive(marks: readonly ActivityMark[]): void {
    this.#database.transaction(() => {
      for (const { id, lastActiveAt, lastNavigationAt, answered } of marks) {
        this.#database.run(mark, lastActiveAt, lastNavigationAt, id);
        if (answered !== undefined) this.#database.run(prolong, answered.at, id, answered.run, answered.at);
      }
    });
  }
}

const longestStartMs = 10 * 60_000;
const mark =
  "UPDATE sandboxes SET last_active_at = max(last_active_at, ?), " +
  "last_navigation_at = nullif(max(coalesce(last_navigation_at, 0), ?), 0) WHERE id = ?";

/** Adds what an app needed after its engine was done to the last start, unless that is older than any start lasts. */
const prolong =
  "UPDATE sandboxes SET recent_starts_ms = json_set(recent_starts_ms, '$[#-1]', " +
  "json_extract(recent_starts_ms, '$[#-1]') + max(0, ? - awake_since)) " +
  `WHERE id = ? AND run = ? AND awake_since > ? - ${longestStartMs} AND json_array_length(recent_starts_ms) > 0`;

const ownedBy =
  "SELECT id, status, removing, json_extract(policy, '$.memoryMax') AS memory_max FROM sandboxes WHERE external_user_id = ?";

type OwnedRow = Pick<OwnedSandbox, "id" | "status"> & {
  readonly removing: string | null;
  readonly memory_max: string;
};

const columns = [
  "id",
  "status",
  "reason",
  "generation",
  "run",
  "policy",
  "external_user_id",
  "external_project_id",
  "external_workspace_id",
  "created_at",
  "updated_at",
  "status_since",
  "started_at",
  "awake_since",
  "last_active_at",
  "last_navigation_at",
  "keepalive_until",
  "lease_until",
  "crashes",
  "retry_at",
  "recent_starts_ms",
  "removing",
] as const;

const upsert =
  `INSERT INTO sandboxes (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")}) ` +
  `ON CONFLICT (id) DO UPDATE SET ${columns
    .slice(1)
    .map((column) => `${column} = excluded.${column}`)
    .join(", ")}`;

type Row = {
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
  readonly generation: number;
  readonly run: number;
  readonly policy: string;
  readonly external_user_id: string | null;
  readonly external_project_id: string | null;
  readonly external_workspace_id: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly status_since: number;
  readonly started_at: number | null;
  readonly awake_since: number | null;
  readonly last_active_at: number;
  readonly last_navigation_at: number | null;
  readonly keepalive_until: number | null;
  readonly lease_until: number | null;
  readonly crashes: number;
  readonly retry_at: number | null;
  readonly recent_starts_ms: string;
  readonly removing: string | null;
};

type StoredField = keyof Omit<SandboxPolicy, "external">;

/** What the column `policy` holds: all of it, or the types say so. */
const policyFields = Object.keys({
  ports: 0,
  image: 0,
  cmd: 0,
  env: 0,
  sealedEnv: 0,
  visibility: 0,
  idlePolicy: 0,
  idleSeconds: 0,
  sleepMode: 0,
  memoryHigh: 0,
  memoryMax: 0,
  cpu: 0,
  runtime: 0,
  disk: 0,
  hostPolicy: 0,
  hostPolicyByPort: 0,
  wakePolicy: 0,
  cors: 0,
  schedule: 0,
  snapshots: 0,
  fromSnapshot: 0,
  egressAllow: 0,
  labels: 0,
} satisfies Record<StoredField, 0>) as StoredField[];

function toRow(sandbox: Sandbox): Row {
  const policy = Object.fromEntries(policyFields.map((field) => [field, sandbox[field]]));
  return {
    id: sandbox.id,
    status: sandbox.status,
    reason: sandbox.reason === null ? null : JSON.stringify(sandbox.reason),
    generation: sandbox.generation,
    run: sandbox.run,
    policy: JSON.stringify(policy),
    external_user_id: sandbox.external.userId,
    external_project_id: sandbox.external.projectId,
    external_workspace_id: sandbox.external.workspaceId,
    created_at: sandbox.createdAt,
    updated_at: sandbox.updatedAt,
    status_since: sandbox.statusSince,
    started_at: sandbox.startedAt,
    awake_since: sandbox.awakeSince,
    last_active_at: sandbox.lastActiveAt,
    last_navigation_at: sandbox.lastNavigationAt,
    keepalive_until: sandbox.keepaliveUntil,
    lease_until: sandbox.leaseUntil,
    crashes: sandbox.crashes,
    retry_at: sandbox.retryAt,
    recent_starts_ms: JSON.stringify(sandbox.recentStartsMs),
    removing: sandbox.removing,
  };
}

/** With whatever an earlier program had of it. */
type StoredPolicy = Omit<
  SandboxPolicy,
  "external" | "sealedEnv" | "cors" | "schedule" | "snapshots" | "fromSnapshot" | "egressAllow" | "runtime"
>;

function fromRow(row: Row): Sandbox {
  return {
    // What an earlier program did not know of is not in its rows.
    ...{
      sealedEnv: {},
      cors: null,
      schedule: null,
      snapshots: null,
      fromSnapshot: null,
      egressAllow: [],
      runtime: null,
    },
    ...(JSON.parse(row.policy) as StoredPolicy),
    external: {
      userId: row.external_user_id,
      projectId: row.external_project_id,
      workspaceId: row.external_workspace_id,
    },
    id: row.id as SandboxId,
    status: row.status as SandboxStatus,
    reason: row.reason === null ? null : (JSON.parse(row.reason) as StatusReason),
    generation: row.generation,
    run: row.run,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    statusSince: row.status_since,
    startedAt: row.started_at,
    awakeSince: row.awake_since,
    lastActiveAt: row.last_active_at,
    lastNavigationAt: row.last_navigation_at,
    keepaliveUntil: row.keepalive_until,
    leaseUntil: row.lease_until,
    crashes: row.crashes,
    retryAt: row.retry_at,
    recentStartsMs: JSON.parse(row.recent_starts_ms) as number[],
    removing: row.removing as Sandbox["removing"],
  };
}

import type { Database } from "./database.ts";

/** One thing that somebody did or was refused. Nothing in it is secret. */
export type AuditEntry = {
  readonly actorKind: string;
  readonly actorName: string;
  readonly ip: string | null;
  /** Such as `sandbox.stop`. */
  readonly action: string;
  /** What it was done to, a sandbox id most often. */
  readonly target: string | null;
  readonly outcome: "done" | "refused" | "failed";
  readonly detail: Readonly<Record<string, unknown>>;
};

export type RecordedAudit = AuditEntry & { readonly id: number; readonly time: number };

export type AuditFilter = {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly target?: string | undefined;
  readonly ip?: string | undefined;
  readonly outcome?: string | undefined;
  /** Epoch milliseconds, the first included and the last not. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Entries before this one. */
  readonly before?: number | undefined;
  readonly limit: number;
};

/** The append-only record: the database itself refuses any change of it. */
export class AuditStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  append(entries: readonly AuditEntry[], now: number): void {
    this.#database.transaction(() => {
      for (const { actorKind, actorName, ip, action, target, outcome, detail } of entries) {
        this.#database.run(insert, now, actorKind, actorName, ip, action, target, outcome, JSON.stringify(detail));
      }
    });
  }

  /** The newest first. */
  list(filter: AuditFilter): RecordedAudit[] {
    const conditions: string[] = [];
    const values: unknown[] = [];
    for (const [condition, value] of [
      ["actor_name = ?", filter.actor],
      ["action = ?", filter.action],
      ["target = ?", filter.target],
      ["ip = ?", filter.ip],
      ["outcome = ?", filter.outcome],
      ["time >= ?", filter.from],
      ["time < ?", filter.to],
      ["id < ?", filter.before],
    ] as const) {
      if (value === undefined) continue;
      conditions.push(condition);
      values.push(value);
    }
    const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
    const sql = `SELECT * FROM audit_log ${where} ORDER BY id DESC LIMIT ?`;
    return this.#database.all<Row>(sql, ...values, filter.limit).map(fromRow);
  }

  /** What retention lets go of: the one way in which the log becomes shorter. */
  prune(before: number): number {
    return this.#database.transaction(() => {
      this.#database.run("UPDATE audit_retention SET before = ?", before);
      const deleted = this.#database.run("DELETE FROM audit_log WHERE time < ?", before);
      this.#database.run("UPDATE audit_retention SET before = 0");
      return deleted;
    });
  }
}

const insert =
  "INSERT INTO audit_log (time, actor_kind, actor_name, ip, action, target, outcome, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

type Row = {
  readonly id: number;
  readonly time: number;
  readonly actor_kind: string;
  readonly actor_name: string;
  readonly ip: string | null;
  readonly action: string;
  readonly target: string | null;
  readonly outcome: AuditEntry["outcome"];
  readonly detail: string;
};

function fromRow(row: Row): RecordedAudit {
  return {
    id: row.id,
    time: row.time,
    actorKind: row.actor_kind,
    actorName: row.actor_name,
    ip: row.ip,
    action: row.action,
    target: row.target,
    outcome: row.outcome,
    detail: JSON.parse(row.detail) as Record<string, unknown>,
  };
}

import type { RequestClass, SandboxStatus } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Database } from "./database.ts";

/** What happened to a sandbox, and why: the record behind `explain`. */
export type SandboxEvent = {
  readonly kind: "create" | "wake" | "extend" | "stop" | "refuse" | "change" | "remove";
  /** Who or what brought it about: `operator`, `request`, `idle`, `exited` … */
  readonly cause: string;
  readonly from?: SandboxStatus;
  readonly to?: SandboxStatus;
  readonly class?: RequestClass;
  readonly outcome?: string;
  readonly durationMs?: number;
  readonly detail?: string;
  /** Where the credential was that opened it, or did not. */
  readonly credential?: string;
};

export type RecordedEvent = SandboxEvent & { readonly time: number };

/** So much is kept of one sandbox, whatever is asked of it: a crash loop or a scanner fills no disk. */
const keptPerSandbox = 500;
/** How many come together before what is too much is removed. */
const trimEvery = 50;

/** An append-only table, bounded for each sandbox. */
export class EventStore {
  readonly #database: Database;
  /** What came of each sandbox since it was trimmed. */
  readonly #sinceTrim = new Map<SandboxId, number>();

  constructor(database: Database) {
    this.#database = database;
  }

  append(id: SandboxId, event: SandboxEvent, now: number): void {
    const { kind, cause, from, to, class: requestClass, outcome, durationMs, detail, credential } = event;
    const values = [id, now, kind, cause, from, to, requestClass, outcome, durationMs, detail, credential].map(
      (value) => value ?? null,
    );
    this.#database.transaction(() => {
      this.#database.run(insert, ...values);
      this.#trim(id);
    });
  }

  /** The newest first. */
  recent(id: SandboxId, limit: number): RecordedEvent[] {
    const sql = "SELECT * FROM events WHERE sandbox_id = ? ORDER BY id DESC LIMIT ?";
    return this.#database.all<Row>(sql, id, limit).map(fromRow);
  }

  #trim(id: SandboxId): void {
    const count = (this.#sinceTrim.get(id) ?? 0) + 1;
    this.#sinceTrim.set(id, count % trimEvery);
    if (count >= trimEvery) this.#database.run(trim, id, id, keptPerSandbox);
  }

  /** Forgets what is older than a time. */
  prune(before: number): number {
    return this.#database.transaction(() => this.#database.run("DELETE FROM events WHERE time < ?", before));
  }
}

const insert =
  "INSERT INTO events (sandbox_id, time, kind, cause, from_status, to_status, class, outcome, duration_ms, detail, credential) " +
  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const trim =
  "DELETE FROM events WHERE sandbox_id = ? AND id <= " +
  "(SELECT id FROM events WHERE sandbox_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)";

type Row = {
  readonly time: number;
  readonly kind: SandboxEvent["kind"];
  readonly cause: string;
  readonly from_status: SandboxStatus | null;
  readonly to_status: SandboxStatus | null;
  readonly class: RequestClass | null;
  readonly outcome: string | null;
  readonly duration_ms: number | null;
  readonly detail: string | null;
  readonly credential: string | null;
};

function fromRow(row: Row): RecordedEvent {
  return {
    time: row.time,
    kind: row.kind,
    cause: row.cause,
    ...(row.from_status !== null && { from: row.from_status }),
    ...(row.to_status !== null && { to: row.to_status }),
    ...(row.class !== null && { class: row.class }),
    ...(row.outcome !== null && { outcome: row.outcome }),
    ...(row.duration_ms !== null && { durationMs: row.duration_ms }),
    ...(row.detail !== null && { detail: row.detail }),
    ...(row.credential !== null && { credential: row.credential }),
  };
}

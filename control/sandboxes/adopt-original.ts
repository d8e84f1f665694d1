import type { Logger } from "pino";
import { parseSandboxId } from "#contract/sandbox-id.ts";
import type { Database } from "../sqlite/database.ts";
import { type OriginalSandbox, OriginalState } from "../sqlite/original-state.ts";
import type { SandboxStore } from "../sqlite/sandbox-store.ts";
import type { WorkspaceStore } from "../sqlite/workspace-store.ts";
import { defaultPolicy, newSandbox, type Sandbox } from "./sandbox.ts";

export type AdoptOptions = {
  readonly database: Database;
  readonly store: SandboxStore;
  readonly workspaces: WorkspaceStore;
  readonly logger: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

/**
 * Takes over the sandboxes and workspaces of the original, in one transaction, when its state is in the database. All of
 * them sleep: their containers are the original's. The environment that they were made with was never written down.
 */
export function adoptOriginal({ database, store, workspaces, logger, now }: AdoptOptions): void {
  const original = new OriginalState(database);
  if (!original.isThere) return;
  const counts = database.transaction(() => {
    const sandboxes = original.sandboxes().flatMap((row) => toSandbox(row, now()));
    for (const sandbox of sandboxes) store.put(sandbox);
    const taken = new Set(sandboxes.map(({ id }) => id));
    const kept = original.owners().flatMap(({ sandbox_id, external_user_id }) => {
      const id = parseSandboxId(sandbox_id);
      return id === undefined || taken.has(id) ? [] : [{ id, owner: { ...nobody, userId: external_user_id } }];
    });
    for (const { id, owner } of kept) workspaces.keep(id, owner, now());
    original.drop();
    return { sandboxes: sandboxes.length, workspaces: kept.length };
  });
  logger.info(counts, "the original's state was taken over");
}

const nobody = defaultPolicy.external;

function toSandbox(row: OriginalSandbox, now: number): Sandbox[] {
  const id = parseSandboxId(row.id);
  if (id === undefined) return [];
  const createdAt = row.created_at * 1000;
  const failed = row.status === "error";
  return [
    {
      ...newSandbox(id, toPolicy(row), createdAt),
      // Their containers are the original's: each gets one of ours when it wakes.
      status: failed ? "error" : "stopped",
      reason: failed ? { code: "start_failed", message: row.error_message ?? "It failed in the original" } : null,
      updatedAt: row.updated_at * 1000,
      statusSince: now,
      lastActiveAt: Math.max(createdAt, (row.last_active_at ?? 0) * 1000),
      keepaliveUntil: row.keepalive_until == null ? null : row.keepalive_until * 1000,
    },
  ];
}

function toPolicy(row: OriginalSandbox) {
  return {
    ...defaultPolicy,
    ports: row.ports,
    // Its image is that of all of them, which SANDBOXD_IMAGE names.
    memoryHigh: row.memory_high ?? defaultPolicy.memoryHigh,
    visibility: row.visibility === "private" ? ("private" as const) : ("public" as const),
    idlePolicy: row.idle_policy === "always_on" ? ("always_on" as const) : ("sleep" as const),
    external: {
      userId: row.external_user_id ?? null,
      projectId: row.external_project_id ?? null,
      workspaceId: row.external_workspace_id ?? null,
    },
  };
}

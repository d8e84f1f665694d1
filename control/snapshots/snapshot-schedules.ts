import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import { NextTime } from "../sandboxes/next-time.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";
import type { SnapshotPolicy } from "./snapshot-policy.ts";
import { takeSnapshot } from "./take-snapshot.ts";

type Entry = { readonly policy: SnapshotPolicy; readonly since: number; next: NextTime | "unknown" };

/** A next time takes milliseconds to find. */
const foundPerTurn = 50;

/** Takes snapshots of sandboxes when their policies say so. What was due while control was away is taken once. */
export class SnapshotSchedules {
  readonly #use: Collaborators;
  readonly #entries = new Map<SandboxId, Entry>();
  readonly #onChange = (id: SandboxId, sandbox: Sandbox | undefined) => this.#learn(id, sandbox);

  constructor(use: Collaborators) {
    this.#use = use;
    for (const sandbox of use.store.all()) this.#learn(sandbox.id, sandbox, this.#lastOf(sandbox.id));
    use.records.on("change", this.#onChange);
  }

  /** Does what is due now, and resolves when all of it has ended. */
  async turn(): Promise<void> {
    const now = this.#use.now();
    const due: SandboxId[] = [];
    let found = 0;
    for (const [id, entry] of this.#entries) {
      const { at, timezone } = entry.policy;
      if (entry.next === "unknown" && found++ < foundPerTurn) entry.next = new NextTime(at, timezone, entry.since);
      if (entry.next !== "unknown" && entry.next.isDue(now)) due.push(id);
    }
    for (const id of due) await this.#take(id);
  }

  close(): void {
    this.#use.records.off("change", this.#onChange);
  }

  #lastOf(sandboxId: SandboxId): number {
    const [last] = this.#use.snapshots.store.list({ sandboxId, limit: 1 });
    return last?.createdAt ?? this.#use.now();
  }

  #learn(id: SandboxId, sandbox: Sandbox | undefined, since = this.#use.now()): void {
    const policy = sandbox?.snapshots;
    if (!policy || policy.at.length === 0) this.#entries.delete(id);
    else if (JSON.stringify(this.#entries.get(id)?.policy) !== JSON.stringify(policy))
      this.#entries.set(id, { policy, since, next: "unknown" });
  }

  async #take(id: SandboxId): Promise<void> {
    try {
      await takeSnapshot(this.#use, id, { name: null, cause: "schedule" });
    } catch (error) {
      this.#use.logger.error({ sandbox: id, err: error }, "a scheduled snapshot could not be taken");
    }
  }
}

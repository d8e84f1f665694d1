import type { SandboxStatus, WakeRefusal } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError } from "../api-error.ts";
import { parseByteSize } from "./byte-size.ts";
import type { Sandbox, SandboxPolicy } from "./sandbox.ts";

/** What one external user may have; null: any number. Of memory it is what the sandboxes may take, not what they do. */
export type OwnerRules = {
  readonly sandboxes: number | null;
  readonly running: number | null;
  readonly memoryBytes: number | null;
};

/** One of an owner's sandboxes, those under removal included: they occupy what they do until they are gone. */
export type OwnedSandbox = Pick<Sandbox, "id" | "status" | "memoryMax"> & { readonly isRemoving: boolean };

export type OwnerUse = { readonly sandboxes: number; readonly running: number; readonly memoryBytes: number };

export type Leave =
  | { readonly admitted: true; readonly release: () => void }
  | { readonly admitted: false; readonly refusal: WakeRefusal };

const retryAfterSeconds = 30;
const runs: ReadonlySet<SandboxStatus> = new Set(["creating", "waking", "running", "draining"]);

/**
 * Keeps each external user within its limits. Every answer looks at the rows and takes its place in the same turn, so
 * that of many who ask at once no more come through than there is room for. Nobody is a user: what has no owner has no limit.
 */
export class OwnerLimits {
  readonly rules: OwnerRules;
  readonly #ownedBy: (userId: string) => readonly OwnedSandbox[];
  /** What was let through and may not be seen in its row yet. */
  readonly #rising = new Map<SandboxId, { readonly userId: string; readonly memoryMax: string }>();

  constructor(rules: OwnerRules, ownedBy: (userId: string) => readonly OwnedSandbox[]) {
    this.rules = rules;
    this.#ownedBy = ownedBy;
  }

  useOf(userId: string): OwnerUse {
    return this.#useBut(userId, undefined);
  }

  /** Whether an owner may have this sandbox beside its others. Throws ApiError `forbidden`. */
  checkCount(userId: string | null, id: SandboxId): void {
    const { sandboxes } = this.rules;
    if (userId === null || sandboxes === null || this.#useBut(userId, id).sandboxes < sandboxes) return;
    const message = `This external user may have ${sandboxes} sandboxes`;
    throw new ApiError("forbidden", message, { detail: { limit: "sandboxes" } });
  }

  /**
   * Lets a sandbox come up, if its owner may have it awake beside the others. From then on it counts, until `release` says
   * that its row tells what became of it. What holds memory already, being paused, takes no more of it.
   */
  enter(sandbox: Pick<Sandbox, "id"> & Pick<SandboxPolicy, "external" | "memoryMax">): Leave {
    const { id, external, memoryMax } = sandbox;
    const { userId } = external;
    if (userId === null) return { admitted: true, release: () => {} };
    const refusal = this.#refusal(userId, id, memoryMax);
    if (refusal !== undefined) return { admitted: false, refusal };
    this.#rising.set(id, { userId, memoryMax });
    return { admitted: true, release: () => this.#rising.delete(id) };
  }

  #refusal(userId: string, id: SandboxId, memoryMax: string): WakeRefusal | undefined {
    const { running, memoryBytes } = this.rules;
    if (running === null && memoryBytes === null) return undefined;
    const others = this.#useBut(userId, id);
    if (running !== null && others.running >= running)
      return refusal(`This external user may have ${running} sandboxes awake at a time`);
    if (memoryBytes !== null && others.memoryBytes + parseByteSize(memoryMax) > memoryBytes)
      return refusal(`The sandboxes of this external user that are awake may take ${memoryBytes} bytes of memory`);
    return undefined;
  }

  /** What an owner has, without one sandbox. */
  #useBut(userId: string, id: SandboxId | undefined): OwnerUse {
    const rows = this.#ownedBy(userId).filter((row) => row.id !== id);
    const awake = new Map(rows.filter(({ status }) => runs.has(status)).map((row) => [row.id, row.memoryMax]));
    for (const [other, rising] of this.#rising)
      if (rising.userId === userId && other !== id) awake.set(other, rising.memoryMax);
    const paused = rows.filter((row) => row.status === "paused" && !awake.has(row.id));
    const holding = [...awake.values(), ...paused.map(({ memoryMax }) => memoryMax)];
    return {
      sandboxes: rows.filter(({ isRemoving }) => !isRemoving).length,
      running: awake.size,
      memoryBytes: holding.reduce((sum, size) => sum + parseByteSize(size), 0),
    };
  }
}

function refusal(message: string): WakeRefusal {
  return { code: "too_many_requests", message, retryAfterSeconds };
}

import type { SandboxId } from "#contract/sandbox-id.ts";
import type { SandboxSpec } from "../sandbox-engine.ts";

/**
 * The containers that were seen or made, each with the specification that it is made of: nothing can change that but a
 * removal, which is told. So a wake does not look before it starts. What a container was made of is known beyond its
 * removal by somebody else, to make it again.
 */
export class KnownContainers {
  readonly #made = new Map<SandboxId, { readonly hash: string; readonly spec: SandboxSpec }>();
  readonly #present = new Set<SandboxId>();

  /** Whether a container of this specification is there, by what was last heard. */
  has({ id }: SandboxSpec, hash: string): boolean {
    return this.#present.has(id) && this.#made.get(id)?.hash === hash;
  }

  learn(spec: SandboxSpec, hash: string): void {
    this.#made.set(spec.id, { hash, spec });
    this.#present.add(spec.id);
  }

  /** Notes that a container is gone. Returns what it was made of. */
  lose(id: SandboxId): SandboxSpec | undefined {
    this.#present.delete(id);
    return this.#made.get(id)?.spec;
  }

  /** Forgets a container that nobody wants again. */
  forget(id: SandboxId): void {
    this.#present.delete(id);
    this.#made.delete(id);
  }

  /** Events are missing. */
  clear(): void {
    this.#present.clear();
  }
}

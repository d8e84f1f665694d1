import type { SandboxId } from "#contract/sandbox-id.ts";
import type { SandboxSpec } from "../sandbox-engine.ts";

/**
 * The containers that were seen or made, each with the specification that it is made of: nothing can change that but a
 * removal, which is told. So a wake does not look before it starts.
 */
export class KnownContainers {
  readonly #known = new Map<SandboxId, { readonly hash: string; readonly spec: SandboxSpec }>();

  /** Whether a container of this specification is there, by what was last heard. */
  has({ id }: SandboxSpec, hash: string): boolean {
    return this.#known.get(id)?.hash === hash;
  }

  learn(spec: SandboxSpec, hash: string): void {
    this.#known.set(spec.id, { hash, spec });
  }

  /** Forgets a container that is gone. Returns what it was made of, to make it again. */
  forget(id: SandboxId): SandboxSpec | undefined {
    const known = this.#known.get(id);
    this.#known.delete(id);
    return known?.spec;
  }

  /** Events are missing. */
  clear(): void {
    this.#known.clear();
  }
}

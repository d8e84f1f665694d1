import type Docker from "dockerode";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { EngineState } from "../sandbox-engine.ts";
import { statusOf } from "./docker-client.ts";

/** What the daemon says to letting go on what is not paused, or not there. */
const notPaused: readonly (number | undefined)[] = [404, 409, 500];

/**
 * The containers that were seen paused. Nothing about a container changes while it is, so that letting it go on takes
 * one call to the daemon and no look before or after: a visitor waits for this.
 */
export class PausedContainers {
  readonly #states = new Map<SandboxId, EngineState>();

  /** Takes in what was just seen of a container, and returns it. */
  see(state: EngineState): EngineState {
    if (state.state === "paused") this.#states.set(state.id, state);
    else this.#states.delete(state.id);
    return state;
  }

  /** Something happened to a container, by whomever. */
  forget(id: SandboxId): void {
    this.#states.delete(id);
  }

  /** Events are missing. */
  clear(): void {
    this.#states.clear();
  }

  /** Lets one go on; undefined when it was not seen paused or is not paused any more. */
  async resume(id: SandboxId, container: Docker.Container): Promise<EngineState | undefined> {
    const paused = this.#states.get(id);
    if (paused === undefined) return undefined;
    this.#states.delete(id);
    try {
      await container.unpause();
    } catch (error) {
      if (notPaused.includes(statusOf(error))) return undefined;
      throw error;
    }
    return { ...paused, state: "running" };
  }
}

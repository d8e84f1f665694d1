import { join } from "node:path";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { KeyedLock } from "../sandboxes/keyed-lock.ts";
import { Workspace } from "./workspace.ts";

/** The workspaces of a data directory, whether their sandboxes are awake or not. */
export class Workspaces {
  /** What callers change in one workspace is changed one after the other, so that a condition still holds when it is acted upon. */
  readonly changes = new KeyedLock<SandboxId>();
  /** Where what comes is kept for a moment. */
  readonly spool: string;
  readonly #directory: string;

  constructor(dataDirectory: string) {
    this.spool = join(dataDirectory, "spool");
    this.#directory = join(dataDirectory, "workspaces");
  }

  of(id: SandboxId): Workspace {
    return new Workspace(join(this.#directory, id));
  }
}

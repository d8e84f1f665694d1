import type { Logger } from "pino";
import { type DiskQuota, DiskQuotaError } from "../../disks/disk-quota.ts";
import { type EngineDisk, EngineError } from "../sandbox-engine.ts";

/** The limits of workspaces as sandboxes ask for them. One that is in force is remembered: a wake asks for it each time. */
export class WorkspaceDisks {
  readonly #quota: DiskQuota;
  readonly #logger: Logger;
  readonly #inForce = new Map<string, number | null>();
  /** The last change of each workspace that was asked for. */
  readonly #changes = new Map<string, Promise<unknown>>();

  constructor(quota: DiskQuota, logger: Logger) {
    this.#quota = quota;
    this.#logger = logger;
  }

  get detail(): string {
    const { driver, detail } = this.#quota;
    return driver === "none" ? `no quota: ${detail}` : `${driver}: ${detail}`;
  }

  isInForce(id: string, bytes: number | null): boolean {
    return this.#inForce.get(id) === bytes;
  }

  learn(id: string, bytes: number | null): void {
    if (bytes === null || this.#quota.driver !== "none") this.#inForce.set(id, bytes);
  }

  forget(id: string): void {
    this.#inForce.delete(id);
  }

  /** Before a start: it is no reason not to start when a limit cannot be had, and the API tells which one holds. */
  async prepare(id: string, bytes: number | null, sandbox: "at rest" | "running"): Promise<void> {
    try {
      await this.#limit(id, bytes, sandbox);
    } catch (error) {
      if (!(error instanceof DiskQuotaError)) throw error;
      this.#logger.warn({ sandbox: id, reason: error.message }, "a disk keeps its limit");
      this.learn(id, bytes);
    }
  }

  /** Because somebody asks for it, whatever the sandbox does meanwhile. Throws `unsupported` for what cannot be. */
  async set(id: string, bytes: number | null): Promise<void> {
    this.forget(id);
    try {
      await this.#limit(id, bytes, "running");
    } catch (error) {
      if (error instanceof DiskQuotaError) throw new EngineError("unsupported", error.message, { cause: error });
      throw error;
    }
  }

  async replace(id: string, swap: () => Promise<void>): Promise<void> {
    this.forget(id);
    await this.#quota.replace(id, swap);
  }

  async #limit(id: string, bytes: number | null, sandbox: "at rest" | "running"): Promise<void> {
    const before = this.#changes.get(id) ?? Promise.resolve();
    const change = before.then(async () => {
      if (await this.#quota.limit(id, bytes, sandbox)) this.learn(id, bytes);
    });
    const settled = change.catch(() => {});
    this.#changes.set(id, settled);
    await change.finally(() => this.#changes.get(id) === settled && this.#changes.delete(id));
  }

  async use(id: string): Promise<EngineDisk> {
    const use = await this.#quota.use(id);
    return { driver: this.#quota.driver, usedBytes: use?.used ?? null, limitBytes: use?.limit ?? null };
  }
}

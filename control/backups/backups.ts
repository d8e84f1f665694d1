import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import { NextTime } from "../sandboxes/next-time.ts";
import { treeBytes } from "../snapshots/tree-copy.ts";
import type { Database } from "../sqlite/database.ts";
import { type Backup, backupIdAt } from "./backup.ts";
import { BackupFiles, databaseName, workspacesName } from "./backup-files.ts";
import { copyWorkspaces } from "./copy-workspaces.ts";
import { verifyDatabase } from "./verify-database.ts";

export type BackupRules = {
  /** A cron expression of five fields in UTC; null: only when somebody asks. */
  readonly schedule: string | null;
  /** How many there are at most; null: any number. */
  readonly keep: number | null;
  /** Whether workspaces are part of those that the schedule makes. */
  readonly workspaces: boolean;
};

export type BackupPlaces = {
  readonly database: Database;
  readonly dataDirectory: string;
  readonly closing: AbortSignal;
};

export type BackupStatus = {
  readonly last: Backup | null;
  readonly lastError: { readonly time: number; readonly message: string } | null;
  readonly nextAt: number | null;
};

/** Copies of the database, and of workspaces where that is wanted: made while all goes on, looked at, and kept for a while. */
export class Backups {
  readonly rules: BackupRules;
  readonly #use: Collaborators;
  readonly #database: Database;
  readonly #closing: AbortSignal;
  readonly #files: BackupFiles;
  #underWay: Promise<unknown> = Promise.resolve();
  #last: Backup | null = null;
  #lastError: BackupStatus["lastError"] = null;
  #next: NextTime | undefined;

  /** `closing` ends what is being made: control stops. */
  constructor(rules: BackupRules, use: Collaborators, { database, dataDirectory, closing }: BackupPlaces) {
    this.rules = rules;
    this.#use = use;
    this.#database = database;
    this.#closing = closing;
    this.#files = new BackupFiles(dataDirectory);
  }

  /** Sets right what was left, and finds out when the next one is due: one that was due while control was away is made up for. */
  async open(): Promise<void> {
    await this.#files.repair();
    this.#last = (await this.#files.list())[0] ?? null;
    const { schedule } = this.rules;
    if (schedule !== null) this.#next = new NextTime([schedule], "UTC", this.#last?.createdAt ?? this.#use.now());
  }

  status(): BackupStatus {
    return { last: this.#last, lastError: this.#lastError, nextAt: this.#next?.at ?? null };
  }

  /** The newest first. */
  list(): Promise<Backup[]> {
    return this.#files.list();
  }

  /** Makes one when it is due. Never rejects: what failed is in the status. */
  async turn(): Promise<void> {
    if (!this.#next?.isDue(this.#use.now())) return;
    await this.take(this.rules).catch(() => {});
  }

  /** Makes one, after those that are being made. */
  take(what: Pick<BackupRules, "workspaces">): Promise<Backup> {
    const made = this.#underWay.then(() => this.#take(what));
    this.#underWay = made.catch(() => {});
    return made;
  }

  /** Resolves when none is being made. */
  async close(): Promise<void> {
    await this.#underWay;
  }

  async #take({ workspaces }: Pick<BackupRules, "workspaces">): Promise<Backup> {
    const { now, logger } = this.#use;
    const createdAt = now();
    const id = backupIdAt(createdAt);
    try {
      const backup = await this.#make(id, createdAt, workspaces);
      this.#last = backup;
      this.#lastError = null;
      logger.info({ backup: id, bytes: backup.sizeBytes, tookMs: backup.tookMs }, "a backup was made");
      await this.#applyRetention();
      return backup;
    } catch (error) {
      this.#lastError = { time: now(), message: (error as Error).message };
      logger.error({ err: error }, "a backup could not be made");
      await this.#files.discard(id);
      throw error;
    }
  }

  async #make(id: string, createdAt: number, withWorkspaces: boolean): Promise<Backup> {
    const begun = performance.now();
    const directory = await this.#files.begin(id);
    const path = join(directory, databaseName);
    await this.#database.copyTo(path);
    const sandboxes = await verifyDatabase(path);
    const { size: databaseBytes } = await stat(path);
    const copied = withWorkspaces
      ? await copyWorkspaces(this.#use, join(directory, workspacesName), this.#closing)
      : undefined;
    const backup = {
      ...{ id, createdAt, sandboxes, databaseBytes, sizeBytes: await treeBytes(directory) },
      ...{ workspaces: copied === undefined ? null : [...copied.ids], failed: [...(copied?.failed ?? [])] },
      tookMs: Math.round(performance.now() - begun),
    };
    await this.#files.finish(backup);
    return backup;
  }

  async #applyRetention(): Promise<void> {
    const { keep } = this.rules;
    if (keep === null) return;
    for (const { id } of (await this.#files.list()).slice(keep)) await this.#files.remove(id);
  }
}

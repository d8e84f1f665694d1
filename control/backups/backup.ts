import * as decode from "#contract/decode.ts";

const backup = decode.object({
  /** When it was begun, as a name of a directory: `20261124T030000000Z`. */
  id: decode.string,
  /** Epoch milliseconds. */
  createdAt: decode.count,
  tookMs: decode.count,
  databaseBytes: decode.count,
  /** With workspaces, if it has them. */
  sizeBytes: decode.count,
  /** How many sandboxes the database has. */
  sandboxes: decode.count,
  /** The ids of the workspaces in it; null when it was made without. */
  workspaces: decode.nullable(decode.array(decode.string)),
  /** Workspaces that could not be copied, and why. */
  failed: decode.array(decode.object({ id: decode.string, message: decode.string })),
});

/** What a backup says of itself, in `backup.json` beside its database and workspaces. */
export type Backup = ReturnType<typeof backup>;

/** Throws for what is no backup of ours. */
export function decodeBackup(text: string): Backup {
  return decode.decodeJson<Backup>(backup, text);
}

const idForm = /^[0-9]{8}T[0-9]{9}Z$/;

export function backupIdAt(time: number): string {
  return new Date(time).toISOString().replace(/[-:.]/g, "");
}

export function isBackupId(text: string): boolean {
  return idForm.test(text);
}

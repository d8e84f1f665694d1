import { isAbsolute, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { readDataDirectory } from "../config.ts";
import { DataLockedError } from "../sqlite/data-lock.ts";
import { isBackupId } from "./backup.ts";
import { BackupFiles } from "./backup-files.ts";
import { RestoreError, restoreBackup } from "./restore-backup.ts";

const usage = `usage: npm run restore -- [--replace] [--data-dir <path>] <backup>

  <backup>      latest, an id out of <data>/backups, or the path of a backup's directory
  --replace     set the database that is there aside, and put the backup's workspaces in the place of others
  --data-dir    SANDBOXD_DATA_DIR unless said otherwise

Control must be stopped. Exit codes: 0 done, 1 nothing was restored, 2 a wrong call.
`;

const [done, failed, wrongCall] = [0, 1, 2];

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    return complain(`${(error as Error).message}\n\n${usage}`, wrongCall);
  }
  const { values, positionals } = parsed;
  const [backup, ...more] = positionals;
  if (backup === undefined || more.length > 0) return complain(usage, wrongCall);
  const dataDirectory = values["data-dir"] === undefined ? readDataDirectory() : resolve(values["data-dir"]);
  try {
    const directory = await directoryOf(backup, dataDirectory);
    const { id, sandboxes, workspaces } = await restoreBackup(directory, dataDirectory, { ...values, now: Date.now });
    const others = workspaces === null ? "without workspaces" : `with ${workspaces.length} workspaces`;
    process.stdout.write(
      `Restored ${id} into ${dataDirectory}: ${sandboxes} sandboxes, ${others}. Start control now.\n`,
    );
    return done;
  } catch (error) {
    if (!(error instanceof RestoreError || error instanceof DataLockedError)) throw error;
    return complain(`${error.message}\n`, failed);
  }
}

function parse(args: string[]) {
  const options = { replace: { type: "boolean", default: false }, "data-dir": { type: "string" } } as const;
  return parseArgs({ args, allowPositionals: true, options });
}

async function directoryOf(backup: string, dataDirectory: string): Promise<string> {
  const backups = join(dataDirectory, "backups");
  if (backup === "latest") {
    const [newest] = await new BackupFiles(dataDirectory).list();
    if (newest === undefined) throw new RestoreError(`There is no backup in ${backups}`);
    return join(backups, newest.id);
  }
  return isBackupId(backup) && !isAbsolute(backup) ? join(backups, backup) : resolve(backup);
}

function complain(text: string, code: number): number {
  process.stderr.write(text);
  return code;
}

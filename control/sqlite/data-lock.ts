import { mkdirSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";

/** Another control has the data directory. */
export class DataLockedError extends Error {
  override readonly name = "DataLockedError";
}

/**
 * Takes a data directory for this process alone and returns what lets go of it. The lock is the operating system's lock
 * on the file of a tiny database, so it ends with the process however that ends. Throws DataLockedError.
 */
export function lockDataDirectory(directory: string): () => void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const connection = new Sqlite(join(directory, "control.lock"), { timeout: 0 });
  try {
    connection.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    connection.close();
    if ((cause as { code?: string }).code !== "SQLITE_BUSY") throw cause;
    throw new DataLockedError(`Another control runs on this data directory (SANDBOXD_DATA_DIR): ${directory}`, {
      cause,
    });
  }
  return () => {
    connection.close();
  };
}

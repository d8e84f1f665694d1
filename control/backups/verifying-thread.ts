import { parentPort, workerData } from "node:worker_threads";
import Sqlite from "better-sqlite3";

const connection = new Sqlite(workerData as string, { fileMustExist: true });
try {
  // Without a log of its own beside it a copy is one file.
  connection.pragma("journal_mode = DELETE");
  const found = connection.pragma("integrity_check", { simple: true });
  if (found !== "ok") throw new Error(`The database is damaged: ${String(found).slice(0, 200)}`);
  const astray = connection.pragma("foreign_key_check") as readonly unknown[];
  if (astray.length > 0) throw new Error(`The database has ${astray.length} rows that belong to nothing`);
  parentPort!.postMessage(connection.prepare("SELECT count(*) FROM sandboxes").pluck().get());
} finally {
  connection.close();
}

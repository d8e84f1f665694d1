import { Worker } from "node:worker_threads";

/**
 * Opens a database file for itself and has SQLite look at all of it, beside this thread. Returns how many sandboxes it has.
 * Throws for one that cannot be relied on.
 */
export function verifyDatabase(path: string): Promise<number> {
  const worker = new Worker(new URL("./verifying-thread.ts", import.meta.url), { workerData: path });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("The look at the database ended early")));
  });
}

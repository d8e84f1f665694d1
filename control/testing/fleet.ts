import { join } from "node:path";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { newSandbox } from "../sandboxes/sandbox.ts";
import { Database } from "../sqlite/database.ts";
import { SandboxStore } from "../sqlite/sandbox-store.ts";
import { policy } from "./fixture.ts";

/** Puts sandboxes into a data directory as a machine leaves them that was switched off: every fifth was running. */
export function putFleet(directory: string, count: number): void {
  const database = new Database(join(directory, "state", "sandboxd.db"), () => {});
  const store = new SandboxStore(database);
  database.transaction(() => {
    for (let n = 0; n < count; n++) {
      const labels = { n: `${n % 100}` };
      const sandbox = newSandbox(newSandboxId(), { ...policy, cmd: ["node", "server.js"], labels }, n);
      const since = n % 5 === 0 ? n : null;
      store.put({
        ...sandbox,
        ...{ status: since === null ? "stopped" : "running", startedAt: since, awakeSince: since },
      });
      store.putLabels(sandbox);
    }
  });
  database.close();
}

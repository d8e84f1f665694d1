import { join } from "node:path";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { newSandbox } from "../sandboxes/sandbox.ts";
import { Database } from "../sqlite/database.ts";
import { SandboxStore } from "../sqlite/sandbox-store.ts";
import { policy } from "./fixture.ts";

/** Fills an empty data directory as a machine leaves it that was switched off: a fifth of the sandboxes was running. */
export function putSandboxes(directory: string, count: number): void {
  const database = new Database(join(directory, "state", "sandboxd.db"), () => {});
  const store = new SandboxStore(database);
  database.transaction(() => {
    for (let n = 0; n < count; n++) {
      const sandbox = newSandbox(
        newSandboxId(),
        { ...policy, cmd: ["node", "server.js"], labels: { n: `${n % 100}` } },
        n,
      );
      const isUp = n % 5 === 0;
      const life = {
        status: isUp ? "running" : "stopped",
        startedAt: isUp ? n : null,
        awakeSince: isUp ? n : null,
      } as const;
      store.put({ ...sandbox, ...life });
      store.putLabels(sandbox);
    }
  });
  database.close();
}

import type { Database } from "./database.ts";

/** The workers of gateways that may hold connections, over a crash of control. */
export class GatewayWorkerStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  ids(): string[] {
    return this.#database.all<{ id: string }>("SELECT id FROM gateway_workers").map(({ id }) => id);
  }

  add(id: string): void {
    this.#database.transaction(() => this.#database.run("INSERT OR IGNORE INTO gateway_workers (id) VALUES (?)", id));
  }

  remove(id: string): void {
    this.#database.transaction(() => this.#database.run("DELETE FROM gateway_workers WHERE id = ?", id));
  }
}

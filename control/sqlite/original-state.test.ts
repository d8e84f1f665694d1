import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import t from "tap";
import { originalIds, writeOriginalState } from "../testing/original-state.ts";
import { Database } from "./database.ts";
import { OriginalState, setOriginalAside } from "./original-state.ts";

const directory = mkdtempSync(join(tmpdir(), "original-"));
t.teardown(() => rmSync(directory, { recursive: true }));

t.test("OriginalState is there until it is dropped, whenever control was killed", async (t) => {
  const path = join(directory, "killed.db");
  writeOriginalState(path);
  new Database(path, () => {}).close();
  const database = new Database(path, () => {});
  t.teardown(() => database.close());
  const original = new OriginalState(database);
  t.equal(original.isThere, true);
  t.match(original.sandboxes(), [
    { id: originalIds.running, ports: [3000, 5173] },
    { ports: [8000] },
    { ports: [3000] },
  ]);
  t.match(original.owners(), [{ external_user_id: "ada" }, { external_user_id: "eve" }]);
  database.transaction(() => original.drop());
  t.equal(new OriginalState(database).isThere, false);
});

t.test("OriginalState reads what an early version of the original wrote", async (t) => {
  const path = join(directory, "early.db");
  const connection = new Sqlite(path);
  connection.exec(`
    CREATE TABLE migration (id INTEGER PRIMARY KEY);
    CREATE TABLE sandbox (id TEXT PRIMARY KEY, status TEXT, image TEXT, memory_high TEXT, error_message TEXT,
      created_at INTEGER, updated_at INTEGER);
    CREATE TABLE sandbox_port (sandbox_id TEXT REFERENCES sandbox (id), port INTEGER);
    INSERT INTO sandbox VALUES ('${originalIds.running}', 'stopped', 'x', '4G', NULL, 1, 2);
  `);
  connection.close();
  const database = new Database(path, () => {});
  t.teardown(() => database.close());
  const original = new OriginalState(database);
  t.match(original.sandboxes(), [{ id: originalIds.running, status: "stopped", ports: [] }]);
  t.same(original.owners(), []);
});

t.test("setOriginalAside() touches no database but the original's", async (t) => {
  const connection = new Sqlite(join(directory, "other.db"));
  connection.exec("CREATE TABLE sandbox (x)");
  setOriginalAside(connection);
  t.same(connection.prepare("SELECT name FROM sqlite_schema").pluck().all(), ["sandbox"]);
  connection.close();
});

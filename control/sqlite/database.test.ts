import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import t from "tap";
import { Database } from "./database.ts";

const directory = mkdtempSync(join(tmpdir(), "database-"));
t.teardown(() => rmSync(directory, { recursive: true }));

function open(path: string) {
  let transactions = 0;
  const database = new Database(path, () => transactions++);
  return { database, transactions: () => transactions };
}

t.test("Database opens its file in WAL mode with foreign keys, in a directory it makes", async (t) => {
  const { database } = open(join(directory, "new", "state.db"));
  t.teardown(() => database.close());
  t.same(database.get("PRAGMA journal_mode"), { journal_mode: "wal" });
  t.same(database.get("PRAGMA foreign_keys"), { foreign_keys: 1 });
  t.same(database.get("PRAGMA synchronous"), { synchronous: 1 });
  t.same(database.get("PRAGMA busy_timeout"), { timeout: 5000 });
});

t.test("transaction() counts once, whatever is nested in it, and undoes everything on a throw", async (t) => {
  const { database, transactions } = open(":memory:");
  t.teardown(() => database.close());
  const keep = "INSERT INTO kept_workspaces (sandbox_id, kept_at) VALUES (?, 0)";
  database.transaction(() => database.transaction(() => database.run(keep, "a")));
  t.equal(transactions(), 1);
  const broken = () =>
    database.transaction(() => {
      database.run(keep, "b");
      throw new Error("broken");
    });
  t.throws(broken, { message: "broken" });
  t.equal(transactions(), 1);
  t.same(database.all("SELECT sandbox_id FROM kept_workspaces"), [{ sandbox_id: "a" }]);
});

t.test("Database refuses a file that is no database", async (t) => {
  const path = join(directory, "nonsense.db");
  writeFileSync(path, "not a database, but long enough to be looked at ".repeat(10));
  t.throws(() => open(path), { code: "SQLITE_NOTADB" });
});

t.test("Database refuses what a newer program wrote", async (t) => {
  const path = join(directory, "newer.db");
  open(path).database.close();
  const connection = new Sqlite(path);
  connection.exec("INSERT INTO schema_migrations VALUES (9999, '9999-future.sql', 0)");
  connection.close();
  t.throws(() => open(path), { message: /9999-future.sql, which this program does not know/ });
});

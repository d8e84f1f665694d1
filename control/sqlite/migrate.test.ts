import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import t, { type Test } from "tap";
import { migrate } from "./migrate.ts";

function setUp(t: Test, files: Record<string, string>) {
  const directory = mkdtempSync(join(tmpdir(), "migrate-"));
  const connection = new Sqlite(":memory:");
  t.teardown(() => {
    connection.close();
    rmSync(directory, { recursive: true });
  });
  const write = (more: Record<string, string>) => {
    for (const [name, sql] of Object.entries(more)) writeFileSync(join(directory, name), sql);
  };
  write(files);
  const names = () => connection.prepare("SELECT name FROM schema_migrations ORDER BY number").pluck().all();
  return { connection, directory, write, names };
}

t.test("migrate() applies what is new, in order and once", async (t) => {
  const { connection, directory, write, names } = setUp(t, { "0001-a.sql": "CREATE TABLE a (x)" });
  migrate(connection, directory);
  write({ "0002-b.sql": "ALTER TABLE a ADD COLUMN y" });
  migrate(connection, directory);
  migrate(connection, directory);
  t.same(names(), ["0001-a.sql", "0002-b.sql"]);
  t.same(connection.prepare("SELECT name FROM pragma_table_info('a')").pluck().all(), ["x", "y"]);
});

t.test("migrate() leaves nothing of a migration that fails", async (t) => {
  const { connection, directory, names } = setUp(t, { "0001-a.sql": "CREATE TABLE a (x); CREATE TABLE a (x)" });
  t.throws(() => migrate(connection, directory), { message: /already exists/ });
  t.same(names(), []);
  t.same(connection.prepare("SELECT name FROM sqlite_master WHERE name = 'a'").all(), []);
});

t.test("migrate() refuses a gap in the numbers", async (t) => {
  const { connection, directory } = setUp(t, { "0001-a.sql": "SELECT 1", "0003-c.sql": "SELECT 1" });
  t.throws(() => migrate(connection, directory), { message: /0003-c.sql is out of sequence/ });
});

t.test("migrate() knows its own migrations", async (t) => {
  const { connection, names } = setUp(t, {});
  migrate(connection);
  t.match(names(), ["0001-sandboxes.sql"]);
});

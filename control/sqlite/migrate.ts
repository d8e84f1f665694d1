import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type Sqlite from "better-sqlite3";

const directory = join(import.meta.dirname, "migrations");

/**
 * Applies every `NNNN-name.sql` that is not yet applied, in order, each in its own transaction. Throws when the database
 * has a migration that this program does not know: an older program must not write to it.
 */
export function migrate(connection: Sqlite.Database, from = directory): void {
  connection.exec(
    "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT",
  );
  const known = readMigrations(from);
  const applied = connection.prepare("SELECT number, name FROM schema_migrations ORDER BY number").all() as Applied[];
  const foreign = applied.find(({ name }) => !known.some((migration) => migration.name === name));
  if (foreign !== undefined)
    throw new Error(`The database has migration ${foreign.name}, which this program does not know`);
  const last = applied.at(-1)?.number ?? 0;
  const record = connection.prepare("INSERT INTO schema_migrations (number, name, applied_at) VALUES (?, ?, ?)");
  for (const { number, name, sql } of known) {
    if (number <= last) continue;
    connection
      .transaction(() => {
        connection.exec(sql);
        record.run(number, name, Date.now());
      })
      .immediate();
  }
}

type Applied = { readonly number: number; readonly name: string };
type Migration = Applied & { readonly sql: string };

function readMigrations(from: string): readonly Migration[] {
  const names = readdirSync(from)
    .filter((name) => name.endsWith(".sql"))
    .sort();
  return names.map((name, index) => {
    const number = Number(/^([0-9]{4})-/.exec(name)?.[1]);
    if (number !== index + 1) throw new Error(`Migration ${name} is out of sequence: expected number ${index + 1}`);
    return { number, name, sql: readFileSync(join(from, name), "utf8") };
  });
}

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Sqlite from "better-sqlite3";

/** The columns of the original that matter here, after all of its migrations. */
const schema = `
  CREATE TABLE migration (id INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL);
  CREATE TABLE sandbox (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, image TEXT NOT NULL, workspace_img TEXT NOT NULL,
    workspace_mnt TEXT NOT NULL, container_id TEXT, cgroup_path TEXT, memory_high TEXT NOT NULL DEFAULT '4G',
    error_message TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    last_active_at INTEGER NOT NULL DEFAULT 0, stopped_at INTEGER, keepalive_until INTEGER, container_ip TEXT,
    external_user_id TEXT, external_project_id TEXT, external_workspace_id TEXT,
    visibility TEXT NOT NULL DEFAULT 'public', git_remote_url TEXT, idle_policy TEXT NOT NULL DEFAULT 'sleep'
  );
  CREATE INDEX sandbox_status_idx ON sandbox (status);
  CREATE TABLE sandbox_port (
    sandbox_id TEXT NOT NULL REFERENCES sandbox (id) ON DELETE CASCADE, port INTEGER NOT NULL,
    PRIMARY KEY (sandbox_id, port)
  );
  CREATE TABLE workspace_owner (
    sandbox_id TEXT PRIMARY KEY, external_user_id TEXT NOT NULL, external_project_id TEXT, external_workspace_id TEXT,
    created_at INTEGER NOT NULL
  );
  CREATE TABLE audit_log (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor_kind TEXT, action TEXT);
  CREATE INDEX audit_log_at_idx ON audit_log (at);
  CREATE TABLE snapshot (id TEXT PRIMARY KEY, name TEXT NOT NULL);
  INSERT INTO migration VALUES (1, '0001_init.sql', 1780000000);
  INSERT INTO audit_log (at, actor_kind, action) VALUES (1780000000, 'operator', 'sandbox.create');
`;

export const originalIds = {
  running: "01JB2Q8Z6X3V9K4M7N0P5R1S2A",
  alwaysOn: "01JB2Q8Z6X3V9K4M7N0P5R1S2B",
  failed: "01JB2Q8Z6X3V9K4M7N0P5R1S2C",
  /** Its workspace is there, its sandbox is not. */
  removed: "01JB2Q8Z6X3V9K4M7N0P5R1S2D",
} as const;

/** A database as the original left it. */
export function writeOriginalState(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const connection = new Sqlite(path);
  connection.pragma("journal_mode = WAL");
  connection.exec(schema);
  const sandbox = connection.prepare(`
    INSERT INTO sandbox (id, status, image, workspace_img, workspace_mnt, memory_high, error_message, created_at,
      updated_at, last_active_at, keepalive_until, external_user_id, external_project_id, visibility, idle_policy)
    VALUES (?, ?, 'sandboxd-base:1.0.0', '/w', '/w', ?, ?, 1780000000, 1780000100, ?, ?, ?, ?, ?, ?)`);
  const { running, alwaysOn, failed, removed } = originalIds;
  sandbox.run(running, "running", "2G", null, 1_780_000_200, 4_000_000_000, "ada", "shop", "private", "sleep");
  sandbox.run(alwaysOn, "running", "4G", null, 0, null, "local", null, "public", "always_on");
  sandbox.run(failed, "error", "4G", "no space left", 0, null, "local", null, "public", "sleep");
  const port = connection.prepare("INSERT INTO sandbox_port VALUES (?, ?)");
  for (const [id, number] of [
    [running, 5173],
    [running, 3000],
    [alwaysOn, 8000],
    [failed, 3000],
  ] as const)
    port.run(id, number);
  const owner = connection.prepare("INSERT INTO workspace_owner VALUES (?, ?, NULL, NULL, 1780000000)");
  owner.run(running, "ada");
  owner.run(removed, "eve");
  connection.close();
}

-- Times are epoch milliseconds, lists and records are JSON.
CREATE TABLE sandboxes (
  id TEXT PRIMARY KEY,
  status TEXT NOT NULL,
  reason TEXT,
  generation INTEGER NOT NULL,
  run INTEGER NOT NULL,
  policy TEXT NOT NULL,
  external_user_id TEXT,
  external_project_id TEXT,
  external_workspace_id TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  status_since INTEGER NOT NULL,
  started_at INTEGER,
  awake_since INTEGER,
  last_active_at INTEGER NOT NULL,
  last_navigation_at INTEGER,
  keepalive_until INTEGER,
  lease_until INTEGER,
  crashes INTEGER NOT NULL,
  retry_at INTEGER,
  recent_starts_ms TEXT NOT NULL,
  -- 'keep' or 'workspace' while a removal is under way: the next start finishes it.
  removing TEXT
) STRICT;

CREATE INDEX sandboxes_by_age ON sandboxes (created_at DESC, id DESC);
CREATE INDEX sandboxes_by_status ON sandboxes (status, created_at DESC, id DESC);
CREATE INDEX sandboxes_by_user ON sandboxes (external_user_id, created_at DESC, id DESC);
CREATE INDEX sandboxes_by_project ON sandboxes (external_project_id, created_at DESC, id DESC);

CREATE TABLE sandbox_labels (
  sandbox_id TEXT NOT NULL REFERENCES sandboxes (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (sandbox_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX sandbox_labels_by_value ON sandbox_labels (key, value, sandbox_id);

-- Workspaces that outlived their sandbox, with the one who may have them back.
CREATE TABLE kept_workspaces (
  sandbox_id TEXT PRIMARY KEY,
  external_user_id TEXT,
  kept_at INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sandbox_id TEXT NOT NULL,
  time INTEGER NOT NULL,
  kind TEXT NOT NULL,
  cause TEXT NOT NULL,
  from_status TEXT,
  to_status TEXT,
  class TEXT,
  outcome TEXT,
  duration_ms INTEGER,
  detail TEXT
) STRICT;

CREATE INDEX events_by_sandbox ON events (sandbox_id, id DESC);
CREATE INDEX events_by_time ON events (time);

CREATE TABLE idempotency_keys (
  caller TEXT NOT NULL,
  key TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  sandbox_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  -- NULL until the first answer is known.
  status INTEGER,
  body TEXT,
  PRIMARY KEY (caller, key)
) STRICT;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

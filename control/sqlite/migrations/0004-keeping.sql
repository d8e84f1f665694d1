-- Whose a kept workspace is, in full.
ALTER TABLE kept_workspaces ADD COLUMN external_project_id TEXT;
ALTER TABLE kept_workspaces ADD COLUMN external_workspace_id TEXT;

CREATE INDEX kept_workspaces_by_user ON kept_workspaces (external_user_id);
CREATE INDEX kept_workspaces_by_project ON kept_workspaces (external_project_id);

-- Copies of workspaces; each is a directory of its id's name. They outlive the sandbox that they were taken of.
CREATE TABLE snapshots (
  id TEXT PRIMARY KEY,
  sandbox_id TEXT NOT NULL,
  name TEXT,
  -- 'operator' or 'schedule'.
  cause TEXT NOT NULL,
  external_user_id TEXT,
  external_project_id TEXT,
  external_workspace_id TEXT,
  size_bytes INTEGER NOT NULL,
  stood_still_ms INTEGER NOT NULL,
  -- What could not be copied, the first of it by its path.
  skipped TEXT NOT NULL,
  skipped_count INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX snapshots_by_age ON snapshots (created_at DESC, id DESC);
CREATE INDEX snapshots_by_sandbox ON snapshots (sandbox_id, created_at DESC, id DESC);
CREATE INDEX snapshots_by_user ON snapshots (external_user_id);
CREATE INDEX snapshots_by_project ON snapshots (external_project_id);

-- Snapshots that sandboxes are made from by a name. Retention leaves them alone.
CREATE TABLE templates (
  name TEXT PRIMARY KEY,
  snapshot_id TEXT NOT NULL REFERENCES snapshots (id),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX templates_by_snapshot ON templates (snapshot_id);

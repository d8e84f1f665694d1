-- What signs session cookies and share tokens.
CREATE TABLE secrets (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

-- Share links. Of the token there is a hash alone.
CREATE TABLE shares (
  id TEXT PRIMARY KEY,
  sandbox_id TEXT NOT NULL REFERENCES sandboxes (id) ON DELETE CASCADE,
  token_hash TEXT NOT NULL,
  label TEXT,
  port INTEGER,
  max_uses INTEGER,
  uses INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  last_used_at INTEGER
) STRICT;

CREATE INDEX shares_by_sandbox ON shares (sandbox_id, id);
CREATE INDEX shares_by_expiry ON shares (expires_at);

-- Kept until everything that they meet has expired; NULL: until they are taken back.
CREATE TABLE revocations (
  id TEXT PRIMARY KEY,
  revocation TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  until INTEGER
) STRICT;

CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time INTEGER NOT NULL,
  actor_kind TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  ip TEXT,
  action TEXT NOT NULL,
  target TEXT,
  outcome TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;

CREATE INDEX audit_log_by_time ON audit_log (time);
CREATE INDEX audit_log_by_target ON audit_log (target, id);
CREATE INDEX audit_log_by_actor ON audit_log (actor_name, id);

-- Retention alone may delete, and only what is older than the time that it says here within its transaction.
CREATE TABLE audit_retention (before INTEGER NOT NULL) STRICT;
INSERT INTO audit_retention (before) VALUES (0);

CREATE TRIGGER audit_log_is_never_changed BEFORE UPDATE ON audit_log
BEGIN
  SELECT RAISE(ABORT, 'the audit log is never changed');
END;

-- What replaces a row is no deletion to a trigger.
CREATE TRIGGER audit_log_is_never_replaced BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'the audit log is never changed');
END;

CREATE TRIGGER audit_log_is_never_shortened BEFORE DELETE ON audit_log
WHEN OLD.time >= (SELECT before FROM audit_retention)
BEGIN
  SELECT RAISE(ABORT, 'the audit log is never shortened');
END;

ALTER TABLE events ADD COLUMN credential TEXT;

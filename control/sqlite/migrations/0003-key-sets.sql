-- What a key set's URL answered last that was good, public keys alone: a start of control while it is away shuts nobody out.
CREATE TABLE key_sets (
  url TEXT PRIMARY KEY,
  keys TEXT NOT NULL,
  read_at INTEGER NOT NULL
) STRICT;

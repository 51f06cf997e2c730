CREATE TABLE IF NOT EXISTS agent_spawning (
    agent_id TEXT PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS lineages (
    instance_id TEXT PRIMARY KEY,
    parent_id   TEXT,
    outlive     INTEGER NOT NULL,
    until       INTEGER,
    document    TEXT,
    log_index   INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS lineages_of_parent ON lineages (parent_id);
CREATE INDEX IF NOT EXISTS lineages_of_subject ON lineages (document);
CREATE TABLE IF NOT EXISTS instance_end_reasons (
    instance_id TEXT PRIMARY KEY,
    reason      TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS instance_svids (
    instance_id TEXT PRIMARY KEY,
    expires_at  INTEGER NOT NULL
) STRICT;

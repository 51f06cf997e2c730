CREATE TABLE IF NOT EXISTS fences (
    name   TEXT PRIMARY KEY,
    epoch  INTEGER NOT NULL,
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS nodes (
    node_id    TEXT PRIMARY KEY,
    proof      TEXT NOT NULL,
    subject    TEXT,
    joined_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    evicted_at INTEGER,
    log_index  INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS node_tokens (
    digest     TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS node_authorities (
    fingerprint TEXT PRIMARY KEY,
    certificate BLOB NOT NULL,
    log_index   INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS instance_nodes (
    instance_id TEXT PRIMARY KEY,
    node_id     TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS instances_of_node ON instance_nodes (node_id);
CREATE TABLE IF NOT EXISTS workload_keys (
    thumbprint  TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS workload_keys_by_end ON workload_keys (expires_at);
CREATE TABLE IF NOT EXISTS instance_ends (
    instance_id TEXT PRIMARY KEY,
    ended_at    INTEGER NOT NULL
) STRICT;

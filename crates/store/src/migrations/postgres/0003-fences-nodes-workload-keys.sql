CREATE TABLE IF NOT EXISTS fences (
    name   TEXT COLLATE "C" PRIMARY KEY,
    epoch  BIGINT NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    until  BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS nodes (
    node_id    TEXT COLLATE "C" PRIMARY KEY,
    proof      TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C",
    joined_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    evicted_at BIGINT,
    log_index  BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS node_tokens (
    digest     TEXT COLLATE "C" PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE TABLE IF NOT EXISTS node_authorities (
    fingerprint TEXT COLLATE "C" PRIMARY KEY,
    certificate BYTEA NOT NULL,
    log_index   BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS instance_nodes (
    instance_id TEXT COLLATE "C" PRIMARY KEY,
    node_id     TEXT COLLATE "C" NOT NULL
);
CREATE INDEX IF NOT EXISTS instances_of_node ON instance_nodes (node_id);
CREATE TABLE IF NOT EXISTS workload_keys (
    thumbprint  TEXT COLLATE "C" PRIMARY KEY,
    instance_id TEXT COLLATE "C" NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS workload_keys_by_end ON workload_keys (expires_at);
CREATE TABLE IF NOT EXISTS instance_ends (
    instance_id TEXT COLLATE "C" PRIMARY KEY,
    ended_at    BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS agent_spawning (
    agent_id TEXT COLLATE "C" PRIMARY KEY,
    document TEXT COLLATE "C" NOT NULL
);
CREATE TABLE IF NOT EXISTS lineages (
    instance_id TEXT COLLATE "C" PRIMARY KEY,
    parent_id   TEXT COLLATE "C",
    outlive     BIGINT NOT NULL,
    until       BIGINT,
    document    TEXT COLLATE "C",
    log_index   BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS lineages_of_parent ON lineages (parent_id);
CREATE INDEX IF NOT EXISTS lineages_of_subject ON lineages (document);
CREATE TABLE IF NOT EXISTS instance_end_reasons (
    instance_id TEXT COLLATE "C" PRIMARY KEY,
    reason      TEXT COLLATE "C" NOT NULL
);
CREATE TABLE IF NOT EXISTS instance_svids (
    instance_id TEXT COLLATE "C" PRIMARY KEY,
    expires_at  BIGINT NOT NULL
);

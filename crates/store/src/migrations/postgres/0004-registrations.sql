CREATE TABLE IF NOT EXISTS registrations (
    agent_id TEXT COLLATE "C" PRIMARY KEY,
    terms    TEXT COLLATE "C" NOT NULL,
    owner    TEXT COLLATE "C"
);
CREATE TABLE IF NOT EXISTS retirements (
    agent_id  TEXT COLLATE "C" PRIMARY KEY,
    log_index BIGINT NOT NULL
);

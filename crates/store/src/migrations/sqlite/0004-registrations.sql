CREATE TABLE IF NOT EXISTS registrations (
    agent_id TEXT PRIMARY KEY,
    terms    TEXT NOT NULL,
    owner    TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS retirements (
    agent_id  TEXT PRIMARY KEY,
    log_index INTEGER NOT NULL
) STRICT;

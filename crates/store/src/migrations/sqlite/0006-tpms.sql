CREATE TABLE IF NOT EXISTS node_tpms (
    digest    TEXT PRIMARY KEY,
    pcrs      TEXT NOT NULL,
    log_index INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS node_tpm_makers (
    fingerprint TEXT PRIMARY KEY,
    pcrs        TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS node_tpm_evidence (
    node_id  TEXT PRIMARY KEY,
    evidence TEXT NOT NULL
) STRICT;

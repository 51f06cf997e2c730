CREATE TABLE IF NOT EXISTS node_tpms (
    digest    TEXT PRIMARY KEY,
    pcrs      TEXT NOT NULL,
    log_index BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS node_tpm_makers (
    fingerprint TEXT PRIMARY KEY,
    pcrs        TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS node_tpm_evidence (
    node_id  TEXT PRIMARY KEY,
    evidence TEXT NOT NULL
);

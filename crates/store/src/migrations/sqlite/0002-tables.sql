CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS policies (
    digest    TEXT PRIMARY KEY,
    bundle    TEXT NOT NULL,
    version   INTEGER NOT NULL,
    log_index INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS agents (
    agent_id        TEXT PRIMARY KEY,
    manifest_id     TEXT NOT NULL,
    manifest_digest TEXT NOT NULL,
    expires_at      INTEGER NOT NULL,
    log_index       INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS manifests (
    digest   TEXT PRIMARY KEY,
    envelope BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS instances (
    instance_id     TEXT PRIMARY KEY,
    agent_id        TEXT NOT NULL,
    spiffe_id       TEXT NOT NULL,
    manifest_digest TEXT NOT NULL,
    evidence        TEXT NOT NULL,
    running         INTEGER NOT NULL,
    agent_key       TEXT,
    opened_at       INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS roots (
    jti         TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL,
    document    TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS roots_by_instance ON roots (instance_id, created_at);
CREATE TABLE IF NOT EXISTS approvals (
    approval_id TEXT PRIMARY KEY,
    opened_at   INTEGER NOT NULL,
    answered    INTEGER NOT NULL,
    document    TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS records (
    session_id TEXT PRIMARY KEY,
    record     TEXT NOT NULL,
    log_index  INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS revocations (
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,
    log_index  INTEGER NOT NULL,
    document   TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;
CREATE TABLE IF NOT EXISTS consents (
    consent_id TEXT PRIMARY KEY,
    document   TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS missions (
    digest   TEXT NOT NULL,
    person   TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (digest, person)
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    approval_id TEXT PRIMARY KEY,
    document    TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS erasures (
    person    TEXT PRIMARY KEY,
    subject   TEXT NOT NULL,
    kept      INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    document  TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS agent_federations (
    agent_id     TEXT NOT NULL,
    trust_domain TEXT NOT NULL,
    PRIMARY KEY (agent_id, trust_domain)
) STRICT;
CREATE TABLE IF NOT EXISTS federations (
    trust_domain TEXT PRIMARY KEY,
    relationship TEXT NOT NULL,
    web_roots    TEXT,
    bundle       TEXT,
    log_index    INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS consent_uses (
    consent_id TEXT NOT NULL,
    number     INTEGER NOT NULL,
    jti        TEXT NOT NULL,
    PRIMARY KEY (consent_id, number)
) STRICT;

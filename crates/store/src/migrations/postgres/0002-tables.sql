CREATE TABLE IF NOT EXISTS meta (
    key   TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);
CREATE TABLE IF NOT EXISTS policies (
    digest    TEXT COLLATE "C" PRIMARY KEY,
    bundle    TEXT COLLATE "C" NOT NULL,
    version   BIGINT NOT NULL,
    log_index BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS agents (
    agent_id        TEXT COLLATE "C" PRIMARY KEY,
    manifest_id     TEXT COLLATE "C" NOT NULL,
    manifest_digest TEXT COLLATE "C" NOT NULL,
    expires_at      BIGINT NOT NULL,
    log_index       BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS manifests (
    digest   TEXT COLLATE "C" PRIMARY KEY,
    envelope BYTEA NOT NULL
);
CREATE TABLE IF NOT EXISTS instances (
    instance_id     TEXT COLLATE "C" PRIMARY KEY,
    agent_id        TEXT COLLATE "C" NOT NULL,
    spiffe_id       TEXT COLLATE "C" NOT NULL,
    manifest_digest TEXT COLLATE "C" NOT NULL,
    evidence        TEXT COLLATE "C" NOT NULL,
    running         BIGINT NOT NULL,
    agent_key       TEXT COLLATE "C",
    opened_at       BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS roots (
    jti         TEXT COLLATE "C" PRIMARY KEY,
    instance_id TEXT COLLATE "C" NOT NULL,
    document    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS roots_by_instance ON roots (instance_id, created_at);
CREATE TABLE IF NOT EXISTS approvals (
    approval_id TEXT COLLATE "C" PRIMARY KEY,
    opened_at   BIGINT NOT NULL,
    answered    BIGINT NOT NULL,
    document    TEXT COLLATE "C" NOT NULL
);
CREATE TABLE IF NOT EXISTS records (
    session_id TEXT COLLATE "C" PRIMARY KEY,
    record     TEXT COLLATE "C" NOT NULL,
    log_index  BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS revocations (
    kind       TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    revoked_at BIGINT NOT NULL,
    log_index  BIGINT NOT NULL,
    document   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE TABLE IF NOT EXISTS consents (
    consent_id TEXT COLLATE "C" PRIMARY KEY,
    document   TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS missions (
    digest   TEXT COLLATE "C" NOT NULL,
    person   TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (digest, person)
);
CREATE TABLE IF NOT EXISTS answers (
    approval_id TEXT COLLATE "C" PRIMARY KEY,
    document    TEXT COLLATE "C" NOT NULL
);
CREATE TABLE IF NOT EXISTS erasures (
    person    TEXT COLLATE "C" PRIMARY KEY,
    subject   TEXT COLLATE "C" NOT NULL,
    kept      BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    document  TEXT COLLATE "C" NOT NULL
);
CREATE TABLE IF NOT EXISTS agent_federations (
    agent_id     TEXT COLLATE "C" NOT NULL,
    trust_domain TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (agent_id, trust_domain)
);
CREATE TABLE IF NOT EXISTS federations (
    trust_domain TEXT COLLATE "C" PRIMARY KEY,
    relationship TEXT COLLATE "C" NOT NULL,
    web_roots    TEXT COLLATE "C",
    bundle       TEXT COLLATE "C",
    log_index    BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS consent_uses (
    consent_id TEXT COLLATE "C" NOT NULL,
    number     BIGINT NOT NULL,
    jti        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (consent_id, number)
);

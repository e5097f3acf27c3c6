-- What was granted, to whom, through which client, for which resource. Revoked ones stay until they would have ended.
CREATE TABLE grants (
    id          TEXT PRIMARY KEY,
    tenant      TEXT NOT NULL,
    user_id     TEXT,
    agent       TEXT,
    client      TEXT NOT NULL,
    resource    TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    session     TEXT,
    auth_time   BIGINT,
    role_names  TEXT NOT NULL,
    group_names TEXT NOT NULL,
    code        TEXT,
    created_at  BIGINT NOT NULL,
    used_at     BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    revoked_at  BIGINT,
    revoked_why TEXT
);
CREATE UNIQUE INDEX grants_code ON grants (code);
CREATE INDEX grants_user ON grants (user_id, client, resource);
CREATE INDEX grants_session ON grants (session);
CREATE INDEX grants_client ON grants (client);
CREATE INDEX grants_end ON grants (expires_at);

-- One row for each refresh token: it is rotated once; its successor is kept sealed for the grace.
CREATE TABLE refresh_tokens (
    digest      TEXT PRIMARY KEY,
    grant_id    TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    generation  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    rotated_at  BIGINT,
    successor   {{bytes}}
);
CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_end ON refresh_tokens (expires_at);

-- Ids of assertions that may be used once, until they would have expired anyway.
CREATE TABLE jti_seen (
    issuer      TEXT NOT NULL,
    jti         TEXT NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (issuer, jti)
);
CREATE INDEX jti_seen_end ON jti_seen (expires_at);

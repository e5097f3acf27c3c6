-- Sessions of browsers, by the digest of what is in their cookie.
CREATE TABLE browser_sessions (
    digest       TEXT PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    user_id      TEXT NOT NULL REFERENCES users (id),
    tenant       TEXT NOT NULL,
    -- Of whoever vouched for the person; none for a local account.
    issuer       TEXT,
    subject      TEXT,
    idp_sid      TEXT,
    auth_time    BIGINT NOT NULL,
    amr          TEXT NOT NULL,
    acr          TEXT,
    created_at   BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX browser_sessions_user ON browser_sessions (user_id);
CREATE INDEX browser_sessions_subject ON browser_sessions (tenant, issuer, subject);

-- People who were sent to a provider and have not come back, by the digest of the state that they carry.
CREATE TABLE departures (
    state       TEXT PRIMARY KEY,
    browser     TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    provider    TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    next        TEXT NOT NULL,
    left_at     BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);

-- Logout tokens that were taken (OpenID Connect Back-Channel Logout 1.0 §2.6), until they would have expired.
CREATE TABLE logout_tokens_seen (
    issuer      TEXT NOT NULL,
    jti         TEXT NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (issuer, jti)
);

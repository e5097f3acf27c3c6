-- Keys that wrap keys: one of each tenant is current, older ones still open what they sealed. Wrapped by the root.
CREATE TABLE wrapping_keys (
    id          TEXT PRIMARY KEY,
    tenant      TEXT NOT NULL,
    root        BIGINT NOT NULL,
    wrapped     {{bytes}} NOT NULL,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT
);
CREATE UNIQUE INDEX wrapping_keys_current ON wrapping_keys (tenant) WHERE retired_at IS NULL;

-- Keys that sign tokens. A key is published before it signs, and after it has.
CREATE TABLE signing_keys (
    kid          TEXT PRIMARY KEY,
    state        TEXT NOT NULL CHECK (state IN ('next', 'active', 'retiring', 'removed', 'revoked')),
    public       TEXT NOT NULL,
    private      {{bytes}},
    created_at   BIGINT NOT NULL,
    activated_at BIGINT,
    retired_at   BIGINT,
    ended_at     BIGINT
);
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (state) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (state) WHERE state = 'next';

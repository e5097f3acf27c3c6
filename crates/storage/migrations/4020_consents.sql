-- What a person has allowed a client at one resource. A new consent replaces the one before.
CREATE TABLE consents (
    id             TEXT PRIMARY KEY,
    user_id        TEXT NOT NULL REFERENCES users (id),
    tenant         TEXT NOT NULL,
    client         TEXT NOT NULL,
    client_name    TEXT NOT NULL,
    resource       TEXT NOT NULL,
    -- A JSON array of strings, sorted.
    scopes         TEXT NOT NULL,
    redirect_host  TEXT NOT NULL,
    metadata_hash  TEXT NOT NULL,
    given_at       BIGINT NOT NULL,
    last_used_at   BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    UNIQUE (user_id, client, resource)
);

-- Requests of clients while their people sign in. The id is with the browser; here is its digest.
CREATE TABLE authorize_transactions (
    digest      TEXT PRIMARY KEY,
    request     TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX authorize_transactions_end ON authorize_transactions (expires_at);

-- Codes on the way from the browser to the client: taken once.
CREATE TABLE authorization_codes (
    digest      TEXT PRIMARY KEY,
    request     TEXT NOT NULL,
    approval    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX authorization_codes_end ON authorization_codes (expires_at);

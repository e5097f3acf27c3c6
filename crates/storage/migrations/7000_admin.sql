-- Answers to requests of the admin API that carry an idempotency key: by the digest of caller, operation and key; sealed.
-- Without an answer the request runs, or nobody knows how it ended.
CREATE TABLE admin_answers (
    id          TEXT PRIMARY KEY,
    request     TEXT NOT NULL,
    answer      {{bytes}},
    expires_at  BIGINT NOT NULL
);
CREATE INDEX admin_answers_expiry ON admin_answers (expires_at);

-- Operator's tokens made at the command line, by the digest of their jti. The gateway puts them on record.
CREATE TABLE admin_tokens (
    id          TEXT PRIMARY KEY,
    maker       TEXT NOT NULL,
    made_at     BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    recorded_at BIGINT
);
CREATE INDEX admin_tokens_unrecorded ON admin_tokens (made_at) WHERE recorded_at IS NULL;

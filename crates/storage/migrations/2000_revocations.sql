-- What is no longer good. Rows are only added, until they are over; every replica reads those it has not read yet,
-- in the order of `seq`, so a revocation is taken back by another row and not by deleting the first.
CREATE TABLE revocations (
    seq         {{serial}},
    kind        TEXT NOT NULL
        CHECK (kind IN ('token', 'grant', 'session', 'user', 'agent', 'client', 'key', 'server')),
    id          TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 512),
    -- Of this tenant, of this issuer; NULL is any.
    tenant      TEXT,
    issuer      TEXT,
    -- What was issued before; the end of time is whatever was and will be issued.
    not_before  BIGINT NOT NULL,
    -- When the row is over; NULL is never.
    expires_at  BIGINT,
    -- Takes back what the rows before it say of the same thing.
    lifts       BOOLEAN NOT NULL,
    reason      TEXT NOT NULL,
    revoked_by  TEXT NOT NULL CHECK (length(revoked_by) > 0),
    created_at  BIGINT NOT NULL
);
CREATE INDEX revocations_of ON revocations (kind, id);
CREATE INDEX revocations_over ON revocations (expires_at);

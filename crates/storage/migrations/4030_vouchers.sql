-- What a provider last said of a person who signed in there, and what it is asked with again.
CREATE TABLE vouchers (
    user_id      TEXT PRIMARY KEY REFERENCES users (id),
    tenant       TEXT NOT NULL,
    provider     TEXT NOT NULL,
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    -- Our client id there: a token is good for the client that got it.
    client       TEXT NOT NULL,
    -- The provider's refresh token, sealed; none if it gave none.
    token        {{bytes}},
    -- When it last said that the person is one of its own.
    vouched_at   BIGINT NOT NULL,
    -- Until then one replica asks, and no other.
    asking_until BIGINT NOT NULL
);
CREATE INDEX vouchers_vouched ON vouchers (vouched_at);

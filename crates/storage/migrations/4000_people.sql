-- People. Whoever signs in is one row, found by who vouches for them and under what subject, never by e-mail.
CREATE TABLE users (
    id               TEXT PRIMARY KEY,
    tenant           TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    -- For display only.
    name             TEXT NOT NULL,
    email            TEXT,
    -- JSON arrays of strings, as last read at a sign-in, or as an administrator says.
    roles            TEXT NOT NULL,
    member_of        TEXT NOT NULL,
    created_at       BIGINT NOT NULL,
    disabled_at      BIGINT,
    last_sign_in_at  BIGINT
);
CREATE INDEX users_tenant ON users (tenant, id);

CREATE TABLE user_identities (
    tenant      TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    user_id     TEXT NOT NULL REFERENCES users (id),
    provider    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, issuer, subject)
);
CREATE INDEX user_identities_user ON user_identities (user_id);

-- Accounts with a password of ours. `password` is argon2id in its PHC form; none until the first one is set.
CREATE TABLE local_accounts (
    tenant           TEXT NOT NULL,
    name             TEXT NOT NULL,
    user_id          TEXT NOT NULL UNIQUE REFERENCES users (id),
    password         TEXT,
    password_set_at  BIGINT,
    PRIMARY KEY (tenant, name)
);

-- Links that set a password, once. Kept by the digest of the secret in them.
CREATE TABLE password_links (
    digest      TEXT PRIMARY KEY,
    user_id     TEXT NOT NULL REFERENCES users (id),
    expires_at  BIGINT NOT NULL
);

-- Tries to sign in with a password, counted before the password is looked at, by account and by address.
CREATE TABLE sign_in_tries (
    who         TEXT PRIMARY KEY,
    failures    BIGINT NOT NULL,
    wait_until  BIGINT NOT NULL,
    last_at     BIGINT NOT NULL
);

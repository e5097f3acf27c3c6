-- Agents: software with an identity of its own and a person who answers for it.
CREATE TABLE agents (
    id            TEXT PRIMARY KEY,
    tenant        TEXT NOT NULL,
    name          TEXT NOT NULL,
    owner         TEXT NOT NULL,
    trust         TEXT NOT NULL CHECK (trust IN ('low', 'medium', 'high')),
    -- Of an owner who was disabled: the agent comes back with the owner, and not before.
    status        TEXT NOT NULL CHECK (status IN ('active', 'disabled', 'owner_disabled')),
    -- JSON: names of servers, none for all that policy permits; scopes; for whom it may act; how far that goes.
    servers       TEXT,
    scopes        TEXT NOT NULL,
    may_act_for   TEXT NOT NULL,
    delegation    TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    changed_at    BIGINT NOT NULL,
    expires_at    BIGINT,
    last_used_at  BIGINT
);
CREATE INDEX agents_tenant ON agents (tenant, id);
CREATE INDEX agents_owner ON agents (owner);

-- What an agent proves itself with. Of a key or certificate the public part is kept, of a secret its digest.
CREATE TABLE agent_credentials (
    id            TEXT PRIMARY KEY,
    agent         TEXT NOT NULL REFERENCES agents (id),
    kind          TEXT NOT NULL CHECK (kind IN ('jwk', 'x509', 'spiffe', 'secret', 'api_key')),
    -- JSON.
    public        TEXT,
    digest        TEXT,
    -- JSON, of an API key: the scopes it has at most.
    scopes        TEXT,
    not_before    BIGINT NOT NULL,
    not_after     BIGINT,
    created_at    BIGINT NOT NULL,
    revoked_at    BIGINT,
    last_used_at  BIGINT
);
CREATE INDEX agent_credentials_agent ON agent_credentials (agent, created_at);
CREATE UNIQUE INDEX agent_credentials_digest ON agent_credentials (digest) WHERE digest IS NOT NULL;

-- That a person lets an agent act for them at one resource.
CREATE TABLE agent_consents (
    user_id     TEXT NOT NULL,
    agent       TEXT NOT NULL REFERENCES agents (id),
    resource    TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    given_at    BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (user_id, agent, resource)
);


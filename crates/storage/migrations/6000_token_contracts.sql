-- Token contracts: versions are written once; what changes is their status. `resource` is empty for all resources.
CREATE TABLE token_contracts (
    issuer      TEXT NOT NULL,
    resource    TEXT NOT NULL,
    version     BIGINT NOT NULL CHECK (version > 0),
    status      TEXT NOT NULL CHECK (status IN ('draft', 'shadow', 'enforced', 'retired')),
    document    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT NOT NULL,
    changed_at  BIGINT NOT NULL,
    changed_by  TEXT NOT NULL,
    enforced_at BIGINT,
    PRIMARY KEY (issuer, resource, version)
);
CREATE UNIQUE INDEX token_contracts_enforced ON token_contracts (issuer, resource) WHERE status = 'enforced';
CREATE UNIQUE INDEX token_contracts_shadow ON token_contracts (issuer, resource) WHERE status = 'shadow';

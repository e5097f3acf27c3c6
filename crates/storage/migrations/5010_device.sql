-- Devices that wait for a person to approve them elsewhere (RFC 8628). Both codes are kept as digests.
CREATE TABLE device_codes (
    digest       TEXT PRIMARY KEY,
    user_code    TEXT NOT NULL UNIQUE,
    client       TEXT NOT NULL,
    client_name  TEXT NOT NULL,
    resource     TEXT NOT NULL,
    -- JSON.
    scopes       TEXT NOT NULL,
    came_from    TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied')),
    -- JSON, once it is approved.
    approval     TEXT,
    pause_ms     BIGINT NOT NULL,
    polled_at    BIGINT,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX device_codes_end ON device_codes (expires_at);

-- Guesses at user codes, counted before a code is looked up, by person and by address.
CREATE TABLE device_guesses (
    who         TEXT PRIMARY KEY,
    guesses     BIGINT NOT NULL,
    window_end  BIGINT NOT NULL
);

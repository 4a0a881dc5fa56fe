-- One row a session. Instants are milliseconds since 1970, spans milliseconds.
CREATE TABLE IF NOT EXISTS {table} (
    id BLOB NOT NULL PRIMARY KEY,
    secret BLOB,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    commit_1 BLOB,
    commit_2 BLOB,
    commit_3 BLOB,
    commit_4 BLOB,
    owner BLOB,
    lease_until INTEGER,
    waiting_until INTEGER,
    created_at INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    authenticated_at INTEGER,
    rotated_at INTEGER,
    gone_at INTEGER,
    idle_limit INTEGER NOT NULL,
    absolute_limit INTEGER NOT NULL,
    idle_deadline INTEGER NOT NULL,
    absolute_deadline INTEGER NOT NULL,
    user_id TEXT,
    ip TEXT,
    user_agent TEXT,
    flags INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    data TEXT NOT NULL,
    -- Quarters of an hour: coarse, so that a touch seldom moves the row within the index.
    bucket INTEGER NOT NULL GENERATED ALWAYS AS
        (COALESCE(gone_at, min(idle_deadline, absolute_deadline)) / 900000) STORED
) STRICT;

CREATE INDEX IF NOT EXISTS {table}_bucket ON {name} (bucket);

CREATE INDEX IF NOT EXISTS {table}_user ON {name} (user_id, id) WHERE user_id IS NOT NULL;

-- The living, without what is secret, to be read by people and reports.
CREATE VIEW IF NOT EXISTS {table}_view AS
SELECT
    lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4)
        || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS id,
    user_id,
    ip,
    user_agent,
    flags & 1 AS remember,
    version,
    datetime(created_at / 1000, 'unixepoch') AS created_at,
    datetime(last_seen / 1000, 'unixepoch') AS last_seen,
    datetime(authenticated_at / 1000, 'unixepoch') AS authenticated_at,
    datetime(min(idle_deadline, absolute_deadline) / 1000, 'unixepoch') AS expires_at,
    json_extract(data, '$.data') AS data
FROM {name}
WHERE gone_at IS NULL AND min(idle_deadline, absolute_deadline) > unixepoch() * 1000;

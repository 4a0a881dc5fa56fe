-- One row a session. Instants are milliseconds since 1970, spans milliseconds.
CREATE TABLE IF NOT EXISTS {table} (
    id uuid PRIMARY KEY,
    secret bytea,
    version bigint NOT NULL,
    generation bigint NOT NULL,
    revision bigint NOT NULL,
    commit_1 bytea,
    commit_2 bytea,
    commit_3 bytea,
    commit_4 bytea,
    owner bytea,
    lease_until bigint,
    waiting_until bigint,
    created_at bigint NOT NULL,
    last_seen bigint NOT NULL,
    authenticated_at bigint,
    rotated_at bigint,
    gone_at bigint,
    idle_limit bigint NOT NULL,
    absolute_limit bigint NOT NULL,
    idle_deadline bigint NOT NULL,
    absolute_deadline bigint NOT NULL,
    user_id text,
    ip text,
    user_agent text,
    flags bigint NOT NULL,
    codec bigint NOT NULL,
    data text NOT NULL,
    -- Quarters of an hour: an update that changes no indexed column stays within its page (HOT),
    -- and a touch seldom changes this one.
    bucket bigint NOT NULL GENERATED ALWAYS AS
        (COALESCE(gone_at, LEAST(idle_deadline, absolute_deadline)) / 900000) STORED
) WITH (fillfactor = 70);

CREATE INDEX IF NOT EXISTS {name}_bucket ON {table} (bucket);

CREATE INDEX IF NOT EXISTS {name}_user ON {table} (user_id, id) WHERE user_id IS NOT NULL;

-- The living, without what is secret, to be read by people and reports.
CREATE OR REPLACE VIEW {table}_view AS
SELECT
    id,
    user_id,
    ip,
    user_agent,
    flags & 1 = 1 AS remember,
    version,
    to_timestamp(created_at / 1000.0) AS created_at,
    to_timestamp(last_seen / 1000.0) AS last_seen,
    to_timestamp(authenticated_at / 1000.0) AS authenticated_at,
    to_timestamp(LEAST(idle_deadline, absolute_deadline, 253402300799999) / 1000.0) AS expires_at,
    data::json -> 'data' AS data
FROM {table}
WHERE gone_at IS NULL
    AND LEAST(idle_deadline, absolute_deadline) > extract(epoch FROM now()) * 1000;

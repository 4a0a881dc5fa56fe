-- One row a session. Instants are milliseconds since 1970, spans milliseconds.
CREATE TABLE IF NOT EXISTS {table} (
    id BINARY(16) NOT NULL PRIMARY KEY,
    secret VARBINARY(32),
    version BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    commit_1 VARBINARY(16),
    commit_2 VARBINARY(16),
    commit_3 VARBINARY(16),
    commit_4 VARBINARY(16),
    owner VARBINARY(16),
    lease_until BIGINT,
    waiting_until BIGINT,
    created_at BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    authenticated_at BIGINT,
    rotated_at BIGINT,
    gone_at BIGINT,
    idle_limit BIGINT NOT NULL,
    absolute_limit BIGINT NOT NULL,
    idle_deadline BIGINT NOT NULL,
    absolute_deadline BIGINT NOT NULL,
    -- In bytes, so that no two users count as the same.
    user_id VARBINARY(2800),
    ip VARCHAR(45),
    user_agent TEXT,
    flags BIGINT NOT NULL,
    codec BIGINT NOT NULL,
    data LONGTEXT NOT NULL,
    -- Quarters of an hour: coarse, so that a touch seldom moves the row within the index.
    bucket BIGINT GENERATED ALWAYS AS
        (COALESCE(gone_at, LEAST(idle_deadline, absolute_deadline)) DIV 900000) STORED,
    KEY {name}_bucket (bucket),
    KEY {name}_user (user_id, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Under which users' sessions are changed with regard to each other.
CREATE TABLE IF NOT EXISTS {table}_locks (id BIGINT NOT NULL PRIMARY KEY) ENGINE = InnoDB;

INSERT IGNORE INTO {table}_locks VALUES
    (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15),
    (16), (17), (18), (19), (20), (21), (22), (23), (24), (25), (26), (27), (28), (29), (30), (31),
    (32), (33), (34), (35), (36), (37), (38), (39), (40), (41), (42), (43), (44), (45), (46), (47),
    (48), (49), (50), (51), (52), (53), (54), (55), (56), (57), (58), (59), (60), (61), (62), (63);

-- The living, without what is secret, to be read by people and reports.
CREATE OR REPLACE VIEW {table}_view AS
SELECT
    LOWER(CONCAT_WS('-', SUBSTR(HEX(id), 1, 8), SUBSTR(HEX(id), 9, 4), SUBSTR(HEX(id), 13, 4),
        SUBSTR(HEX(id), 17, 4), SUBSTR(HEX(id), 21))) AS id,
    CONVERT(user_id USING utf8mb4) AS user_id,
    ip,
    user_agent,
    flags & 1 AS remember,
    version,
    FROM_UNIXTIME(created_at / 1000) AS created_at,
    FROM_UNIXTIME(last_seen / 1000) AS last_seen,
    FROM_UNIXTIME(authenticated_at / 1000) AS authenticated_at,
    FROM_UNIXTIME(LEAST(idle_deadline, absolute_deadline) / 1000) AS expires_at,
    JSON_EXTRACT(data, '$.data') AS data
FROM {table}
WHERE gone_at IS NULL
    AND LEAST(idle_deadline, absolute_deadline) > UNIX_TIMESTAMP(NOW(3)) * 1000;

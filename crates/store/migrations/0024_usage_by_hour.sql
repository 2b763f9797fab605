-- The hours of all resources beside each other: a look of the meter writes a few pages, however long the past is.
ALTER TABLE usage_hours RENAME TO usage_by_resource;
DROP INDEX usage_hours_open;

-- What was used in an hour, in millionths of unit-seconds; once the hour is over, what it was charged.
CREATE TABLE usage_hours (
    hour     BIGINT NOT NULL,
    resource BIGINT NOT NULL REFERENCES metered_resources (number),
    cpu      BIGINT NOT NULL,
    ram      BIGINT NOT NULL,
    storage  BIGINT NOT NULL,
    amount   BIGINT,
    discount BIGINT,
    PRIMARY KEY (hour, resource)
) WITHOUT ROWID;
INSERT INTO usage_hours (hour, resource, cpu, ram, storage, amount, discount)
    SELECT hour, resource, cpu, ram, storage, amount, discount FROM usage_by_resource ORDER BY hour, resource;

-- Of each resource that was charged, its first hour of these, an hour after which there is none (the end of its
-- last month, so that it is seldom written), and what is left below the minor unit.
CREATE TABLE usage_rests (
    resource      INTEGER PRIMARY KEY REFERENCES metered_resources (number),
    first_hour    BIGINT NOT NULL,
    until_hour    BIGINT NOT NULL,
    net_rest      BIGINT NOT NULL,
    discount_rest BIGINT NOT NULL
);
INSERT INTO usage_rests (resource, first_hour, until_hour, net_rest, discount_rest)
    SELECT u.resource, s.first_hour, s.last_hour + 1, COALESCE(u.net_rest, 0), COALESCE(u.discount_rest, 0)
    FROM usage_by_resource u
    JOIN (SELECT resource, MIN(hour) AS first_hour, MAX(hour) AS last_hour FROM usage_by_resource
          WHERE amount IS NOT NULL GROUP BY resource) s ON s.resource = u.resource AND s.last_hour = u.hour;
DROP TABLE usage_by_resource;

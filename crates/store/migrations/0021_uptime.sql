-- Whether projects answer: what is checked, how each is, and how it has been.
CREATE TABLE monitors (
    project_id           TEXT PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id         TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    enabled              BIGINT NOT NULL,
    kind                 TEXT NOT NULL CHECK (kind IN ('http', 'tcp')),
    interval_seconds     BIGINT NOT NULL CHECK (interval_seconds BETWEEN 10 AND 86400),
    -- NULL: the project's own host name, or a replica's port.
    check_url            TEXT,
    expected_status      TEXT NOT NULL,
    keyword              TEXT,
    timeout_ms           BIGINT NOT NULL,
    failures_before_down BIGINT NOT NULL,
    -- Sealed, and what may be told of it.
    discord_webhook      BLOB,
    discord_origin         TEXT,
    notify_email         TEXT,
    -- Grows with each change of the above: who checked by older settings notes nothing any more.
    revision             BIGINT NOT NULL,
    status               TEXT NOT NULL CHECK (status IN ('up', 'down', 'unknown', 'paused')),
    since                BIGINT NOT NULL,
    failures             BIGINT NOT NULL,
    reason               TEXT,
    last_checked_at      BIGINT,
    last_response_ms     BIGINT,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL,
    CHECK ((status = 'down') = (reason IS NOT NULL))
);

-- Times in which a project was down. One of a project is open at most.
CREATE TABLE incidents (
    project_id TEXT NOT NULL REFERENCES monitors (project_id) ON DELETE CASCADE,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT,
    reason     TEXT NOT NULL,
    PRIMARY KEY (project_id, started_at)
);
CREATE UNIQUE INDEX incidents_open ON incidents (project_id) WHERE ended_at IS NULL;

-- Single checks, for seven days.
CREATE TABLE checks (
    project_id  TEXT NOT NULL REFERENCES monitors (project_id) ON DELETE CASCADE,
    at          BIGINT NOT NULL,
    ok          BIGINT NOT NULL,
    status_code BIGINT,
    response_ms BIGINT NOT NULL,
    reason      TEXT,
    PRIMARY KEY (project_id, at)
);
CREATE INDEX checks_by_time ON checks (at);

-- How many there were in each hour since 1970, for ninety days.
CREATE TABLE check_hours (
    project_id TEXT NOT NULL REFERENCES monitors (project_id) ON DELETE CASCADE,
    hour       BIGINT NOT NULL,
    total      BIGINT NOT NULL,
    good       BIGINT NOT NULL CHECK (good BETWEEN 0 AND total),
    PRIMARY KEY (project_id, hour)
);
CREATE INDEX check_hours_by_time ON check_hours (hour);

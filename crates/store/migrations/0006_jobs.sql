-- Commands that run once, each in a container of its own.
CREATE TABLE jobs (
    id               TEXT PRIMARY KEY,
    project_id       TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id     TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    deployment_id    TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    number           BIGINT NOT NULL,
    command          TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    timeout_seconds  BIGINT NOT NULL,
    cancel_requested BIGINT NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    exit_code        BIGINT,
    error            TEXT,
    created_by       TEXT NOT NULL,
    created_at       BIGINT NOT NULL,
    started_at       BIGINT,
    finished_at      BIGINT,
    UNIQUE (project_id, number)
);
CREATE INDEX jobs_open ON jobs (project_id) WHERE status IN ('queued', 'running');

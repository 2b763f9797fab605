-- Rules about what projects use and serve.
CREATE TABLE alerts (
    id              TEXT PRIMARY KEY,
    workspace_id    TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- What it is about; all projects of the workspace without one.
    project_id      TEXT REFERENCES projects (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    metric          TEXT NOT NULL,
    comparison      TEXT NOT NULL CHECK (comparison IN ('above', 'below')),
    -- In thousandths.
    threshold_milli BIGINT NOT NULL CHECK (threshold_milli >= 0),
    window_seconds  BIGINT NOT NULL CHECK (window_seconds BETWEEN 60 AND 3600),
    enabled         BIGINT NOT NULL,
    -- Grows with each change of the above: who judged by an older rule notes nothing any more.
    revision        BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (workspace_id, name)
);
CREATE INDEX alerts_by_project ON alerts (project_id);

-- For which projects rules fire.
CREATE TABLE alert_firings (
    alert_id   TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    since      BIGINT NOT NULL,
    PRIMARY KEY (alert_id, project_id)
);
CREATE INDEX alert_firings_by_project ON alert_firings (project_id);

-- Outside services that projects' log lines are forwarded to.
CREATE TABLE drains (
    id                TEXT PRIMARY KEY,
    project_id        TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id      TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name              TEXT NOT NULL,
    kind              TEXT NOT NULL CHECK (kind IN ('syslog', 'http', 'loki', 'otlp')),
    url               TEXT NOT NULL,
    -- Token and values of headers, sealed together; and what may be told of them: whether there is a token, and the
    -- headers' names as JSON.
    secrets           BLOB,
    has_token         BIGINT NOT NULL,
    headers           TEXT NOT NULL,
    enabled           BIGINT NOT NULL,
    -- Grows with each change of the above: who delivers by older settings notes nothing any more.
    revision          BIGINT NOT NULL,
    -- The number of the last line that was delivered, or dropped.
    position          BIGINT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('ok', 'retrying', 'paused')),
    last_error        TEXT,
    -- Since when nothing but refusals came.
    refused_since     BIGINT,
    last_delivered_at BIGINT,
    delivered_lines   BIGINT NOT NULL,
    dropped_lines     BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

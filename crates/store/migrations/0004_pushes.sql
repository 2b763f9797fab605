-- What private repositories need, and which pushes deploy.

ALTER TABLE git_connections ADD COLUMN access_token BLOB;
-- The public half of deploy_key, to be shown.
ALTER TABLE git_connections ADD COLUMN deploy_key_public TEXT;
ALTER TABLE git_connections ADD COLUMN webhook_secret BLOB;
-- A JSON list of patterns.
ALTER TABLE git_connections ADD COLUMN watch_paths TEXT NOT NULL DEFAULT '[]';
-- Host and path in lower case: how a push event finds its projects.
ALTER TABLE git_connections ADD COLUMN repo_key TEXT;
CREATE INDEX git_connections_repo ON git_connections (repo_key);

CREATE TABLE push_deliveries (
    id            TEXT PRIMARY KEY,
    project_id    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id  TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    provider      TEXT NOT NULL,
    -- The sender's own id of the event, and the digest of what it signed: neither counts twice.
    delivery      TEXT NOT NULL,
    digest        BLOB,
    git_ref       TEXT,
    commit_sha    TEXT,
    verdict       TEXT NOT NULL,
    deployment_id TEXT,
    received_at   BIGINT NOT NULL,
    UNIQUE (project_id, delivery),
    UNIQUE (project_id, digest)
);
CREATE INDEX push_deliveries_list ON push_deliveries (project_id, received_at);

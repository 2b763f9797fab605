-- Certificates and heartbeats as kinds of monitors, maintenance windows, status pages.

-- A CHECK cannot be altered; a column can take another's place, and no table that refers to this one is touched.
ALTER TABLE monitors ADD COLUMN how TEXT NOT NULL DEFAULT 'http' CHECK (how IN ('http', 'tcp', 'certificate', 'heartbeat'));
UPDATE monitors SET how = kind;
ALTER TABLE monitors DROP COLUMN kind;
ALTER TABLE monitors RENAME COLUMN how TO kind;

-- How many days before a certificate's end people are told; 0 for never.
ALTER TABLE monitors ADD COLUMN certificate_warn_days BIGINT NOT NULL DEFAULT 14 CHECK (certificate_warn_days BETWEEN 0 AND 365);
-- When the certificate that the last check met ends, and whether people were told that this is soon.
ALTER TABLE monitors ADD COLUMN certificate_expires_at BIGINT;
ALTER TABLE monitors ADD COLUMN certificate_told BIGINT NOT NULL DEFAULT 0;

-- How much later than its interval a heartbeat may come; the hash of the token that it comes with; when the last came.
ALTER TABLE monitors ADD COLUMN heartbeat_grace_seconds BIGINT NOT NULL DEFAULT 60 CHECK (heartbeat_grace_seconds BETWEEN 0 AND 86400);
ALTER TABLE monitors ADD COLUMN heartbeat_hash BLOB;
ALTER TABLE monitors ADD COLUMN heartbeat_at BIGINT;
CREATE UNIQUE INDEX monitors_heartbeat ON monitors (heartbeat_hash) WHERE heartbeat_hash IS NOT NULL;

-- Times in which failures are expected.
CREATE TABLE maintenance (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    title        TEXT NOT NULL,
    starts_at    BIGINT NOT NULL,
    ends_at      BIGINT NOT NULL,
    -- Whether it is of every project of the workspace; otherwise of those below.
    is_of_all    BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    CHECK (starts_at < ends_at)
);
CREATE INDEX maintenance_by_end ON maintenance (ends_at);
CREATE INDEX maintenance_of_workspace ON maintenance (workspace_id, ends_at);
CREATE TABLE maintenance_projects (
    maintenance_id TEXT NOT NULL REFERENCES maintenance (id) ON DELETE CASCADE,
    project_id     TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    PRIMARY KEY (maintenance_id, project_id)
);
CREATE INDEX maintenance_of_project ON maintenance_projects (project_id);
-- Whether a check was made in such a time: then the sums leave it out.
ALTER TABLE checks ADD COLUMN in_maintenance BIGINT NOT NULL DEFAULT 0;

-- What a workspace shows everybody, while that is switched on.
CREATE TABLE status_pages (
    workspace_id TEXT PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    enabled      BIGINT NOT NULL,
    title        TEXT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE TABLE status_page_projects (
    workspace_id TEXT NOT NULL REFERENCES status_pages (workspace_id) ON DELETE CASCADE,
    project_id   TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    position     BIGINT NOT NULL,
    -- What it is called there; NULL: the project's slug.
    name         TEXT,
    PRIMARY KEY (workspace_id, project_id)
);
CREATE INDEX status_pages_of_project ON status_page_projects (project_id);

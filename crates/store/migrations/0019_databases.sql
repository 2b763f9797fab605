-- A database and a template's instance are projects of their own kind.
ALTER TABLE projects ADD COLUMN kind TEXT NOT NULL DEFAULT 'app' CHECK (kind IN ('app', 'database', 'template'));
-- Of which template a project is an instance.
ALTER TABLE projects ADD COLUMN template TEXT;

-- What a database has besides its project.
CREATE TABLE databases (
    project_id           TEXT PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id         TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    type                 TEXT NOT NULL CHECK (type IN ('postgresql', 'mysql', 'redis', 'mongo')),
    version              TEXT NOT NULL,
    username             TEXT NOT NULL,
    database_name        TEXT NOT NULL,
    -- Sealed: that of the account, and that of the server's own administrator.
    password             BLOB NOT NULL,
    admin_password       BLOB NOT NULL,
    -- Grows with each change of the account's password; and the newest of these that the server has.
    credentials_revision BIGINT NOT NULL,
    applied_revision     BIGINT NOT NULL,
    storage_gb           BIGINT NOT NULL,
    used_bytes           BIGINT,
    backup_schedule      TEXT,
    backup_keep          BIGINT NOT NULL,
    next_backup_at       BIGINT,
    -- The backup that its data is replaced by, or last was; without an end while that goes on.
    restore_backup       TEXT,
    restore_error        TEXT,
    restore_ended_at     BIGINT,
    -- The port that leads to it from the outside, and from where: a list of ranges as JSON.
    exposed_port         BIGINT UNIQUE,
    exposed_allow        TEXT,
    -- Of which backup it is a proof: it is made for that, and goes when that has ended.
    proof_of             TEXT
);
CREATE INDEX databases_due ON databases (next_backup_at) WHERE next_backup_at IS NOT NULL;

CREATE INDEX databases_restored ON databases (project_id) WHERE restore_backup IS NOT NULL AND restore_ended_at IS NULL;

CREATE TABLE backups (
    id            TEXT PRIMARY KEY,
    project_id    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id  TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    status        TEXT NOT NULL CHECK (status IN ('running', 'succeeded', 'failed')),
    created_by    TEXT NOT NULL,
    -- The key that its file is encrypted with, sealed; and where that file is.
    file_key      BLOB NOT NULL,
    place         TEXT NOT NULL CHECK (place IN ('disk', 'bucket')),
    size_bytes    BIGINT NOT NULL,
    dump_bytes    BIGINT NOT NULL,
    sha256        TEXT,
    error         TEXT,
    created_at    BIGINT NOT NULL,
    finished_at   BIGINT,
    -- Whether it is to be restored for a proof, and how that ended the last time.
    proof_wanted  BIGINT NOT NULL DEFAULT 0,
    proof_error   TEXT,
    proven_at     BIGINT
);
CREATE INDEX backups_of_project ON backups (project_id, created_at);
-- One at a time of each database.
CREATE UNIQUE INDEX backups_running ON backups (project_id) WHERE status = 'running';

-- Which databases a deployment's variables name, and which of their passwords they were given.
CREATE TABLE deployment_references (
    deployment_id TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    project_id    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id  TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    revision      BIGINT NOT NULL,
    PRIMARY KEY (deployment_id, project_id)
);

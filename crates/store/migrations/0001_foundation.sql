-- Columns are TEXT, BIGINT and BLOB only, so that PostgreSQL can have the same tables.
-- Times are nanoseconds since 1970; ids are UUIDs as text; truth values are 0 and 1.

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE users (
    id         TEXT PRIMARY KEY,
    email      TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE workspaces (
    id         TEXT PRIMARY KEY,
    slug       TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX workspaces_slug ON workspaces (slug) WHERE deleted_at IS NULL;

CREATE TABLE members (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role         TEXT NOT NULL CHECK (role IN ('member', 'admin', 'owner')),
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    key_hash     BLOB NOT NULL UNIQUE,
    key_prefix   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT
);
CREATE INDEX api_keys_workspace ON api_keys (workspace_id);

CREATE TABLE projects (
    id                TEXT PRIMARY KEY,
    workspace_id      TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name              TEXT NOT NULL,
    slug              TEXT NOT NULL,
    source            TEXT NOT NULL CHECK (source IN ('git', 'image')),
    image             TEXT,
    port              BIGINT NOT NULL CHECK (port BETWEEN 1 AND 65535),
    cpu_milli         BIGINT NOT NULL CHECK (cpu_milli > 0),
    ram_milli         BIGINT NOT NULL CHECK (ram_milli > 0),
    health_check_path TEXT,
    replicas          BIGINT NOT NULL CHECK (replicas > 0),
    desired           TEXT NOT NULL CHECK (desired IN ('running', 'stopped')),
    generation        BIGINT NOT NULL,
    -- What the reconciler last saw: live replicas that were ready.
    ready_replicas    BIGINT NOT NULL DEFAULT 0,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    -- A tombstone: the row goes when the engine holds nothing of the project any more.
    deleted_at        BIGINT
);
CREATE UNIQUE INDEX projects_slug ON projects (workspace_id, slug) WHERE deleted_at IS NULL;

CREATE TABLE git_connections (
    project_id      TEXT PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id    TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    repo_full_name  TEXT,
    repo_url        TEXT NOT NULL,
    branch          TEXT NOT NULL,
    auto_deploy     BIGINT NOT NULL CHECK (auto_deploy IN (0, 1)),
    root_directory  TEXT,
    dockerfile_path TEXT,
    deploy_key      BLOB,
    created_at      BIGINT NOT NULL
);

CREATE TABLE env_vars (
    project_id   TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    key          TEXT NOT NULL,
    value        BLOB NOT NULL,
    is_secret    BIGINT NOT NULL CHECK (is_secret IN (0, 1)),
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (project_id, key)
);

CREATE TABLE deployments (
    id                TEXT PRIMARY KEY,
    project_id        TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id      TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    generation        BIGINT NOT NULL,
    status            TEXT NOT NULL CHECK (status IN
        ('queued', 'building', 'deploying', 'running', 'failed', 'stopped', 'cancelled', 'superseded')),
    trigger           TEXT NOT NULL,
    commit_sha        TEXT,
    commit_message    TEXT,
    commit_author     TEXT,
    branch            TEXT,
    no_cache          BIGINT NOT NULL CHECK (no_cache IN (0, 1)),
    image             TEXT,
    run               TEXT NOT NULL,
    env               BLOB NOT NULL,
    error             TEXT,
    cancel_requested  BIGINT NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    deadline_at       BIGINT NOT NULL,
    created_by        TEXT NOT NULL,
    created_at        BIGINT NOT NULL,
    build_started_at  BIGINT,
    build_finished_at BIGINT,
    live_at           BIGINT,
    finished_at       BIGINT,
    UNIQUE (project_id, generation)
);
-- The promises "one waits, one is under way, one is live" are the database's to keep.
CREATE UNIQUE INDEX deployments_queued ON deployments (project_id) WHERE status = 'queued';
CREATE UNIQUE INDEX deployments_active ON deployments (project_id) WHERE status IN ('building', 'deploying');
CREATE UNIQUE INDEX deployments_live ON deployments (project_id) WHERE status = 'running';
CREATE INDEX deployments_in_progress ON deployments (created_at) WHERE status IN ('queued', 'building', 'deploying');

CREATE TABLE domains (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    project_id   TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    hostname     TEXT NOT NULL UNIQUE,
    status       TEXT NOT NULL CHECK (status IN ('pending', 'active', 'failed')),
    is_default   BIGINT NOT NULL CHECK (is_default IN (0, 1)),
    created_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX domains_default ON domains (project_id) WHERE is_default = 1;

CREATE TABLE events (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    actor        TEXT NOT NULL,
    action       TEXT NOT NULL,
    target       TEXT NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX events_workspace ON events (workspace_id, created_at);

CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- People with passwords, their logins, and what brings them into workspaces.

ALTER TABLE users ADD COLUMN name TEXT;
-- Argon2id in PHC form; absent for accounts that only have keys.
ALTER TABLE users ADD COLUMN password_hash TEXT;
-- The authenticator's secret, sealed; it counts once it was confirmed.
ALTER TABLE users ADD COLUMN totp_secret BLOB;
ALTER TABLE users ADD COLUMN totp_confirmed_at BIGINT;
-- The last time step whose code was taken: none is taken twice.
ALTER TABLE users ADD COLUMN totp_last_step BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN is_operator BIGINT NOT NULL DEFAULT 0 CHECK (is_operator IN (0, 1));

CREATE TABLE recovery_codes (
    user_id   TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code_hash BLOB NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    token_hash   BLOB NOT NULL UNIQUE,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE password_resets (
    token_hash BLOB PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX password_resets_user ON password_resets (user_id);

CREATE TABLE invitations (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    email        TEXT NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('member', 'admin', 'owner')),
    token_hash   BLOB NOT NULL UNIQUE,
    invited_by   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    UNIQUE (workspace_id, email)
);

ALTER TABLE events ADD COLUMN user_id TEXT;
ALTER TABLE events ADD COLUMN via TEXT;
ALTER TABLE events ADD COLUMN ip TEXT;
-- The call's Idempotency-Key as the table below has it: proof that the call took effect.
ALTER TABLE events ADD COLUMN idempotency TEXT;
CREATE INDEX events_idempotency ON events (idempotency) WHERE idempotency IS NOT NULL;

CREATE TABLE idempotency_keys (
    -- Who used which key.
    name         TEXT PRIMARY KEY,
    request_hash BLOB NOT NULL,
    -- The process that answers, while there is no answer.
    owner        TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    status       BIGINT,
    -- Sealed: an answer may hold a fresh key.
    answer       BLOB
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

ALTER TABLE projects ADD COLUMN start_command TEXT;
ALTER TABLE projects ADD COLUMN volumes TEXT NOT NULL DEFAULT '[]';
ALTER TABLE projects ADD COLUMN build TEXT;
ALTER TABLE projects ADD COLUMN region TEXT NOT NULL DEFAULT 'local';
ALTER TABLE projects ADD COLUMN deploy_hook_hash BLOB;
CREATE UNIQUE INDEX projects_deploy_hook ON projects (deploy_hook_hash) WHERE deploy_hook_hash IS NOT NULL;
CREATE INDEX projects_list ON projects (workspace_id, created_at, id) WHERE deleted_at IS NULL;

ALTER TABLE domains ADD COLUMN reason TEXT;
ALTER TABLE domains ADD COLUMN checked_at BIGINT;
CREATE INDEX domains_project ON domains (project_id);
CREATE INDEX domains_pending ON domains (checked_at) WHERE status = 'pending';

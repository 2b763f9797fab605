-- Installations of the server's GitHub App that workspaces have proven, with the repositories that whoever proved
-- one could read there at that time.

CREATE TABLE github_installations (
    workspace_id    TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    installation_id BIGINT NOT NULL,
    -- The login of the account that it is installed in.
    account         TEXT NOT NULL,
    connected_by    TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, installation_id)
);
CREATE INDEX github_installations_id ON github_installations (installation_id);

CREATE TABLE github_repositories (
    workspace_id    TEXT NOT NULL,
    installation_id BIGINT NOT NULL,
    -- GitHub's own id: it outlives a change of name.
    repository_id   BIGINT NOT NULL,
    -- owner/name as GitHub writes it.
    full_name       TEXT NOT NULL,
    is_private      BIGINT NOT NULL CHECK (is_private IN (0, 1)),
    default_branch  TEXT NOT NULL,
    PRIMARY KEY (workspace_id, installation_id, repository_id),
    FOREIGN KEY (workspace_id, installation_id)
        REFERENCES github_installations (workspace_id, installation_id) ON DELETE CASCADE
);

-- Proofs that are under way. Each token works once.
CREATE TABLE github_states (
    token_hash      BLOB PRIMARY KEY,
    workspace_id    TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The installation that was asked for, if it was said which.
    installation_id BIGINT,
    -- What GitHub said, as JSON, once it was asked.
    found           TEXT,
    expires_at      BIGINT NOT NULL
);
CREATE INDEX github_states_expiry ON github_states (expires_at);

-- The installation that a project's repository is read through.
ALTER TABLE git_connections ADD COLUMN installation_id BIGINT;
CREATE INDEX git_connections_installation ON git_connections (installation_id) WHERE installation_id IS NOT NULL;

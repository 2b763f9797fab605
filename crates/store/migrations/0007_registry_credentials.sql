-- What a project pulls its image with.

CREATE TABLE registry_credentials (
    project_id   TEXT PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- The host, with its port where there is one: no other registry gets them.
    registry     TEXT NOT NULL,
    username     TEXT NOT NULL,
    password     BLOB NOT NULL,
    updated_at   BIGINT NOT NULL
);

-- Host names that the platform gave to projects which are gone. For a while nobody but their workspace gets them again:
-- links and cookies may still lead there. The workspace may be gone as well.
CREATE TABLE released_hostnames (
    hostname     TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    released_at  BIGINT NOT NULL
);
CREATE INDEX released_hostnames_at ON released_hostnames (released_at);

-- By what projects get more or fewer replicas, and what came of it.
CREATE TABLE autoscaling (
    project_id                 TEXT PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id               TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    enabled                    BIGINT NOT NULL,
    min_replicas               BIGINT NOT NULL CHECK (min_replicas >= 1),
    max_replicas               BIGINT NOT NULL CHECK (max_replicas >= min_replicas),
    target_cpu_percent         BIGINT CHECK (target_cpu_percent BETWEEN 1 AND 100),
    target_requests_per_second BIGINT CHECK (target_requests_per_second >= 1),
    -- Grows with each change of the above: who decided by older settings changes nothing any more.
    revision                   BIGINT NOT NULL,
    -- The last change of the number of replicas.
    scaled_at                  BIGINT,
    scaled_from                BIGINT,
    scaled_to                  BIGINT,
    scaled_reason              TEXT,
    -- Since when more replicas are needed than there can be, how many, and why they cannot.
    refused_since              BIGINT,
    refused_wanted             BIGINT,
    refused_reason             TEXT,
    created_at                 BIGINT NOT NULL,
    updated_at                 BIGINT NOT NULL,
    CHECK (enabled = 0 OR target_cpu_percent IS NOT NULL OR target_requests_per_second IS NOT NULL),
    CHECK ((scaled_at IS NULL) = (scaled_reason IS NULL)),
    CHECK ((refused_since IS NULL) = (refused_reason IS NULL))
);

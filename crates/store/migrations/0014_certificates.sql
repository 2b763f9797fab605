-- Certificates of domains. A row without a chain is an order that did not come to anything so far.
CREATE TABLE certificates (
    domain_id    TEXT PRIMARY KEY REFERENCES domains (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    source       TEXT NOT NULL CHECK (source IN ('acme', 'uploaded')),
    -- PEM, the domain's own certificate first.
    chain        TEXT,
    sealed_key   BLOB,
    not_after    BIGINT,
    -- Orders that failed since the last one that did not, and why the newest did.
    failures     BIGINT NOT NULL DEFAULT 0,
    reason       TEXT,
    -- When a certificate was last ordered, and when the next one is due.
    ordered_at   BIGINT,
    next_at      BIGINT,
    CHECK ((chain IS NULL) = (sealed_key IS NULL) AND (chain IS NULL) = (not_after IS NULL))
);
CREATE INDEX certificates_due ON certificates (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX certificates_ordered ON certificates (ordered_at) WHERE ordered_at IS NOT NULL;

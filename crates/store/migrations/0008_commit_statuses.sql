-- What Git servers are told of commits that are deployed.

-- The kind of server; found out by its host or by the first push event when absent.
ALTER TABLE git_connections ADD COLUMN provider TEXT;
-- When the server was told last, and why it was not, if it was not.
ALTER TABLE git_connections ADD COLUMN status_at BIGINT;
ALTER TABLE git_connections ADD COLUMN status_error TEXT;

-- The repository that the commit is from, as in git_connections.repo_key.
ALTER TABLE deployments ADD COLUMN commit_repo TEXT;
-- The state that the server was told last, or that was given up.
ALTER TABLE deployments ADD COLUMN reported TEXT;
ALTER TABLE deployments ADD COLUMN report_attempts BIGINT NOT NULL DEFAULT 0;
-- From when on there may be something to tell.
ALTER TABLE deployments ADD COLUMN report_at BIGINT;
CREATE INDEX deployments_report ON deployments (report_at) WHERE report_at IS NOT NULL;
-- Several statements change a status; each may have to be told.
CREATE TRIGGER deployments_report AFTER UPDATE OF status ON deployments
WHEN NEW.commit_repo IS NOT NULL AND NEW.status <> OLD.status
BEGIN
    UPDATE deployments SET report_at = 0 WHERE id = NEW.id;
END;

-- The job that runs a deployment's release command: one for each deployment.
ALTER TABLE jobs ADD COLUMN is_release BIGINT NOT NULL DEFAULT 0 CHECK (is_release IN (0, 1));
CREATE UNIQUE INDEX jobs_release ON jobs (deployment_id) WHERE is_release = 1;

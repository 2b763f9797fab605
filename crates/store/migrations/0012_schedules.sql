-- Jobs that are run again and again.
CREATE TABLE schedules (
    project_id      TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    workspace_id    TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    cron            TEXT NOT NULL,
    timezone        TEXT NOT NULL,
    command         TEXT NOT NULL,
    timeout_seconds BIGINT NOT NULL,
    -- When it is due; NULL while it is switched off.
    next_at         BIGINT,
    -- The last time that it was due and did not run, and why.
    skipped_at      BIGINT,
    skip_reason     TEXT,
    updated_by      TEXT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
);
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;
-- The name of the schedule that a job is a run of.
ALTER TABLE jobs ADD COLUMN schedule TEXT;
CREATE INDEX jobs_schedule ON jobs (project_id, schedule, number) WHERE schedule IS NOT NULL;

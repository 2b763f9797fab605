-- A project may be the preview of a pull request of another one.

ALTER TABLE projects ADD COLUMN preview_of TEXT;
ALTER TABLE projects ADD COLUMN preview_number BIGINT;
ALTER TABLE projects ADD COLUMN preview_branch TEXT;
CREATE UNIQUE INDEX projects_previews ON projects (preview_of, preview_number)
    WHERE preview_of IS NOT NULL AND deleted_at IS NULL;

-- Whether pull requests get previews, and how many at most.
ALTER TABLE git_connections ADD COLUMN previews BIGINT NOT NULL DEFAULT 0 CHECK (previews IN (0, 1));
ALTER TABLE git_connections ADD COLUMN preview_limit BIGINT NOT NULL DEFAULT 5;

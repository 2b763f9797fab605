-- How many replicas of its processes beside the one that answers visitors a project wants, by their
-- names, where that is not what its version says.
ALTER TABLE projects ADD COLUMN process_scale TEXT NOT NULL DEFAULT '{}';

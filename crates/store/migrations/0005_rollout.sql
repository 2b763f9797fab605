-- Whether the version before a deployment has to go first, for want of room.
ALTER TABLE deployments ADD COLUMN in_place BIGINT NOT NULL DEFAULT 0 CHECK (in_place IN (0, 1));

-- Maintenances that come again: at the same time of each week in UTC, from their first time on and without an end.
ALTER TABLE maintenance ADD COLUMN repeats TEXT CHECK (repeats IN ('weekly'));

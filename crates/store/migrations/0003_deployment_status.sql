-- Counts by status are asked for again and again, and the rows are large.
CREATE INDEX deployments_status ON deployments (status);

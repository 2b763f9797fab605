-- What a deployment's output says of why it failed: a JSON object, see `AnalysisView`.
ALTER TABLE deployments ADD COLUMN analysis TEXT;

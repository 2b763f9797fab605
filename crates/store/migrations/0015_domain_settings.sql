-- What visitors of a domain meet before the app, as JSON; NULL is nothing. Projects stand in it by their ids.
ALTER TABLE domains ADD COLUMN settings TEXT;
-- The names and digests of passwords of those who may come in.
ALTER TABLE domains ADD COLUMN sealed_users BLOB CHECK (sealed_users IS NULL OR settings IS NOT NULL);

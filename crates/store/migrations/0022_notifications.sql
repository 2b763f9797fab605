-- Who of a workspace is told of what: channels with their rules.
CREATE TABLE notification_channels (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('email', 'discord', 'slack', 'telegram', 'webhook')),
    enabled      BIGINT NOT NULL,
    -- JSON lists of kinds of events and of projects' slugs; an empty one stands for all.
    events       TEXT NOT NULL,
    projects     TEXT NOT NULL,
    -- What may be shown of where it leads: an address of mail, the origin of a URL, a chat.
    target       TEXT NOT NULL,
    -- URL, token and signing secret, sealed together as JSON.
    secrets      BLOB,
    -- How the last message to it fared.
    last_at      BIGINT,
    last_ok      BIGINT,
    last_reason  TEXT,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    UNIQUE (workspace_id, name)
);

-- What happened. Without a workspace: for operators.
CREATE TABLE notices (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT REFERENCES workspaces (id) ON DELETE CASCADE,
    project_id   TEXT REFERENCES projects (id) ON DELETE CASCADE,
    event        TEXT NOT NULL,
    -- What makes two notices the same one.
    dedupe       TEXT NOT NULL,
    title        TEXT NOT NULL,
    text         TEXT NOT NULL,
    at           BIGINT NOT NULL
);
CREATE UNIQUE INDEX notices_once ON notices (COALESCE(workspace_id, ''), dedupe);
CREATE INDEX notices_by_time ON notices (at);
CREATE INDEX notices_by_project ON notices (project_id);

-- Who is told of it: the outbox, and what became of what was in it.
CREATE TABLE notice_deliveries (
    notice_id    TEXT NOT NULL REFERENCES notices (id) ON DELETE CASCADE,
    -- Where it goes: a channel, what a monitor names, or an address of mail.
    outlet       TEXT NOT NULL,
    workspace_id TEXT REFERENCES workspaces (id) ON DELETE CASCADE,
    channel_id   TEXT REFERENCES notification_channels (id) ON DELETE CASCADE,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed', 'left_out')),
    attempts     BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    -- When it is tried, while it waits.
    next_at      BIGINT NOT NULL,
    ended_at     BIGINT,
    -- Why the last attempt failed.
    reason       TEXT,
    PRIMARY KEY (notice_id, outlet),
    CHECK ((state = 'waiting') = (ended_at IS NULL))
);
CREATE INDEX notice_deliveries_waiting ON notice_deliveries (next_at) WHERE state = 'waiting';
CREATE INDEX notice_deliveries_by_outlet ON notice_deliveries (outlet, created_at);
CREATE INDEX notice_deliveries_by_channel ON notice_deliveries (channel_id, created_at);

-- Messages that were sent lately, by which an outlet gets no more of them than it is to.
CREATE TABLE notice_messages (
    outlet       TEXT NOT NULL,
    workspace_id TEXT REFERENCES workspaces (id) ON DELETE CASCADE,
    at           BIGINT NOT NULL
);
CREATE INDEX notice_messages_by_outlet ON notice_messages (outlet, at);

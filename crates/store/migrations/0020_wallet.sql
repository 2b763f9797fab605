-- One for each workspace. It stays when that is deleted, as everything of money does.
CREATE TABLE wallets (
    workspace_id  TEXT PRIMARY KEY,
    -- The workspace's slug, for those who read the books later.
    workspace     TEXT NOT NULL,
    -- What the entries below have come to, and how many there are.
    balance       BIGINT NOT NULL DEFAULT 0,
    entries       BIGINT NOT NULL DEFAULT 0,
    -- Below which owners get a mail; null: the installation's default.
    threshold     BIGINT,
    budget        BIGINT,
    budget_action TEXT NOT NULL DEFAULT 'warn' CHECK (budget_action IN ('warn', 'stop')),
    -- What its owners were told, and what followed.
    told_low      BIGINT NOT NULL DEFAULT 0,
    told_budget   BIGINT NOT NULL DEFAULT 0,
    empty_since   BIGINT,
    suspended     TEXT CHECK (suspended IN ('empty', 'budget'))
);
INSERT INTO wallets (workspace_id, workspace) SELECT id, slug FROM workspaces;

-- What changed a wallet, in order. Nothing here is ever changed or removed.
CREATE TABLE ledger_entries (
    workspace_id  TEXT NOT NULL REFERENCES wallets (workspace_id),
    number        BIGINT NOT NULL,
    id            TEXT NOT NULL,
    kind          TEXT NOT NULL,
    -- What it is for: of two entries for the same, there is one.
    reference     TEXT NOT NULL UNIQUE,
    reason        TEXT NOT NULL,
    amount        BIGINT NOT NULL,
    balance_after BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, number)
);
CREATE TABLE ledger_postings (
    workspace_id TEXT NOT NULL,
    number       BIGINT NOT NULL,
    account      TEXT NOT NULL,
    amount       BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, number, account),
    FOREIGN KEY (workspace_id, number) REFERENCES ledger_entries (workspace_id, number)
) WITHOUT ROWID;
CREATE TRIGGER ledger_entries_stay BEFORE UPDATE ON ledger_entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_entries_remain BEFORE DELETE ON ledger_entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_postings_stay BEFORE UPDATE ON ledger_postings
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_postings_remain BEFORE DELETE ON ledger_postings
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- What uses something: projects, instances and databases, also when they are gone.
CREATE TABLE metered_resources (
    number       INTEGER PRIMARY KEY,
    project_id   TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('app', 'template', 'database')),
    slug         TEXT NOT NULL
);
CREATE INDEX metered_of_workspace ON metered_resources (workspace_id);

-- What was used in an hour, in millionths of unit-seconds; once the hour is over, what it was charged, and
-- what was left below the minor unit.
CREATE TABLE usage_hours (
    resource      BIGINT NOT NULL REFERENCES metered_resources (number),
    hour          BIGINT NOT NULL,
    cpu           BIGINT NOT NULL,
    ram           BIGINT NOT NULL,
    storage       BIGINT NOT NULL,
    amount        BIGINT,
    discount      BIGINT,
    net_rest      BIGINT,
    discount_rest BIGINT,
    PRIMARY KEY (resource, hour)
) WITHOUT ROWID;
CREATE INDEX usage_hours_open ON usage_hours (resource, hour) WHERE amount IS NULL;

-- What a workspace has used in a month (in UTC) that was charged, and what for.
CREATE TABLE usage_months (
    workspace_id TEXT NOT NULL,
    month        BIGINT NOT NULL,
    cpu          BIGINT NOT NULL,
    ram          BIGINT NOT NULL,
    storage      BIGINT NOT NULL,
    amount       BIGINT NOT NULL,
    discount     BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, month)
);

-- Up to when everything was metered, and the first hour that was not charged.
CREATE TABLE meter (
    id        BIGINT PRIMARY KEY CHECK (id = 1),
    boot      TEXT NOT NULL,
    uptime_ms BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    open_hour BIGINT NOT NULL
);
-- Replicas whose last run was metered before they were removed.
CREATE TABLE metered_ends (
    replica    TEXT PRIMARY KEY,
    started_at BIGINT
);

-- What is set aside for a project that is being deployed.
CREATE TABLE wallet_holds (
    project_id   TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    amount       BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX holds_of_workspace ON wallet_holds (workspace_id);

-- What workspaces were asked to pay.
CREATE TABLE topups (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES wallets (workspace_id),
    provider     TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('pending', 'paid', 'expired')),
    amount       BIGINT NOT NULL,
    currency     TEXT NOT NULL,
    -- By what a payment finds it: a text in a transfer, or a number.
    memo         TEXT NOT NULL UNIQUE,
    order_number BIGINT NOT NULL UNIQUE,
    -- What the provider calls it, where it was told of it.
    provider_id  TEXT,
    checkout_url TEXT,
    credited     BIGINT,
    created_by   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    polled_at    BIGINT
);
CREATE INDEX topups_of_workspace ON topups (workspace_id, created_at);
CREATE INDEX topups_pending ON topups (expires_at) WHERE status = 'pending';

-- What providers have told of, each payment once.
CREATE TABLE payments (
    id           TEXT PRIMARY KEY,
    provider     TEXT NOT NULL,
    external_id  TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('credited', 'review', 'resolved')),
    problem      TEXT,
    amount       BIGINT NOT NULL,
    currency     TEXT NOT NULL,
    text         TEXT NOT NULL,
    topup_id     TEXT REFERENCES topups (id),
    workspace_id TEXT REFERENCES wallets (workspace_id),
    credited     BIGINT,
    resolution   TEXT,
    created_at   BIGINT NOT NULL,
    UNIQUE (provider, external_id)
);
CREATE INDEX payments_to_review ON payments (created_at) WHERE status = 'review';

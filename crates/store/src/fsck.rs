//! Is the store consistent? Read-only; for `tosed admin fsck` and for tests.

use crate::database::Store;
use crate::error::{Error, Result};

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is broken.
    pub problem: &'static str,
    /// The rows that show it, 20 at most.
    pub rows: Vec<String>,
}

/// Each statement answers the rows that break the rule before it.
const RULES: [(&str, &str); 28] = [
    (
        "a workspace has no owner",
        "SELECT w.id FROM workspaces w WHERE w.deleted_at IS NULL AND NOT EXISTS
             (SELECT 1 FROM members m WHERE m.workspace_id = w.id AND m.role = 'owner')",
    ),
    (
        "an API key belongs to somebody who is no member",
        "SELECT k.id FROM api_keys k WHERE NOT EXISTS
             (SELECT 1 FROM members m WHERE m.workspace_id = k.workspace_id AND m.user_id = k.user_id)",
    ),
    (
        "a deleted workspace has keys, invitations, installations or live projects",
        "SELECT w.id FROM workspaces w WHERE w.deleted_at IS NOT NULL AND (
             EXISTS (SELECT 1 FROM api_keys k WHERE k.workspace_id = w.id)
             OR EXISTS (SELECT 1 FROM invitations i WHERE i.workspace_id = w.id)
             OR EXISTS (SELECT 1 FROM github_installations g WHERE g.workspace_id = w.id)
             OR EXISTS (SELECT 1 FROM projects p WHERE p.workspace_id = w.id AND p.deleted_at IS NULL))",
    ),
    (
        "a project has no default host name, or several",
        "SELECT p.id FROM projects p WHERE p.deleted_at IS NULL AND
             (SELECT COUNT(*) FROM domains d WHERE d.project_id = p.id AND d.is_default = 1) <> 1",
    ),
    (
        "a deleted project still has variables, a repository, credentials, drains, alert rules, a monitor, autoscaling, notices, backups or host names",
        "SELECT p.id FROM projects p WHERE p.deleted_at IS NOT NULL AND (
             EXISTS (SELECT 1 FROM env_vars e WHERE e.project_id = p.id)
             OR EXISTS (SELECT 1 FROM git_connections g WHERE g.project_id = p.id)
             OR EXISTS (SELECT 1 FROM registry_credentials r WHERE r.project_id = p.id)
             OR EXISTS (SELECT 1 FROM drains n WHERE n.project_id = p.id)
             OR EXISTS (SELECT 1 FROM alerts a WHERE a.project_id = p.id)
             OR EXISTS (SELECT 1 FROM alert_firings f WHERE f.project_id = p.id)
             OR EXISTS (SELECT 1 FROM notices o WHERE o.project_id = p.id)
             OR EXISTS (SELECT 1 FROM monitors m WHERE m.project_id = p.id)
             OR EXISTS (SELECT 1 FROM autoscaling a WHERE a.project_id = p.id)
             OR EXISTS (SELECT 1 FROM backups b WHERE b.project_id = p.id)
             OR EXISTS (SELECT 1 FROM domains d WHERE d.project_id = p.id))",
    ),
    (
        "a database's own row is missing, or belongs to no database",
        "SELECT p.id FROM projects p WHERE (p.kind = 'database' AND p.deleted_at IS NULL)
             <> EXISTS (SELECT 1 FROM databases b WHERE b.project_id = p.id)",
    ),
    (
        "a preview outlives its project",
        "SELECT x.id FROM projects x WHERE x.preview_of IS NOT NULL AND x.deleted_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = x.preview_of
                             AND p.workspace_id = x.workspace_id AND p.deleted_at IS NULL)",
    ),
    (
        "a deployment of a deleted project is not over",
        "SELECT x.id FROM deployments x JOIN projects p ON p.id = x.project_id
             WHERE p.deleted_at IS NOT NULL
             AND x.status IN ('queued', 'building', 'deploying', 'running')",
    ),
    (
        "a stopped project has a live deployment",
        "SELECT p.id FROM projects p JOIN deployments x ON x.project_id = p.id
             WHERE p.desired = 'stopped' AND x.status = 'running'",
    ),
    (
        "a row lies in another workspace than its project",
        "SELECT x.id FROM deployments x JOIN projects p ON p.id = x.project_id
             WHERE x.workspace_id <> p.workspace_id
         UNION ALL SELECT d.id FROM domains d JOIN projects p ON p.id = d.project_id
             WHERE d.workspace_id <> p.workspace_id
         UNION ALL SELECT e.project_id FROM env_vars e JOIN projects p ON p.id = e.project_id
             WHERE e.workspace_id <> p.workspace_id
         UNION ALL SELECT g.project_id FROM git_connections g JOIN projects p ON p.id = g.project_id
             WHERE g.workspace_id <> p.workspace_id
         UNION ALL SELECT r.project_id FROM registry_credentials r
             JOIN projects p ON p.id = r.project_id WHERE r.workspace_id <> p.workspace_id
         UNION ALL SELECT n.id FROM drains n JOIN projects p ON p.id = n.project_id
             WHERE n.workspace_id <> p.workspace_id
         UNION ALL SELECT a.id FROM alerts a JOIN projects p ON p.id = a.project_id
             WHERE a.workspace_id <> p.workspace_id
         UNION ALL SELECT m.project_id FROM monitors m JOIN projects p ON p.id = m.project_id
             WHERE m.workspace_id <> p.workspace_id
         UNION ALL SELECT a.project_id FROM autoscaling a JOIN projects p ON p.id = a.project_id
             WHERE a.workspace_id <> p.workspace_id
         UNION ALL SELECT o.id FROM notices o JOIN projects p ON p.id = o.project_id
             WHERE COALESCE(o.workspace_id, '') <> p.workspace_id
         UNION ALL SELECT b.project_id FROM databases b JOIN projects p ON p.id = b.project_id
             WHERE b.workspace_id <> p.workspace_id
         UNION ALL SELECT f.deployment_id FROM deployment_references f
             JOIN projects p ON p.id = f.project_id WHERE f.workspace_id <> p.workspace_id
         UNION ALL SELECT k.id FROM backups k JOIN projects p ON p.id = k.project_id
             WHERE k.workspace_id <> p.workspace_id
         UNION ALL SELECT v.id FROM push_deliveries v JOIN projects p ON p.id = v.project_id
             WHERE v.workspace_id <> p.workspace_id",
    ),
    (
        "a project that is down has no open incident, or one that is not has one",
        "SELECT m.project_id FROM monitors m WHERE (m.status = 'down') <> EXISTS
             (SELECT 1 FROM incidents i WHERE i.project_id = m.project_id AND i.ended_at IS NULL)",
    ),
    (
        "an alert fires for a project that its rule is not about, or while it is switched off",
        "SELECT a.id FROM alert_firings f JOIN alerts a ON a.id = f.alert_id
             JOIN projects p ON p.id = f.project_id
             WHERE a.enabled = 0 OR a.workspace_id <> p.workspace_id
             OR (a.project_id IS NOT NULL AND a.project_id <> f.project_id)",
    ),
    (
        "a delivery lies in another workspace than its notice or its channel",
        "SELECT d.notice_id FROM notice_deliveries d JOIN notices n ON n.id = d.notice_id
             WHERE COALESCE(d.workspace_id, '') <> COALESCE(n.workspace_id, '')
         UNION ALL SELECT d.notice_id FROM notice_deliveries d
             JOIN notification_channels c ON c.id = d.channel_id
             WHERE COALESCE(d.workspace_id, '') <> c.workspace_id",
    ),
    (
        "a deployment has a higher generation than its project",
        "SELECT x.id FROM deployments x JOIN projects p ON p.id = x.project_id
             WHERE x.generation > p.generation",
    ),
    (
        "a deployment that is over has no end, or one that is not has one",
        "SELECT id FROM deployments WHERE (status IN ('failed', 'stopped', 'cancelled', 'superseded'))
             <> (finished_at IS NOT NULL)",
    ),
    (
        "a monitor that waits for no heartbeats has a token for them",
        "SELECT project_id FROM monitors WHERE heartbeat_hash IS NOT NULL AND kind <> 'heartbeat'",
    ),
    (
        "a failed deployment does not say why",
        "SELECT id FROM deployments WHERE status = 'failed' AND COALESCE(error, '') = ''",
    ),
    (
        "a deployment is live or rolled out without an image",
        "SELECT id FROM deployments WHERE status IN ('deploying', 'running') AND image IS NULL",
    ),
    (
        "a login or reset belongs to nobody",
        "SELECT s.id FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = s.user_id)",
    ),
    (
        "two-factor is on without a secret",
        "SELECT id FROM users WHERE totp_confirmed_at IS NOT NULL AND totp_secret IS NULL",
    ),
    (
        "a workspace has no wallet",
        "SELECT x.id FROM workspaces x WHERE NOT EXISTS
             (SELECT 1 FROM wallets w WHERE w.workspace_id = x.id)",
    ),
    (
        "an entry of the ledger does not sum to zero",
        "SELECT e.reference FROM ledger_entries e WHERE COALESCE((SELECT SUM(p.amount)
             FROM ledger_postings p WHERE p.workspace_id = e.workspace_id AND p.number = e.number), 0) <> 0",
    ),
    (
        "an entry of the ledger and its posting to the wallet differ",
        "SELECT e.reference FROM ledger_entries e WHERE e.amount <> COALESCE((SELECT p.amount
             FROM ledger_postings p WHERE p.workspace_id = e.workspace_id AND p.number = e.number
             AND p.account = 'wallet/' || e.workspace_id), 0)",
    ),
    (
        "an entry of the ledger is missing, or does not follow from the one before it",
        "SELECT e.reference FROM ledger_entries e LEFT JOIN ledger_entries b
             ON b.workspace_id = e.workspace_id AND b.number = e.number - 1
             WHERE e.balance_after <> COALESCE(b.balance_after, 0) + e.amount
                OR (b.number IS NULL) <> (e.number = 1)",
    ),
    (
        "a wallet's balance is not what its entries have come to",
        "SELECT w.workspace FROM wallets w WHERE w.balance <> COALESCE((SELECT SUM(e.amount)
             FROM ledger_entries e WHERE e.workspace_id = w.workspace_id), 0)
             OR w.entries <> (SELECT COUNT(*) FROM ledger_entries e WHERE e.workspace_id = w.workspace_id)",
    ),
    (
        "the hours that were charged and the ledger differ",
        // Each table is added up once: there are many hours.
        "WITH hours AS (SELECT r.workspace_id, SUM(u.amount) AS amount FROM usage_hours u
                 JOIN metered_resources r ON r.number = u.resource
                 WHERE u.amount IS NOT NULL GROUP BY r.workspace_id),
             entries AS (SELECT workspace_id, -SUM(amount) AS amount FROM ledger_entries
                 WHERE kind = 'usage' GROUP BY workspace_id),
             months AS (SELECT workspace_id, SUM(amount) AS amount FROM usage_months
                 GROUP BY workspace_id)
         SELECT w.workspace_id FROM wallets w
             LEFT JOIN hours h ON h.workspace_id = w.workspace_id
             LEFT JOIN entries e ON e.workspace_id = w.workspace_id
             LEFT JOIN months m ON m.workspace_id = w.workspace_id
         WHERE COALESCE(h.amount, 0) <> COALESCE(e.amount, 0)
             OR COALESCE(h.amount, 0) <> COALESCE(m.amount, 0)",
    ),
    (
        "an hour that is over was not charged, or one that is not was",
        "SELECT u.resource || ' at ' || u.hour FROM usage_hours u JOIN meter m ON m.id = 1
             WHERE (u.amount IS NULL) <> (u.hour >= m.open_hour)",
    ),
    (
        "a payment and what was credited for it differ",
        "SELECT p.id FROM payments p LEFT JOIN ledger_entries e
             ON e.reference = 'payment/' || p.provider || '/' || p.external_id
             WHERE COALESCE(p.credited, 0) <> COALESCE(e.amount, 0)
                OR p.workspace_id IS NOT e.workspace_id",
    ),
];

const SHOWN: usize = 20;

impl Store {
    /// Checks every rule, and what SQLite can check by itself.
    pub async fn check(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (problem, statement) in RULES {
            let rows: Vec<String> = sqlx::query_scalar(statement)
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("check a rule"))?;
            if !rows.is_empty() {
                let rows = rows.into_iter().take(SHOWN).collect();
                findings.push(Finding { problem, rows });
            }
        }
        let dangling: Vec<String> = sqlx::query_scalar(
            "SELECT \"table\" || ' refers to ' || parent FROM pragma_foreign_key_check",
        )
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("check references"))?;
        if !dangling.is_empty() {
            findings.push(Finding {
                problem: "rows refer to others that are gone",
                rows: dangling.into_iter().take(SHOWN).collect(),
            });
        }
        let integrity: Vec<String> =
            sqlx::query_scalar("SELECT integrity_check FROM pragma_integrity_check")
                .fetch_all(self.readers())
                .await
                .map_err(Error::query("check the file"))?;
        if integrity.iter().any(|line| line != "ok") {
            findings.push(Finding {
                problem: "the database file is damaged",
                rows: integrity.into_iter().take(SHOWN).collect(),
            });
        }
        Ok(findings)
    }
}

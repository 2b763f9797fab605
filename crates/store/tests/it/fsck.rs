//! The suite's cases for `fsck`: what holds together is clean, and each rule notices its breach.
//!
//! The database is broken by a connection of the test's own, which checks no references. No
//! function of the store can do that.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tose_api::deployment::DeploymentStatus;
use tose_api::domain::DomainStatus;
use tose_api::workspace::Role;
use tose_api::{ProjectId, UserId};
use tose_model::deployment::state::Event;
use tose_model::secret::Sealed;
use tose_store::{Error, Finding, Store, Transition};

use crate::harness::Lab;

const GONE_REFERENCE: &str = "rows refer to others that are gone";
const NOBODYS_LOGIN: &str = "a login or reset belongs to nobody";

/// Statements that break a store of [`furnished`], and exactly what is found then.
const BREACHES: [(&str, &[&str]); 20] = [
    (
        "UPDATE members SET role = 'admin' WHERE role = 'owner'",
        &["a workspace has no owner"],
    ),
    (
        "DELETE FROM members WHERE role = 'member'",
        &["an API key belongs to somebody who is no member"],
    ),
    (
        "UPDATE invitations SET workspace_id =
             (SELECT id FROM workspaces WHERE deleted_at IS NOT NULL)",
        &["a deleted workspace has keys, invitations, installations or live projects"],
    ),
    (
        "UPDATE domains SET is_default = 0 WHERE hostname = 'shop.example.com'",
        &["a project has no default host name, or several"],
    ),
    (
        "UPDATE domains SET project_id = (SELECT id FROM projects WHERE slug = 'removed')
             WHERE hostname = 'app.example.org'",
        &[
            "a deleted project still has variables, a repository, credentials, drains, alert rules, a monitor, autoscaling, notices, backups or host names",
        ],
    ),
    (
        "INSERT INTO alerts (id, workspace_id, name, metric, comparison, threshold_milli, window_seconds, enabled,
                             revision, created_at, updated_at)
             SELECT 'rule', workspace_id, 'busy', 'restarts', 'above', 1, 60, 0, 1, 0, 0 FROM projects
             WHERE slug = 'shop';
         INSERT INTO alert_firings (alert_id, project_id, since)
             SELECT 'rule', id, 0 FROM projects WHERE slug = 'shop'",
        &["an alert fires for a project that its rule is not about, or while it is switched off"],
    ),
    (
        "DELETE FROM databases",
        &["a database's own row is missing, or belongs to no database"],
    ),
    (
        "UPDATE projects SET preview_of = (SELECT id FROM projects WHERE slug = 'removed')
             WHERE id = (SELECT id FROM projects WHERE deleted_at IS NULL LIMIT 1)",
        &["a preview outlives its project"],
    ),
    (
        "UPDATE deployments SET status = 'queued', finished_at = NULL
             WHERE project_id = (SELECT id FROM projects WHERE slug = 'removed')",
        &["a deployment of a deleted project is not over"],
    ),
    (
        "UPDATE projects SET desired = 'stopped' WHERE slug = 'shop'",
        &["a stopped project has a live deployment"],
    ),
    (
        "UPDATE deployments SET workspace_id =
             (SELECT id FROM workspaces WHERE deleted_at IS NOT NULL)
             WHERE project_id = (SELECT id FROM projects WHERE slug = 'shop')",
        &["a row lies in another workspace than its project"],
    ),
    (
        "INSERT INTO monitors (project_id, workspace_id, enabled, kind, interval_seconds, expected_status,
             timeout_ms, failures_before_down, revision, status, since, failures, reason, created_at, updated_at)
         SELECT id, workspace_id, 1, 'http', 60, '2xx', 500, 2, 1, 'down', 0, 2, 'it answered 500', 0, 0
             FROM projects WHERE slug = 'shop'",
        &["a project that is down has no open incident, or one that is not has one"],
    ),
    (
        "INSERT INTO monitors (project_id, workspace_id, enabled, kind, interval_seconds, expected_status,
             timeout_ms, failures_before_down, revision, status, since, failures, created_at, updated_at, heartbeat_hash)
         SELECT id, workspace_id, 1, 'tcp', 60, '2xx', 500, 2, 1, 'up', 0, 2, 0, 0, x'00'
             FROM projects WHERE slug = 'shop'",
        &["a monitor that waits for no heartbeats has a token for them"],
    ),
    (
        "UPDATE projects SET generation = 0 WHERE slug = 'shop'",
        &["a deployment has a higher generation than its project"],
    ),
    (
        "UPDATE deployments SET finished_at = NULL WHERE status = 'failed'",
        &["a deployment that is over has no end, or one that is not has one"],
    ),
    (
        "UPDATE deployments SET error = '' WHERE status = 'failed'",
        &["a failed deployment does not say why"],
    ),
    (
        "UPDATE deployments SET image = NULL WHERE status = 'running'",
        &["a deployment is live or rolled out without an image"],
    ),
    (
        "UPDATE sessions SET user_id = 'nobody'",
        &[NOBODYS_LOGIN, GONE_REFERENCE],
    ),
    (
        "UPDATE users SET totp_secret = NULL WHERE totp_secret IS NOT NULL",
        &["two-factor is on without a secret"],
    ),
    (
        "UPDATE recovery_codes SET user_id = 'nobody'",
        &[GONE_REFERENCE],
    ),
];

/// 30 logins of nobody.
const MANY_LOGINS: &str = "WITH RECURSIVE numbers (n) AS
         (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 30)
     INSERT INTO sessions (id, token_hash, user_id, created_at, last_seen_at, expires_at)
     SELECT 'login ' || n, CAST(n AS BLOB), 'nobody', 0, 0, 0 FROM numbers";

async fn run(path: &Path, statements: &'static str) {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false);
    let mut sqlite = SqliteConnection::connect_with(&options)
        .await
        .expect("a connection");
    let done = sqlx::raw_sql(statements)
        .execute(&mut sqlite)
        .await
        .expect("the statements run");
    assert!(done.rows_affected() > 0, "no row for {statements}");
    sqlite.close().await.expect("closed");
}

/// What is found in a copy of the database at `path` after `statements`.
async fn find_after(path: &Path, copy: &Path, statements: &'static str) -> Vec<Finding> {
    std::fs::copy(path, copy).expect("a copy");
    run(copy, statements).await;
    let store = Store::open(copy).await.expect("a store");
    let findings = store.check().await.expect("checked");
    store.close().await;
    findings
}

/// A store with all kinds of rows, closed: its file is complete.
async fn furnished() -> Lab {
    let lab = Lab::new().await;
    let owner = lab.owner(&lab.scope).await;
    add_account_rows(&lab, owner).await;
    let member = lab.member("member@example.com", Role::Member).await;
    lab.store
        .create_api_key(&lab.scope, member, &lab.key(1), &lab.event())
        .await
        .expect("a key");
    let invitation = lab.invitation("guest@example.com", Role::Admin);
    lab.store
        .create_invitation(&lab.scope, &invitation, &[2; 32], &lab.event())
        .await
        .expect("an invitation");
    add_projects(&lab).await;
    add_deleted_workspace(&lab).await;
    assert_eq!(lab.store.check().await.expect("checked"), []);
    lab.store.close().await;
    lab
}

async fn add_account_rows(lab: &Lab, id: UserId) {
    lab.login(id, 1).await;
    lab.store
        .create_password_reset(&[1; 32], id, lab.in_seconds(60))
        .await
        .expect("a reset");
    lab.store
        .set_totp_secret(id, &Sealed::from_bytes(vec![1]))
        .await
        .expect("a secret");
    lab.store
        .confirm_totp(id, 1, &[[1; 32]], lab.now())
        .await
        .expect("confirmed");
}

/// Projects whose deployments are in every status.
async fn add_projects(lab: &Lab) {
    let shop = lab.project("shop").await;
    for _ in 0..2 {
        let version = lab.deployment(shop).await;
        lab.promote(version).await;
    }
    start_building(lab, shop).await;
    lab.deployment(shop).await;
    let domain = lab.domain(&lab.scope, shop, "app.example.org", DomainStatus::Pending);
    lab.store
        .create_domain(&lab.scope, &domain, &lab.event())
        .await
        .expect("claimed");
    let broken = lab.project("broken").await;
    fail(lab, broken).await;
    let rolled_out = lab.project("rolled-out").await;
    let version = start_building(lab, rolled_out).await;
    lab.step(version, DeploymentStatus::Building, Event::ImageReady)
        .await
        .expect("a step");
    let stopped = lab.project("stopped").await;
    let version = lab.deployment(stopped).await;
    lab.promote(version).await;
    start_building(lab, stopped).await;
    lab.deployment(stopped).await;
    lab.store
        .stop_project(&lab.scope, stopped, lab.now(), &lab.event())
        .await
        .expect("stopped");
    lab.database("store").await;
    let removed = lab.project("removed").await;
    lab.deployment(removed).await;
    lab.store
        .delete_project(&lab.scope, removed, lab.now(), &lab.event())
        .await
        .expect("deleted");
}

async fn start_building(lab: &Lab, project_id: ProjectId) -> tose_api::DeploymentId {
    let id = lab.deployment(project_id).await;
    lab.step(id, DeploymentStatus::Queued, Event::BuildStarted)
        .await
        .expect("a step");
    id
}

async fn fail(lab: &Lab, project_id: ProjectId) {
    let id = start_building(lab, project_id).await;
    let why = Transition {
        error: Some("the image cannot be fetched".to_owned()),
        ..Transition::default()
    };
    let (from, event) = (DeploymentStatus::Building, Event::Failure);
    lab.store
        .transition_deployment(&lab.scope, id, from, event, &why, lab.now())
        .await
        .expect("it fails");
}

async fn add_deleted_workspace(lab: &Lab) {
    let scope = lab.workspace("gone").await;
    lab.try_project(&scope, "left", &["left.example.com"])
        .await
        .expect("a project");
    lab.database_of(&scope, "kept").await;
    lab.store
        .delete_workspace(&scope, lab.now(), &lab.event())
        .await
        .expect("deleted");
}

#[tokio::test]
async fn a_fresh_store_is_clean() {
    let lab = Lab::new().await;
    assert_eq!(lab.store.check().await.expect("checked"), []);
}

#[tokio::test]
async fn a_store_that_did_all_kinds_of_things_is_clean_until_each_rule_is_broken() {
    let lab = furnished().await;
    for (number, (statements, problems)) in BREACHES.into_iter().enumerate() {
        let copy = lab.path().with_file_name(format!("breach-{number}.db"));
        let findings = find_after(&lab.path(), &copy, statements).await;
        let found: Vec<_> = findings.iter().map(|finding| finding.problem).collect();
        assert_eq!(found, problems, "after {statements}");
        assert!(findings.iter().all(|finding| !finding.rows.is_empty()));
    }
}

#[tokio::test]
async fn a_finding_names_the_rows_and_no_more_than_twenty() {
    let lab = furnished().await;
    let copy = lab.path().with_file_name("many.db");
    let findings = find_after(&lab.path(), &copy, MANY_LOGINS).await;
    for finding in &findings {
        assert_eq!(finding.rows.len(), 20, "{}", finding.problem);
    }
    let logins = findings
        .iter()
        .find(|finding| finding.problem == NOBODYS_LOGIN)
        .expect("a finding");
    assert!(logins.rows.iter().all(|row| row.starts_with("login ")));
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_no_clean_one() {
    let lab = Lab::new().await;
    lab.store.close().await;
    let failed = lab.store.check().await;
    assert!(matches!(failed, Err(Error::Query { .. })), "{failed:?}");
}

//! The suite's cases for `uptime` and `uptime_history`.

use std::time::Duration;

use sqlx::Connection;

use tose_api::envelope::Paging;
use tose_api::uptime::{CheckView, MonitorKind, UptimeStatus};
use tose_api::{ProjectId, Timestamp};
use tose_model::IdGen;
use tose_model::secret::Sealed;
use tose_model::uptime::{CertificateWatch, Condition, Seen};
use tose_store::{CheckOutcome, CheckSum, Error, Monitor, MonitorSettings};

use crate::harness::Lab;

fn monitor(lab: &Lab, project_id: ProjectId) -> Monitor {
    Monitor {
        project_id,
        workspace_id: lab.scope.id(),
        settings: MonitorSettings {
            is_enabled: true,
            kind: MonitorKind::Http,
            interval_seconds: 60,
            check_url: Some("https://example.com".to_owned()),
            expected_status: "2xx".to_owned(),
            keyword: Some("well".to_owned()),
            timeout_ms: 500,
            failures_before_down: 2,
            discord_webhook: Some(Sealed::from_bytes(vec![1, 2, 3])),
            discord_origin: Some("https://discord.com".to_owned()),
            notify_email: Some("ops@example.com".parse().expect("an address")),
            certificate_warn_days: 14,
            heartbeat_grace_seconds: 60,
        },
        revision: 0,
        condition: Condition::new(lab.now()),
        last_checked_at: None,
        last_response_ms: None,
        certificate: CertificateWatch::default(),
        heartbeat_at: None,
    }
}

async fn set(lab: &Lab, monitor: &Monitor) -> Result<(), Error> {
    let now = lab.now();
    lab.store
        .set_monitor(&lab.scope, monitor, now, &lab.event())
        .await
}

async fn read(lab: &Lab, id: ProjectId) -> Monitor {
    let found = lab.store.find_monitor(&lab.scope, id).await;
    found.expect("asked").expect("a monitor")
}

/// What a check finds at `at`, on top of what the store has.
async fn found(lab: &Lab, id: ProjectId, seen: Seen, at: Timestamp) -> CheckOutcome {
    let monitor = read(lab, id).await;
    let reason = match &seen {
        Seen::Failed(reason) => Some(reason.clone()),
        _ => None,
    };
    CheckOutcome {
        project_id: id,
        revision: monitor.revision,
        check: Some(CheckView {
            time: at,
            ok: reason.is_none(),
            status_code: Some(200),
            response_ms: 7,
            reason,
            maintenance: false,
        }),
        condition: monitor.condition.next(seen, 1, at).0,
        certificate: None,
        at,
    }
}

async fn note(lab: &Lab, id: ProjectId, seen: Seen, at: Timestamp) -> bool {
    let outcome = found(lab, id, seen, at).await;
    lab.store.note_outcomes(&[outcome]).await.expect("noted")[0]
}

fn failed() -> Seen {
    Seen::Failed("it answered 500".to_owned())
}

#[tokio::test]
async fn monitors_are_kept_and_changed_unless_somebody_else_was_first() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let mut first = monitor(&lab, id);
    assert_eq!(
        lab.store.find_monitor(&lab.scope, id).await.expect("read"),
        None
    );
    set(&lab, &first).await.expect("set");
    let again = set(&lab, &first).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    first.revision = 1;
    assert_eq!(read(&lab, id).await, first);
    let due = lab.store.list_monitors_for_task().await;
    assert_eq!(due.expect("a list"), [first.clone()]);
    first.settings.timeout_ms = 700;
    set(&lab, &first).await.expect("set");
    let stale = set(&lab, &first).await;
    assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
    let other = lab.workspace("other").await;
    let foreign = lab.store.find_monitor(&other, id).await;
    assert_eq!(foreign.expect("read"), None);
    let mut gone = monitor(&lab, id);
    gone.project_id = ProjectId::from_uuid(lab.ids.uuid());
    let nowhere = set(&lab, &gone).await;
    assert!(matches!(nowhere, Err(Error::NotFound(_))), "{nowhere:?}");
}

#[tokio::test]
async fn an_incident_is_open_exactly_while_it_is_down() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    set(&lab, &monitor(&lab, id)).await.expect("set");
    let incidents = async || {
        let listed = lab.store.list_incidents(&lab.scope, id, 20).await;
        listed.expect("a list")
    };
    for (second, seen) in [(1, failed()), (2, failed()), (3, Seen::Good), (4, failed())] {
        assert!(note(&lab, id, seen, lab.in_seconds(second)).await);
        assert_eq!(lab.store.check().await.expect("checked"), []);
    }
    let listed = incidents().await;
    let times: Vec<_> = listed
        .iter()
        .map(|one| (one.started_at, one.ended_at))
        .collect();
    let expected = [
        (lab.in_seconds(4), None),
        (lab.in_seconds(1), Some(lab.in_seconds(3))),
    ];
    assert_eq!(times, expected);
    let stale = found(&lab, id, Seen::Good, lab.in_seconds(5)).await;
    let mut off = read(&lab, id).await;
    assert_eq!(off.condition.status, UptimeStatus::Down);
    assert_eq!(off.last_response_ms, Some(7));
    off.settings.is_enabled = false;
    set(&lab, &off).await.expect("set");
    assert_eq!(incidents().await[0].ended_at, Some(lab.now()));
    assert_eq!(read(&lab, id).await.condition.status, UptimeStatus::Paused);
    let counted = lab.store.note_outcomes(&[stale]).await.expect("noted");
    assert_eq!(counted, [false], "it was changed meanwhile");
    assert_eq!(read(&lab, id).await.condition.status, UptimeStatus::Paused);
    assert_eq!(lab.store.check().await.expect("checked"), []);
}

#[tokio::test]
async fn checks_are_listed_summed_and_forgotten_in_their_time() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    set(&lab, &monitor(&lab, id)).await.expect("set");
    let day = 24 * 3600;
    for (seconds, seen) in [(0, Seen::Good), (60, failed()), (8 * day, Seen::Good)] {
        note(&lab, id, seen, lab.in_seconds(seconds)).await;
    }
    let list = async |start, end, page| {
        let paging = Paging::new(Some(page), Some(2)).expect("a page");
        let listed = lab.store.list_checks(&lab.scope, id, (start, end), paging);
        let (checks, total) = listed.await.expect("a list");
        let times: Vec<_> = checks.iter().map(|check| check.time).collect();
        (times, total)
    };
    let at = |seconds| lab.in_seconds(seconds);
    assert_eq!(list(None, None, 1).await, (vec![at(8 * day), at(60)], 3));
    assert_eq!(list(None, None, 2).await, (vec![at(0)], 3));
    assert_eq!(list(Some(at(60)), Some(at(61)), 1).await, (vec![at(60)], 1));
    let sums = async |now: Timestamp| {
        let since = [1, 30].map(|days| now.saturating_sub(Duration::from_secs(days * day)));
        let summed = lab.store.sum_checks(&lab.scope, id, since).await;
        summed
            .expect("sums")
            .map(|CheckSum { total, good }| (good, total))
    };
    assert_eq!(sums(at(8 * day)).await, [(1, 1), (2, 3)]);
    let forget = async |now| {
        lab.store
            .forget_old_checks_for_task(now)
            .await
            .expect("done")
    };
    forget(at(8 * day)).await;
    assert_eq!(list(None, None, 1).await, (vec![at(8 * day)], 1));
    assert_eq!(
        sums(at(8 * day)).await,
        [(1, 1), (2, 3)],
        "sums stay longer"
    );
    forget(at(97 * day)).await;
    assert_eq!(sums(at(8 * day)).await, [(1, 1), (1, 1)]);
    forget(at(200 * day)).await;
    assert_eq!(sums(at(8 * day)).await, [(0, 0), (0, 0)]);
    let incidents = lab.store.list_incidents(&lab.scope, id, 20).await;
    assert_eq!(incidents.expect("a list"), []);
}

/// A round of checks: good ones, failures, monitors changed meanwhile, certificates, maintenances, and some twice.
async fn round(lab: &Lab, ids: &[ProjectId], round: u64) -> Vec<CheckOutcome> {
    let mut outcomes = Vec::new();
    for (place, id) in (0..).zip(ids) {
        let at = lab.in_seconds(60 * round);
        let seen = match (place + round) % 5 {
            0 => failed(),
            _ => Seen::Good,
        };
        let mut outcome = found(lab, *id, seen, at).await;
        if (place + round).is_multiple_of(7) {
            outcome.revision += 1;
        }
        if place % 3 == 0 {
            outcome.certificate = Some(CertificateWatch {
                expires_at: Some(lab.in_seconds(9)),
                is_told: true,
            });
        }
        if let Some(check) = &mut outcome.check {
            check.maintenance = place % 4 == 0;
        }
        if place % 11 == 0 {
            let mut second = outcome.clone();
            let later = lab.in_seconds(60 * round + 1);
            (second.condition, _) = outcome.condition.next(Seen::Good, 1, later);
            second.at = later;
            second.check = None;
            outcomes.extend([outcome, second]);
        } else {
            outcomes.push(outcome);
        }
    }
    outcomes
}

#[tokio::test]
async fn many_that_come_together_are_noted_as_one_after_the_other() {
    let (together, single) = (Lab::new().await, Lab::new().await);
    let mut ids = [Vec::new(), Vec::new()];
    for (lab, ids) in [&together, &single].into_iter().zip(&mut ids) {
        for number in 0..30 {
            let id = lab.project(&format!("p{number}")).await;
            set(lab, &monitor(lab, id)).await.expect("set");
            ids.push(id);
        }
    }
    for number in 1..12 {
        let outcomes = round(&together, &ids[0], number).await;
        let noted = together.store.note_outcomes(&outcomes).await;
        let mut one_by_one = Vec::new();
        for outcome in round(&single, &ids[1], number).await {
            let noted = single.store.note_outcomes(&[outcome]).await.expect("noted");
            one_by_one.extend(noted);
        }
        assert_eq!(noted.expect("noted"), one_by_one);
        assert!(one_by_one.contains(&true) && one_by_one.contains(&false));
        for (a, b) in ids[0].iter().zip(&ids[1]) {
            assert_eq!(whole(&together, *a).await, whole(&single, *b).await);
        }
        assert_eq!(together.store.check().await.expect("checked"), []);
    }
}

/// All that is kept of a project's checks.
async fn whole(lab: &Lab, id: ProjectId) -> String {
    let known = read(lab, id).await;
    let paging = Paging::new(None, None).expect("a page");
    let checks = lab.store.list_checks(&lab.scope, id, (None, None), paging);
    let sums = lab.store.sum_checks(&lab.scope, id, [lab.now()]).await;
    let incidents = lab.store.list_incidents(&lab.scope, id, 20).await;
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        known.condition,
        known.last_checked_at,
        known.last_response_ms,
        known.certificate,
        checks.await.expect("checks"),
        sums.expect("sums"),
        incidents.expect("incidents"),
    )
}

#[tokio::test]
async fn more_are_noted_at_once_than_a_statement_takes() {
    let lab = Lab::new().await;
    let mut outcomes = Vec::new();
    for number in 0..520 {
        let id = lab.project(&format!("p{number}")).await;
        set(&lab, &monitor(&lab, id)).await.expect("set");
        note(&lab, id, Seen::Good, lab.in_seconds(1)).await;
        outcomes.push(found(&lab, id, Seen::Good, lab.in_seconds(61)).await);
    }
    let counted = lab.store.note_outcomes(&outcomes).await.expect("noted");
    assert!(counted.iter().all(|counts| *counts));
    for outcome in &outcomes {
        let sums = lab
            .store
            .sum_checks(&lab.scope, outcome.project_id, [lab.now()]);
        let [sum] = sums.await.expect("sums");
        assert_eq!(sum, CheckSum { total: 2, good: 2 });
    }
}

#[tokio::test]
async fn it_all_goes_with_the_project() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    set(&lab, &monitor(&lab, id)).await.expect("set");
    note(&lab, id, failed(), lab.in_seconds(1)).await;
    let late = found(&lab, id, Seen::Good, lab.in_seconds(2)).await;
    lab.store
        .delete_project(&lab.scope, id, lab.now(), &lab.event())
        .await
        .expect("deleted");
    assert_eq!(
        lab.store.find_monitor(&lab.scope, id).await.expect("read"),
        None
    );
    let counted = lab.store.note_outcomes(&[late]).await.expect("noted");
    assert_eq!(counted, [false]);
    let listed = lab.store.list_incidents(&lab.scope, id, 20).await;
    assert_eq!(listed.expect("a list"), []);
    assert_eq!(lab.store.check().await.expect("checked"), []);
}

#[tokio::test]
async fn a_token_is_of_a_monitor_that_waits_for_heartbeats() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let mut wanted = monitor(&lab, id);
    set(&lab, &wanted).await.expect("set");
    let (hash, event) = ([7; 32], lab.event());
    let token = async |event| {
        lab.store
            .set_heartbeat_token(&lab.scope, id, &hash, event)
            .await
    };
    let refused = token(&event).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    wanted.revision = 1;
    wanted.settings.kind = MonitorKind::Heartbeat;
    set(&lab, &wanted).await.expect("set");
    token(&event).await.expect("set");
    let at = lab.in_seconds(9);
    assert!(lab.store.note_heartbeat(&hash, at).await.expect("noted"));
    // A clock that was set back takes nothing away.
    let earlier = lab.store.note_heartbeat(&hash, lab.now()).await;
    assert!(earlier.expect("noted"));
    assert_eq!(read(&lab, id).await.heartbeat_at, Some(at));
    assert_eq!(lab.store.check().await.expect("checked"), []);
    wanted.revision = 2;
    wanted.settings.kind = MonitorKind::Tcp;
    set(&lab, &wanted).await.expect("set");
    let found = lab.store.find_heartbeat(&hash).await.expect("asked");
    assert_eq!(found, None);
    assert_eq!(read(&lab, id).await.heartbeat_at, None);
}

/// A database as the versions before certificates and heartbeats left it.
#[tokio::test]
async fn monitors_of_before_there_were_other_kinds_keep_all_they_have() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("old.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .foreign_keys(false);
    let mut old = sqlx::SqliteConnection::connect_with(&options)
        .await
        .expect("a database");
    let mut migrator = sqlx::migrate!("./migrations");
    let before = migrator.migrations.iter().filter(|one| one.version < 23);
    migrator.migrations = before.cloned().collect::<Vec<_>>().into();
    migrator.run(&mut old).await.expect("migrated");
    let id = "01890000-0000-7000-8000-000000000001";
    for statement in [
        format!(
            "INSERT INTO monitors (project_id, workspace_id, enabled, kind, interval_seconds, expected_status,
                 timeout_ms, failures_before_down, revision, status, since, failures, reason, created_at, updated_at)
             VALUES ('{id}', '{id}', 1, 'tcp', 60, '2xx', 100, 2, 7, 'down', 1, 3, 'why', 1, 1)"
        ),
        format!("INSERT INTO incidents (project_id, started_at, reason) VALUES ('{id}', 1, 'why')"),
        format!("INSERT INTO checks (project_id, at, ok, response_ms, reason) VALUES ('{id}', 1, 0, 5, 'why')"),
        format!("INSERT INTO check_hours (project_id, hour, total, good) VALUES ('{id}', 0, 4, 3)"),
    ] {
        let query = sqlx::query(sqlx::AssertSqlSafe(statement));
        query.execute(&mut old).await.expect("written");
    }
    old.close().await.expect("closed");
    let store = tose_store::Store::open(&path).await.expect("migrated");
    let scope = tose_model::access::WorkspaceScope::for_task(id.parse().expect("an id"));
    let id: ProjectId = id.parse().expect("an id");
    let monitors = store.list_monitors_for_task().await.expect("a list");
    assert_eq!(monitors.len(), 1);
    assert_eq!(
        (monitors[0].settings.kind, monitors[0].revision),
        (MonitorKind::Tcp, 7)
    );
    assert_eq!(monitors[0].settings.certificate_warn_days, 14);
    let incidents = store.list_incidents(&scope, id, 9).await.expect("a list");
    assert_eq!((incidents.len(), incidents[0].ended_at), (1, None));
    let paging = Paging::new(None, None).expect("a page");
    let checks = store.list_checks(&scope, id, (None, None), paging).await;
    assert_eq!(checks.expect("a list").1, 1);
    let sums = store
        .sum_checks(&scope, id, [Timestamp::from_nanos(0)])
        .await;
    assert_eq!(sums.expect("sums"), [CheckSum { total: 4, good: 3 }]);
}

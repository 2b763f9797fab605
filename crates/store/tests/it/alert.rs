//! The suite's cases for `alert`.

use std::time::Duration;

use tose_api::alert::{AlertComparison, AlertMetric, MetricValue};
use tose_api::notification::NoticeEvent;
use tose_api::{AlertId, NoticeId, ProjectId};
use tose_model::IdGen;
use tose_model::access::WorkspaceScope;
use tose_model::alert::AlertRule;
use tose_store::{Alert, AlertBoard, AlertFiring, Error, Notice};

use crate::harness::Lab;

const MOST: u32 = 2;
const PACE: Duration = Duration::from_secs(10);

fn alert(lab: &Lab, project_id: Option<ProjectId>, name: &str) -> Alert {
    Alert {
        id: AlertId::from_uuid(lab.ids.uuid()),
        workspace_id: lab.scope.id(),
        name: name.parse().expect("a slug"),
        rule: AlertRule {
            metric: AlertMetric::CpuPercent,
            comparison: AlertComparison::Above,
            threshold: MetricValue::from_milli(90_500),
            window_seconds: 300,
        },
        project_id,
        is_enabled: true,
        revision: 1,
        created_at: lab.now(),
        updated_at: lab.now(),
    }
}

async fn create(lab: &Lab, alert: &Alert) -> Result<(), Error> {
    lab.store
        .create_alert(&lab.scope, alert, MOST, &lab.event())
        .await
}

async fn update(lab: &Lab, alert: &Alert) -> Result<(), Error> {
    lab.store
        .update_alert(&lab.scope, alert, &lab.event())
        .await
}

async fn read(lab: &Lab, alert: &Alert) -> Option<Alert> {
    let found = lab.store.find_alert(&lab.scope, alert.id).await;
    found.expect("read")
}

fn firing(lab: &Lab, alert: &Alert, project_id: ProjectId) -> AlertFiring {
    AlertFiring {
        alert_id: alert.id,
        project_id,
        since: lab.now(),
    }
}

fn notice(lab: &Lab, firing: &AlertFiring, event: NoticeEvent) -> Notice {
    Notice {
        id: NoticeId::from_uuid(lab.ids.uuid()),
        workspace_id: Some(lab.scope.id()),
        project_id: Some(firing.project_id),
        event,
        key: format!("{}/{}", event.as_str(), firing.alert_id),
        title: "busy".to_owned(),
        text: String::new(),
        at: lab.now(),
    }
}

async fn open_in(lab: &Lab, scope: &WorkspaceScope, alert: &Alert, firing: &AlertFiring) -> bool {
    let notice = notice(lab, firing, NoticeEvent::AlertFiring);
    let opened = lab
        .store
        .open_alert_firing(scope, alert, firing, &notice, PACE)
        .await;
    opened.expect("asked")
}

async fn open(lab: &Lab, alert: &Alert, firing: &AlertFiring) -> bool {
    open_in(lab, &lab.scope, alert, firing).await
}

async fn close(lab: &Lab, alert: &Alert, firing: &AlertFiring) -> bool {
    let notice = notice(lab, firing, NoticeEvent::AlertResolved);
    let closed = lab
        .store
        .close_alert_firing(&lab.scope, alert, firing, &notice, PACE)
        .await;
    closed.expect("asked")
}

async fn firings(lab: &Lab) -> Vec<AlertFiring> {
    let listed = lab.store.list_alert_firings(&lab.scope).await;
    listed.expect("a list")
}

async fn board(lab: &Lab) -> AlertBoard {
    let read = lab.store.read_alert_board_for_task().await;
    read.expect("a board")
}

async fn is_told(lab: &Lab, event: NoticeEvent, alert: &Alert) -> bool {
    let key = format!("{}/{}", event.as_str(), alert.id);
    let noted = lab.store.is_noted(Some(lab.scope.id()), &key).await;
    noted.expect("read")
}

#[tokio::test]
async fn rules_are_kept_changed_and_forgotten() {
    let lab = Lab::new().await;
    let shop = lab.project("shop").await;
    let first = alert(&lab, Some(shop), "b");
    create(&lab, &first).await.expect("made");
    assert_eq!(read(&lab, &first).await, Some(first.clone()));
    let same_name = create(&lab, &alert(&lab, None, "b")).await;
    assert!(matches!(same_name, Err(Error::Taken(_))), "{same_name:?}");
    let second = alert(&lab, None, "a");
    create(&lab, &second).await.expect("made");
    let third = create(&lab, &alert(&lab, None, "c")).await;
    assert!(matches!(third, Err(Error::Conflict(_))), "{third:?}");
    let listed = lab.store.list_alerts(&lab.scope).await.expect("a list");
    assert_eq!(listed, [second.clone(), first.clone()]);

    let mut changed = first.clone();
    changed.rule.metric = AlertMetric::P95Ms;
    changed.rule.comparison = AlertComparison::Below;
    changed.rule.window_seconds = 60;
    changed.project_id = None;
    changed.is_enabled = false;
    changed.updated_at = lab.in_seconds(5);
    update(&lab, &changed).await.expect("changed");
    let again = update(&lab, &changed).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    changed.revision = 2;
    assert_eq!(read(&lab, &first).await, Some(changed.clone()));
    changed.name = "a".parse().expect("a slug");
    let taken = update(&lab, &changed).await;
    assert!(matches!(taken, Err(Error::Taken(_))), "{taken:?}");
    assert_eq!(board(&lab).await.alerts, std::slice::from_ref(&second));

    let delete = async || {
        let (id, event) = (second.id, lab.event());
        lab.store.delete_alert(&lab.scope, id, &event).await
    };
    delete().await.expect("deleted");
    assert!(matches!(delete().await, Err(Error::NotFound(_))));
    assert_eq!(read(&lab, &second).await, None);
    assert_eq!(board(&lab).await, AlertBoard::default());
}

#[tokio::test]
async fn another_workspace_has_nothing_to_do_with_it() {
    let lab = Lab::new().await;
    let (other, shop) = (lab.workspace("other").await, lab.project("shop").await);
    let rule = alert(&lab, None, "busy");
    create(&lab, &rule).await.expect("made");
    let fires = firing(&lab, &rule, shop);
    assert!(!open_in(&lab, &other, &rule, &fires).await);
    assert!(open(&lab, &rule, &fires).await);
    let store = &lab.store;
    assert_eq!(store.list_alerts(&other).await.expect("a list"), []);
    assert_eq!(store.list_alert_firings(&other).await.expect("a list"), []);
    assert_eq!(store.list_alert_projects(&other).await.expect("a list"), []);
    assert_eq!(store.find_alert(&other, rule.id).await.expect("read"), None);
    let deleted = store.delete_alert(&other, rule.id, &lab.event()).await;
    assert!(matches!(deleted, Err(Error::NotFound(_))));
    let changed = store.update_alert(&other, &rule, &lab.event()).await;
    assert!(matches!(changed, Err(Error::NotFound(_))));
    // A rule is about projects of its own workspace.
    let stranger = lab.try_project(&other, "blog", &["blog.example.com"]).await;
    let stranger = stranger.expect("a project");
    let about = create(&lab, &alert(&lab, Some(stranger), "theirs")).await;
    assert!(matches!(about, Err(Error::NotFound(_))), "{about:?}");
    assert!(!open(&lab, &rule, &firing(&lab, &rule, stranger)).await);
    assert_eq!(firings(&lab).await, [fires]);
    let projects = board(&lab).await.projects;
    let slugs: Vec<_> = projects.iter().map(|one| one.slug.as_str()).collect();
    assert_eq!(slugs, ["shop"]);
}

#[tokio::test]
async fn what_fires_is_noted_and_told_once_by_the_rule_as_it_is() {
    let lab = Lab::new().await;
    let shop = lab.project("shop").await;
    let mut rule = alert(&lab, Some(shop), "busy");
    create(&lab, &rule).await.expect("made");
    let fires = firing(&lab, &rule, shop);
    assert!(!close(&lab, &rule, &fires).await);
    assert!(!is_told(&lab, NoticeEvent::AlertResolved, &rule).await);
    assert!(open(&lab, &rule, &fires).await);
    assert!(is_told(&lab, NoticeEvent::AlertFiring, &rule).await);
    let later = AlertFiring {
        since: lab.in_seconds(10),
        ..fires
    };
    assert!(!open(&lab, &rule, &later).await);
    assert!(!close(&lab, &rule, &later).await);
    assert_eq!(board(&lab).await.firings, [fires]);
    // Another name is no other rule.
    rule.name = "hot".parse().expect("a slug");
    update(&lab, &rule).await.expect("changed");
    assert!(!close(&lab, &rule, &fires).await, "by the older rule");
    rule.revision = 2;
    assert_eq!(firings(&lab).await, [fires]);
    assert!(close(&lab, &rule, &fires).await);
    assert!(!close(&lab, &rule, &fires).await);
    assert!(is_told(&lab, NoticeEvent::AlertResolved, &rule).await);
    assert_eq!(firings(&lab).await, []);
    assert_eq!(lab.store.check().await.expect("checked"), []);
}

#[tokio::test]
async fn what_fires_goes_with_a_change_of_the_rule() {
    let lab = Lab::new().await;
    let shop = lab.project("shop").await;
    let mut rule = alert(&lab, Some(shop), "busy");
    create(&lab, &rule).await.expect("made");
    let changes: [fn(&mut Alert); 6] = [
        |alert| alert.rule.threshold = MetricValue::from_milli(1),
        |alert| alert.rule.metric = AlertMetric::Restarts,
        |alert| alert.rule.comparison = AlertComparison::Below,
        |alert| alert.rule.window_seconds = 60,
        |alert| alert.project_id = None,
        |alert| alert.is_enabled = false,
    ];
    for change in changes {
        assert!(open(&lab, &rule, &firing(&lab, &rule, shop)).await);
        change(&mut rule);
        update(&lab, &rule).await.expect("changed");
        rule.revision += 1;
        assert_eq!(firings(&lab).await, [], "{rule:?}");
    }
    // It is switched off now.
    assert!(!open(&lab, &rule, &firing(&lab, &rule, shop)).await);
    assert_eq!(lab.store.check().await.expect("checked"), []);
}

#[tokio::test]
async fn rules_go_with_their_project_and_their_workspace() {
    let lab = Lab::new().await;
    let (shop, blog) = (lab.project("shop").await, lab.project("blog").await);
    let (own, all) = (alert(&lab, Some(shop), "own"), alert(&lab, None, "all"));
    create(&lab, &own).await.expect("made");
    create(&lab, &all).await.expect("made");
    assert!(open(&lab, &own, &firing(&lab, &own, shop)).await);
    assert!(open(&lab, &all, &firing(&lab, &all, shop)).await);
    let stays = firing(&lab, &all, blog);
    assert!(open(&lab, &all, &stays).await);
    lab.store
        .delete_project(&lab.scope, shop, lab.now(), &lab.event())
        .await
        .expect("deleted");
    let seen = board(&lab).await;
    assert_eq!(seen.alerts, std::slice::from_ref(&all));
    assert_eq!(seen.firings, [stays]);
    assert_eq!(seen.projects.len(), 1);
    // Its name is free.
    create(&lab, &alert(&lab, None, "own")).await.expect("made");
    assert!(!open(&lab, &all, &firing(&lab, &all, shop)).await);
    assert_eq!(lab.store.check().await.expect("checked"), []);
    lab.store
        .delete_workspace(&lab.scope, lab.now(), &lab.event())
        .await
        .expect("deleted");
    assert_eq!(board(&lab).await, AlertBoard::default());
    assert_eq!(lab.store.check().await.expect("checked"), []);
}

#[tokio::test]
async fn it_is_known_what_is_to_run() {
    let lab = Lab::new().await;
    let (shop, blog) = (lab.project("shop").await, lab.project("blog").await);
    create(&lab, &alert(&lab, None, "all")).await.expect("made");
    lab.store
        .stop_project(&lab.scope, blog, lab.now(), &lab.event())
        .await
        .expect("stopped");
    let projects = board(&lab).await.projects;
    let is_to_run = |id| {
        let found = projects.iter().find(|project| project.id == id);
        found.expect("a project").is_to_run
    };
    assert!(is_to_run(shop));
    assert!(!is_to_run(blog));
}

//! How many checks run at once: those that never end hold up their own workspace first, and everybody in the end.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tose_api::deployment::Trigger;
use tose_api::event::Via;
use tose_api::project::Source;
use tose_api::{Cpu, DeploymentId, DomainId, EventId, ProjectId, Ram};
use tose_model::access::{Actor, WorkspaceScope};
use tose_model::deployment::state::Event;
use tose_model::process::Processes;
use tose_model::project::RunSpec;
use tose_model::secret::Sealed;
use tose_model::{Clock, IdGen};
use tose_store::{NewDeployment, NewEvent, NewKind, NewProject, Store, Transition};

use super::site::{Behaviour, Site};
use super::{INTERVAL, checks, has_status, reach_loopback, watch};
use crate::harness::{Client, Lab, eventually};

/// How many checks run at once, and how many of one workspace.
const AT_ONCE: usize = 256;
const OF_ONE_WORKSPACE: usize = 64;

/// A workspace with so many projects, and their slugs. The store says of each that it is live: that is all that checks
/// ask for, and as many deployments would take their time.
async fn workspace_of(lab: &Lab, name: &str, count: usize) -> (Client, Vec<String>) {
    let owner = lab.owner(name).await;
    let data_dir = lab.data_dir().join("data");
    let store = tose_server::open_store(&data_dir).await.expect("the store");
    let slug = name.parse().expect("a slug");
    let found = store.find_workspace_for_operator(&slug).await;
    let workspace_id = found.expect("an answer").expect("a workspace");
    let scope = &WorkspaceScope::for_task(workspace_id);
    let slugs: Vec<_> = (0..count).map(|number| format!("p{number}")).collect();
    join_all(slugs.iter().map(|slug| make_live(lab, &store, scope, slug))).await;
    store.close().await;
    (owner, slugs)
}

async fn make_live(lab: &Lab, store: &Store, scope: &WorkspaceScope, slug: &str) {
    let run = RunSpec {
        port: 3000_u64.try_into().expect("a port"),
        cpu: Cpu::from_milli(500).expect("in range"),
        ram: Ram::from_milli(500).expect("in range"),
        health_check_path: None,
        start_command: None,
        release_command: None,
        processes: Processes::new(),
        volumes: Vec::new(),
        file: None,
    };
    let event = || NewEvent {
        id: EventId::from_uuid(lab.ids.uuid()),
        actor: Actor {
            user_id: None,
            name: "a test".to_owned(),
            via: Via::ApiKey,
            ip: None,
            idempotency: None,
        },
        action: "test",
        target: slug.to_owned(),
        at: lab.clock.now(),
    };
    let project = NewProject {
        id: ProjectId::from_uuid(lab.ids.uuid()),
        name: slug.to_owned(),
        slug: slug.parse().expect("a slug"),
        source: Source::Image,
        image: Some("app:1".parse().expect("an image")),
        run: run.clone(),
        build: None,
        region: "local".parse().expect("a region"),
        replicas: 1,
        domain_id: DomainId::from_uuid(lab.ids.uuid()),
        hostnames: vec![
            format!("{slug}-{}.localhost", scope.id())
                .parse()
                .expect("a host"),
        ],
        preview: None,
        kind: NewKind::App,
        now: lab.clock.now(),
    };
    store
        .create_project(scope, &project, &event())
        .await
        .expect("a project");
    let deployment = NewDeployment {
        references: Vec::new(),
        id: DeploymentId::from_uuid(lab.ids.uuid()),
        project_id: project.id,
        trigger: Trigger::Manual,
        commit: None,
        branch: None,
        no_cache: false,
        image: Some("app:1".to_owned()),
        run,
        env: Sealed::from_bytes(vec![1]),
        deadline_at: lab.clock.now(),
        created_by: "a test".to_owned(),
        delivery: None,
        now: lab.clock.now(),
    };
    store
        .create_deployment(scope, &deployment, &event())
        .await
        .expect("a deployment");
    let mut status = tose_api::deployment::DeploymentStatus::Queued;
    for event in [Event::BuildStarted, Event::ImageReady, Event::Promoted] {
        let (with, now) = (Transition::default(), lab.clock.now());
        let moved = store.transition_deployment(scope, deployment.id, status, event, &with, now);
        status = moved.await.expect("a step");
    }
}

/// Has each of them checked at this address from now on.
async fn watch_all(owner: &Client, slugs: &[String], url: &str) {
    let body = json!({
        "enabled": true, "check_url": url, "check_interval_sec": 10, "timeout_ms": 30_000,
    });
    let set = async |slug: &String| {
        let path = format!("projects/{slug}/uptime");
        let answer = owner.put(&path, body.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    join_all(slugs.iter().map(set)).await;
}

/// How many of them were checked to the end.
async fn checked(owner: &Client, slugs: &[String]) -> usize {
    let is_checked = async |slug: &String| {
        let view = owner.get(&format!("projects/{slug}/uptime")).await;
        view.data()["last_checked_at"] != Value::Null
    };
    let checked = join_all(slugs.iter().map(is_checked)).await;
    checked.into_iter().filter(|is_checked| *is_checked).count()
}

#[tokio::test]
async fn a_workspace_whose_targets_never_answer_holds_up_nobody_else() {
    let (silent, well) = (Site::start().await, Site::start().await);
    silent.behave(Behaviour::Silent);
    let lab = Lab::start_with(reach_loopback).await;
    let other = lab.owner("demo").await;
    lab.live(&other, "app:1").await;
    let (slow, slugs) = workspace_of(&lab, "slow", OF_ONE_WORKSPACE + 2).await;
    watch_all(&slow, &slugs, &silent.url()).await;
    silent.is_connected_to(OF_ONE_WORKSPACE).await;
    // The other one's are due later than all of these, and are made again and again.
    watch(&other, &well.url()).await;
    has_status(&other, "up").await;
    lab.clock.advance(INTERVAL);
    checks(&other, 2).await;
    assert_eq!(checked(&slow, &slugs).await, 0);
    assert_eq!(silent.connections(), OF_ONE_WORKSPACE, "two of them wait");
    // Once there is room, those that waited are begun.
    silent.behave(Behaviour::WELL);
    silent.hang_up();
    eventually("all are checked", async || {
        lab.clock.advance(INTERVAL);
        match checked(&slow, &slugs).await {
            count if count == slugs.len() => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn no_more_checks_than_the_limit_run_at_once() {
    let (silent, well) = (Site::start().await, Site::start().await);
    silent.behave(Behaviour::Silent);
    let lab = Lab::start_with(reach_loopback).await;
    let (other, _) = workspace_of(&lab, "demo", 2).await;
    let mut slow = Vec::new();
    for number in 0..AT_ONCE / OF_ONE_WORKSPACE {
        let name = format!("slow-{number}");
        slow.push(workspace_of(&lab, &name, OF_ONE_WORKSPACE).await);
    }
    for (owner, slugs) in &slow {
        watch_all(owner, slugs, &silent.url()).await;
    }
    silent.is_connected_to(AT_ONCE).await;
    watch_all(&other, &["p0".to_owned()], &well.url()).await;
    // What comes after it is heard, so the check was due and was not begun.
    let heartbeat = json!({"enabled": true, "kind": "heartbeat"});
    let set = other.put("projects/p1/uptime", heartbeat).await;
    assert_eq!(set.status, 200, "{set:?}");
    let made = other.post("projects/p1/uptime/heartbeat", json!({})).await;
    let url = made.data()["url"].as_str().expect("an address").to_owned();
    let token = url.rsplit('/').next().expect("a token");
    let failed = format!("http://{}/api/heartbeats/{token}/fail", lab.api_addr());
    let answer = reqwest::get(failed).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    eventually("the heartbeat is heard", async || {
        let view = other.get("projects/p1/uptime").await.data().clone();
        match view["status"] == "down" {
            true => Ok(()),
            false => Err(view.to_string()),
        }
    })
    .await;
    assert_eq!((silent.connections(), well.connections()), (AT_ONCE, 0));
    silent.hang_up();
    well.is_connected_to(1).await;
}

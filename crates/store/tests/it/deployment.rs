//! The suite's cases for `deployment`.

use tose_api::analysis::{AnalysisView, CauseView};
use tose_api::deployment::DeploymentStatus::{self, *};
use tose_api::envelope::Paging;
use tose_model::deployment::state::{Event, next};
use tose_model::project::RunSpec;
use tose_model::recipe::manifest::RunWishes;
use tose_store::{Error, Transition};

use crate::harness::Lab;

#[tokio::test]
async fn what_is_written_is_read_back() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let id = lab.deployment(project_id).await;
    let deployment = lab
        .store
        .get_deployment(&lab.scope, project_id, id)
        .await
        .expect("there");
    assert_eq!(
        (
            deployment.status,
            deployment.generation,
            deployment.no_cache
        ),
        (Queued, 1, true)
    );
    assert_eq!(deployment.run, lab.run());
    assert_eq!(deployment.env.as_bytes(), [1, 2, 3]);
    let other = lab.workspace("other").await;
    let foreign = lab.store.get_deployment(&other, project_id, id).await;
    assert!(matches!(foreign, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn a_failure_keeps_its_reason_and_what_explains_it() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let id = lab.deployment(project_id).await;
    let analysis = AnalysisView {
        summary: "it is broken".to_owned(),
        causes: vec![CauseView {
            title: "A \"quoted\" title".to_owned(),
            confidence: 95,
            evidence: vec!["a line".to_owned()],
            fix: "Mend it.".to_owned(),
        }],
    };
    let with = Transition {
        error: Some("it failed".to_owned()),
        analysis: Some(analysis.clone()),
        ..Transition::default()
    };
    let read = async || {
        let read = lab.store.get_deployment(&lab.scope, project_id, id).await;
        read.expect("there")
    };
    assert_eq!(read().await.analysis, None);
    lab.store
        .transition_deployment(&lab.scope, id, Queued, Event::Failure, &with, lab.now())
        .await
        .expect("it fails");
    let failed = read().await;
    assert_eq!(failed.error.as_deref(), Some("it failed"));
    assert_eq!(failed.analysis, Some(analysis));
}

#[tokio::test]
async fn of_many_one_waits_one_is_under_way_and_one_is_live() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let live = lab.deployment(project_id).await;
    lab.promote(live).await;
    let building = lab.deployment(project_id).await;
    lab.step(building, Queued, Event::BuildStarted)
        .await
        .expect("it starts");
    let replaced = lab.deployment(project_id).await;
    let waiting = lab.deployment(project_id).await;
    let paging = Paging::new(None, None).expect("a page");
    let (list, total) = lab
        .store
        .list_deployments(&lab.scope, project_id, paging)
        .await
        .expect("a list");
    let seen: Vec<_> = list
        .iter()
        .map(|deployment| (deployment.id, deployment.status))
        .collect();
    assert_eq!(
        seen,
        [
            (waiting, Queued),
            (replaced, Superseded),
            (building, Building),
            (live, Running)
        ]
    );
    assert_eq!(total, 4);
    let second = lab.step(waiting, Queued, Event::BuildStarted).await;
    assert!(
        matches!(second, Err(Error::Conflict(_))),
        "two under way: {second:?}"
    );
    assert!(
        lab.store
            .list_startable_deployments_for_task()
            .await
            .expect("a list")
            .is_empty()
    );
    lab.step(building, Building, Event::Failure)
        .await
        .expect("it fails");
    let startable = lab
        .store
        .list_startable_deployments_for_task()
        .await
        .expect("a list");
    assert_eq!(
        startable
            .iter()
            .map(|deployment| deployment.id)
            .collect::<Vec<_>>(),
        [waiting]
    );
    lab.promote(waiting).await;
    let status = lab
        .store
        .get_deployment(&lab.scope, project_id, live)
        .await
        .expect("there")
        .status;
    assert_eq!(status, Superseded);
    let last = lab
        .store
        .find_last_live_deployment(&lab.scope, project_id)
        .await
        .expect("read");
    assert_eq!(last.map(|deployment| deployment.id), Some(waiting));
}

#[tokio::test]
async fn a_status_changes_only_from_the_one_that_was_seen() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let id = lab.deployment(project_id).await;
    let (a, b) = tokio::join!(
        lab.step(id, Queued, Event::Cancel),
        lab.step(id, Queued, Event::BuildStarted)
    );
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    for from in DeploymentStatus::ALL {
        for event in Event::ALL {
            let current = lab
                .store
                .get_deployment(&lab.scope, project_id, id)
                .await
                .expect("there")
                .status;
            let is_possible = from == current && next(from, event).is_some();
            if !is_possible {
                let outcome = lab.step(id, from, event).await;
                assert!(
                    matches!(outcome, Err(Error::Conflict(_))),
                    "{from:?} {event:?}: {outcome:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn stopping_a_project_ends_what_is_live_and_what_waits() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let live = lab.deployment(project_id).await;
    lab.promote(live).await;
    let building = lab.deployment(project_id).await;
    lab.step(building, Queued, Event::BuildStarted)
        .await
        .expect("it starts");
    let waiting = lab.deployment(project_id).await;
    lab.store
        .stop_project(&lab.scope, project_id, lab.now(), &lab.event())
        .await
        .expect("stopped");
    let read = async |id| {
        lab.store
            .get_deployment(&lab.scope, project_id, id)
            .await
            .expect("there")
    };
    assert_eq!(read(live).await.status, Stopped);
    assert_eq!(read(waiting).await.status, Cancelled);
    let building = read(building).await;
    assert_eq!(
        (building.status, building.cancel_requested),
        (Building, true)
    );
}

#[tokio::test]
async fn what_a_deployment_runs_with_changes_only_while_it_is_built() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let id = lab.deployment(project_id).await;
    let run = RunSpec {
        port: 8080u64.try_into().expect("a port"),
        file: Some(RunWishes::default()),
        ..lab.run()
    };
    let set = async |scope| lab.store.set_deployment_run(scope, id, &run).await;
    let waiting = set(&lab.scope).await;
    assert!(matches!(waiting, Err(Error::Conflict(_))), "{waiting:?}");
    lab.step(id, Queued, Event::BuildStarted)
        .await
        .expect("it starts");
    let other = lab.workspace("other").await;
    let foreign = set(&other).await;
    assert!(matches!(foreign, Err(Error::Conflict(_))), "{foreign:?}");
    set(&lab.scope).await.expect("changed");
    let get = lab.store.get_deployment(&lab.scope, project_id, id).await;
    assert_eq!(get.expect("there").run, run);
}

#[tokio::test]
async fn an_image_belongs_to_the_deployment_that_had_it_first() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let first = lab.deployment(project_id).await;
    lab.promote(first).await;
    let get = lab.store.get_deployment(&lab.scope, project_id, first);
    let image = get.await.expect("there").image.expect("an image");
    let second = lab.deployment(project_id).await;
    lab.promote(second).await;
    let find = async |scope, image| {
        let found = lab.store.find_deployment_of_image(scope, project_id, image);
        found.await.expect("an answer").map(|found| found.id)
    };
    assert_eq!(find(&lab.scope, &image).await, Some(first));
    assert_eq!(find(&lab.scope, "nothing").await, None);
    let other = lab.workspace("other").await;
    assert_eq!(find(&other, &image).await, None);
}

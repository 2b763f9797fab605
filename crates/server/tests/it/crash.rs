//! What a restart, or an engine that fails, leaves behind: nothing that the next pass does not mend.

use std::time::Duration;

use serde_json::json;
use tose_model::Clock;
use tose_model::driver::{Driver, EngineStep, ObservedReplica};
use tose_testkit::{Fault, Program};

use crate::harness::{Lab, eventually};

#[tokio::test]
async fn a_server_that_was_ended_in_a_rollout_finishes_it_after_its_start() {
    let mut lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.driver.add_image("app:1", Program::default());
    owner.project("shop", "app:1").await;
    let id = owner.deploy("shop").await;
    lab.restart().await;
    owner.at(&lab).deployment_is("shop", &id, "running").await;
    assert_eq!(lab.driver.peek().len(), 1);
}

#[tokio::test]
async fn an_app_that_runs_keeps_its_route_through_restarts() {
    let mut lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let before = lab.data_plane.route("demo-shop.localhost");
    lab.restart().await;
    let owner = owner.at(&lab);
    owner.project_is("shop", "running").await;
    assert_eq!(lab.data_plane.route("demo-shop.localhost"), before);
}

#[tokio::test]
async fn a_replica_that_nobody_owns_is_removed_and_a_foreign_one_is_not() {
    let mut lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let name = lab.driver.peek()[0].name.clone();
    let mut orphan = lab.driver.spec_of(&name).expect("a replica");
    orphan.key.project_id = tose_api::ProjectId::from_uuid(uuid::Uuid::nil());
    orphan.name = tose_model::driver::ReplicaName::from_label("orphan-0");
    let installation = tose_model::driver::InstallationId::parse("0badcafe").expect("an id");
    let foreign = lab.driver.beside(installation);
    for driver in [&lab.driver, &foreign] {
        use tose_model::Driver;
        let step = tose_model::driver::EngineStep::EnsureNetwork {
            workspace_id: orphan.workspace_id,
            workspace: orphan.workspace.clone(),
        };
        driver.apply(&step).await.expect("a network");
        let step = tose_model::driver::EngineStep::StartReplica(Box::new(orphan.clone()));
        driver.apply(&step).await.expect("a replica");
    }
    lab.restart().await;
    eventually("the orphan goes", async || {
        let replicas = lab.driver.peek();
        if replicas.len() == 1 && replicas[0].name == name {
            Ok(())
        } else {
            Err(format!("{replicas:?}"))
        }
    })
    .await;
    assert_eq!(foreign.peek().len(), 1);
}

/// Each call of the engine in turn fails, in each of three ways: the deployment ends, and what the
/// engine holds at the end is what the store says.
#[tokio::test]
async fn an_engine_call_that_fails_or_whose_answer_is_lost_wedges_nothing() {
    for fault in [Fault::Error, Fault::Unavailable, Fault::LostReply] {
        for nth in 1..=12 {
            let lab = Lab::start().await;
            let owner = lab.owner("demo").await;
            lab.driver.add_image("app:1", Program::default());
            owner.project("shop", "app:1").await;
            lab.driver.fail_call(nth, fault);
            let id = owner.deploy("shop").await;
            let ended = eventually("the deployment ends", async || {
                let deployment = owner.deployment("shop", &id).await;
                let status = deployment["status"].as_str().expect("a status").to_owned();
                if ["running", "failed"].contains(&status.as_str()) {
                    Ok(status)
                } else {
                    Err(status)
                }
            })
            .await;
            let wanted = usize::from(ended == "running");
            eventually(
                &format!("{fault:?} {nth}: {ended} with {wanted} replicas"),
                async || {
                    let replicas = lab.driver.peek();
                    if replicas.len() == wanted {
                        Ok(())
                    } else {
                        Err(format!("{replicas:?}"))
                    }
                },
            )
            .await;
            let list = owner.get("projects/shop/deployments").await;
            assert_eq!(list.body["meta"]["total"], json!(1));
        }
    }
}

#[tokio::test]
async fn a_replica_that_is_lost_is_replaced_also_while_a_newer_version_starts() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let live = lab.live(&owner, "app:1").await;
    lab.driver.add_image("deaf:1", Program::new([]));
    owner.put("projects/shop", json!({"image": "deaf:1"})).await;
    let next = owner.deploy("shop").await;
    owner.deployment_is("shop", &next, "deploying").await;
    lab.has_replicas(2).await;

    let is_live = |replica: &ObservedReplica| replica.key.deployment_id.to_string() == live;
    let lost = lab.driver.peek().into_iter().find(is_live);
    let name = lost.expect("it is there").name;
    let remove = EngineStep::RemoveReplica { name: name.clone() };
    lab.driver.apply(&remove).await.expect("removed");
    eventually("the live version has its replica again", async || {
        let replicas = lab.driver.peek();
        match replicas.iter().any(is_live) {
            true => Ok(()),
            false => Err(format!("{replicas:?}")),
        }
    })
    .await;
    eventually("visitors get it", async || {
        let route = lab.data_plane.route("demo-shop.localhost");
        let backends = route.map(|route| route.backends).unwrap_or_default();
        match backends
            .iter()
            .any(|backend| backend.replica == name.as_str())
        {
            true => Ok(()),
            false => Err(format!("{backends:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_jumps_ends_no_app_and_wedges_no_deployment() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let first = lab.live(&owner, "app:1").await;
    let serves = lab.data_plane.route("demo-shop.localhost");

    // Forwards, in the middle of a rollout: its time is over, and what serves goes on.
    lab.driver.add_image("app:2", Program::new([]));
    owner.put("projects/shop", json!({"image": "app:2"})).await;
    let second = owner.deploy("shop").await;
    owner.deployment_is("shop", &second, "deploying").await;
    lab.has_replicas(2).await;
    lab.clock.advance(DAY);
    let record = owner.deployment_is("shop", &second, "failed").await;
    let error = record["error"].to_string();
    assert!(error.contains("port 3000"), "{error}");
    owner.deployment_is("shop", &first, "running").await;
    assert_eq!(lab.data_plane.route("demo-shop.localhost"), serves);

    // Backwards, and a deployment that was asked for at a later time than the next one.
    let before = lab.clock.now();
    owner.put("projects/shop", json!({"image": "app:1"})).await;
    let third = owner.deploy("shop").await;
    owner.deployment_is("shop", &third, "running").await;
    lab.clock.set(before.saturating_sub(3 * DAY));
    let fourth = owner.deploy("shop").await;
    owner.deployment_is("shop", &fourth, "running").await;
    owner.deployment_is("shop", &third, "superseded").await;
    lab.has_replicas(1).await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

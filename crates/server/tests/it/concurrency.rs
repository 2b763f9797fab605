//! Calls at the same moment: each ends in one defined state.

use futures_util::future::join_all;
use serde_json::json;
use tose_testkit::Program;

use crate::harness::Lab;

#[tokio::test]
async fn of_changes_at_once_none_is_lost_in_silence() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let changes = [
        json!({"name": "One"}),
        json!({"replicas": 3}),
        json!({"cpu": "1"}),
        json!({"health_check_path": "/up"}),
    ];
    let calls = changes
        .iter()
        .map(|change| owner.put("projects/shop", change.clone()));
    let answers = join_all(calls).await;
    let project = owner.get("projects/shop").await.data().clone();
    for (change, answer) in changes.iter().zip(answers) {
        let (field, value) = change
            .as_object()
            .and_then(|change| change.iter().next())
            .expect("a field");
        match answer.status {
            200 => assert_eq!(&project[field], value, "answered 200 and lost"),
            409 => assert_ne!(&project[field], value, "refused and done"),
            other => panic!("{other}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn of_deployments_at_once_one_is_under_way_one_waits_and_all_have_a_truthful_answer() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.driver.add_image("app:1", Program::default());
    owner.project("shop", "app:1").await;
    let calls = (0..500).map(|_| owner.post("projects/shop/deployments", json!({})));
    for answer in join_all(calls).await {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    owner.project_is("shop", "running").await;
    let mut statuses = Vec::new();
    for page in 1..=10 {
        let list = owner
            .get(&format!("projects/shop/deployments?limit=50&page={page}"))
            .await;
        for deployment in list.data().as_array().expect("a list") {
            statuses.push(deployment["status"].as_str().expect("a text").to_owned());
        }
    }
    assert_eq!(statuses.len(), 500);
    assert_eq!(statuses[0], "running", "the newest wins");
    assert!(
        statuses[1..].iter().all(|status| status == "superseded"),
        "{statuses:?}"
    );
    lab.has_replicas(1).await;
}

#[tokio::test]
async fn a_slug_is_given_once_to_creations_at_once() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let calls = (0..10).map(|_| owner.post("projects", json!({"name": "Shop"})));
    let answers = join_all(calls).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let taken = answers
        .iter()
        .filter(|answer| answer.status == 409 && answer.code() == "taken")
        .count();
    assert_eq!((made, taken), (1, 9));
}

#[tokio::test]
async fn a_project_that_is_deleted_while_it_is_deployed_leaves_nothing() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.driver.add_image("deaf:1", Program::new([]));
    owner.project("shop", "deaf:1").await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "deploying").await;
    let (deleted, deployed) = tokio::join!(
        owner.delete("projects/shop"),
        owner.post("projects/shop/deployments", json!({}))
    );
    assert_eq!(deleted.status, 200);
    assert!(matches!(deployed.status, 201 | 404), "{deployed:?}");
    assert_eq!(owner.get("projects/shop").await.status, 404);
    lab.has_replicas(0).await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_read_that_was_kept_never_hides_an_answered_change() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let member = lab.member(&owner, "member").await;
    for replicas in [2, 3, 2, 4, 1] {
        // Asked twice before, so that the answer is one that was kept.
        for _ in 0..2 {
            assert_eq!(member.get("projects/shop").await.status, 200);
            assert_eq!(member.get("projects").await.status, 200);
        }
        let change = json!({"replicas": replicas});
        assert_eq!(owner.put("projects/shop", change).await.status, 200);
        let one = member.get("projects/shop").await;
        assert_eq!(one.data()["replicas"], json!(replicas));
        let all = member.get("projects").await;
        assert_eq!(all.data()[0]["replicas"], json!(replicas));
    }
    let stranger = lab.owner("other").await.in_workspace("demo");
    assert_eq!(stranger.get("projects/shop").await.status, 404);
    assert_eq!(stranger.get("projects").await.status, 404);
    assert_eq!(owner.delete("projects/shop").await.status, 200);
    assert_eq!(member.get("projects/shop").await.status, 404);
    assert_eq!(member.get("projects").await.data(), &json!([]));
}

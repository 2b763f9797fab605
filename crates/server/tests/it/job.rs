//! Commands that run once.

use std::time::Duration;

use serde_json::{Value, json};
use tose_model::driver::EngineStep;
use tose_testkit::Program;

use crate::git::commit;
use crate::harness::{Client, Lab, eventually};

async fn create(owner: &Client, command: &[&str]) -> String {
    let made = owner
        .post("projects/shop/jobs", json!({"command": command}))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.data()["status"], "queued");
    made.data()["id"].as_str().expect("an id").to_owned()
}

async fn job_is(owner: &Client, id: &str, status: &str) -> Value {
    eventually(&format!("the job is {status}"), async || {
        let job = owner.get(&format!("projects/shop/jobs/{id}")).await;
        match job.data()["status"] == json!(status) {
            true => Ok(job.data().clone()),
            false => Err(job.data().to_string()),
        }
    })
    .await
}

async fn live() -> (Lab, Client) {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    (lab, owner)
}

#[tokio::test]
async fn a_job_runs_once_beside_the_app_and_keeps_what_it_wrote() {
    let (lab, owner) = live().await;
    let id = create(&owner, &["echo", "hello"]).await;
    let job = job_is(&owner, &id, "succeeded").await;
    assert_eq!(job["exit_code"], 0);
    assert!(job["started_at"].is_string() && job["finished_at"].is_string());
    let log = owner
        .complete_log(&format!("projects/shop/jobs/{id}/logs"))
        .await;
    assert_eq!(log["lines"][0]["message"], "hello");
    lab.has_replicas(1).await;

    let failing = create(&owner, &["false"]).await;
    let job = job_is(&owner, &failing, "failed").await;
    assert_eq!(
        (&job["exit_code"], &job["error"]),
        (&json!(1), &json!(null))
    );
    let starts = |step: &EngineStep| match step {
        EngineStep::StartReplica(spec) => spec.key.job_number(),
        _ => None,
    };
    let started: Vec<u32> = lab.driver.applied().iter().filter_map(starts).collect();
    assert_eq!(started, [1, 2], "each once, also the one that failed");
    let list = owner.get("projects/shop/jobs").await;
    let ids: Vec<_> = list
        .data()
        .as_array()
        .expect("a list")
        .iter()
        .map(|job| job["id"].clone())
        .collect();
    assert_eq!(ids, [json!(failing), json!(id)]);
    // Visitors and the status know nothing of it.
    let status = owner.get("projects/shop/status").await;
    assert_eq!(status.data()["pods"]["total"], 1);
}

#[tokio::test]
async fn a_job_is_ended_on_request_and_when_its_time_is_over() {
    let (lab, owner) = live().await;
    // What the fake engine does not know runs the image's program, which does not end.
    let id = create(&owner, &["work"]).await;
    job_is(&owner, &id, "running").await;
    let stopped = owner
        .post(&format!("projects/shop/jobs/{id}/stop"), json!({}))
        .await;
    assert_eq!(stopped.status, 200, "{stopped:?}");
    let job = job_is(&owner, &id, "cancelled").await;
    assert_eq!(job["exit_code"], json!(null));
    let again = owner
        .post(&format!("projects/shop/jobs/{id}/stop"), json!({}))
        .await;
    assert_eq!((again.status, again.code()), (409, "job_ended"));

    let body = json!({"command": ["work"], "timeout_seconds": 5});
    let made = owner.post("projects/shop/jobs", body).await;
    let id = made.data()["id"].as_str().expect("an id").to_owned();
    job_is(&owner, &id, "running").await;
    lab.clock.advance(Duration::from_secs(6));
    let job = job_is(&owner, &id, "failed").await;
    assert_eq!(job["error"], "it took longer than 5 s and was ended");
    lab.has_replicas(1).await;
}

#[tokio::test]
async fn a_job_that_is_removed_by_hand_has_failed_and_is_not_run_again() {
    let (lab, owner) = live().await;
    let id = create(&owner, &["work"]).await;
    job_is(&owner, &id, "running").await;
    let replicas = lab.driver.peek();
    let job = replicas
        .iter()
        .find(|replica| replica.key.job_number().is_some());
    let name = job.expect("it runs").name.clone();
    tose_model::driver::Driver::apply(&lab.driver, &EngineStep::RemoveReplica { name })
        .await
        .expect("removed");
    let job = job_is(&owner, &id, "failed").await;
    assert_eq!(job["error"], "its container was removed before it ended");
    lab.has_replicas(1).await;
}

#[tokio::test]
async fn what_cannot_be_a_job_is_refused() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.driver.add_image("app:1", Program::default());
    owner.project("shop", "app:1").await;
    let command = json!({"command": ["work"]});
    let early = owner.post("projects/shop/jobs", command.clone()).await;
    assert_eq!((early.status, early.code()), (409, "nothing_deployed"));
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    for body in [
        json!({"command": []}),
        json!({"command": ["work"], "timeout_seconds": 0}),
        json!({"command": ["work"], "timeout_seconds": 86401}),
    ] {
        let refused = owner.post("projects/shop/jobs", body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    for _ in 0..5 {
        create(&owner, &["work"]).await;
    }
    let sixth = owner.post("projects/shop/jobs", command).await;
    assert_eq!((sixth.status, sixth.code()), (409, "too_many_jobs"));
    assert_eq!(owner.delete("projects/shop").await.status, 200);
    lab.has_replicas(0).await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

/// A project that is built from a repository with this release command.
async fn with_release(lab: &Lab, owner: &Client, command: &str) {
    let repo = lab.data_dir().join("repo");
    let file = json!({"run": {"release_command": command}}).to_string();
    let files = [("Dockerfile", "FROM base\n"), ("tose.json", file.as_str())];
    commit(&repo, &files, command);
    owner.post("projects", json!({"name": "Shop"})).await;
    let connection = json!({"repo_url": format!("file://{}", repo.display())});
    owner.post("projects/shop/git", connection).await;
}

#[tokio::test]
async fn a_version_starts_when_its_release_command_has_succeeded() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    with_release(&lab, &owner, "echo migrated").await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    let jobs_first: Vec<bool> = lab
        .driver
        .applied()
        .iter()
        .filter_map(|step| match step {
            EngineStep::StartReplica(spec) => Some(spec.key.job_number().is_some()),
            _ => None,
        })
        .collect();
    assert_eq!(jobs_first, [true, false]);
    let log = owner
        .complete_log(&format!("projects/shop/deployments/{id}/logs"))
        .await;
    let lines = log["lines"].as_array().expect("lines").clone();
    let texts: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["message"].as_str())
        .collect();
    let position = |words: &str| texts.iter().position(|text| text.starts_with(words));
    let order = [
        "running the release command: echo migrated",
        "migrated",
        "starting replica",
        "live at",
    ];
    let found: Vec<_> = order.iter().map(|words| position(words)).collect();
    assert!(
        found.iter().all(Option::is_some) && found.is_sorted(),
        "{found:?}: {texts:?}"
    );

    // What has run already only starts again.
    let restarted = owner.post("projects/shop/restart", json!({})).await;
    assert_eq!(restarted.status, 200);
    let newest = owner.get("projects/shop/deployments").await.data()[0]["id"].clone();
    owner
        .deployment_is("shop", newest.as_str().expect("an id"), "running")
        .await;
    let jobs = owner.get("projects/shop/jobs").await;
    assert_eq!(jobs.data().as_array().expect("a list").len(), 1);
    assert_eq!(jobs.data()[0]["is_release"], true);
}

#[tokio::test]
async fn a_release_command_that_fails_or_is_called_off_leaves_the_version_before() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    with_release(&lab, &owner, "echo first").await;
    let first = owner.deploy("shop").await;
    owner.deployment_is("shop", &first, "running").await;

    with_release(&lab, &owner, "false").await;
    let failed = owner.deploy("shop").await;
    let record = owner.deployment_is("shop", &failed, "failed").await;
    assert_eq!(
        record["error"],
        "the release command ended with exit code 1"
    );

    with_release(&lab, &owner, "work").await;
    let endless = owner.deploy("shop").await;
    owner.deployment_is("shop", &endless, "deploying").await;
    lab.has_replicas(2).await;
    let stop = format!("projects/shop/deployments/{endless}/stop");
    assert_eq!(owner.post(&stop, json!({})).await.status, 200);
    owner.deployment_is("shop", &endless, "cancelled").await;
    lab.has_replicas(1).await;
    owner.deployment_is("shop", &first, "running").await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

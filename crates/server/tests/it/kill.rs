//! A server that is killed at any point of what it does, and started again.
//!
//! The points are before and after each effect: a build, a pull, a step of the engine, a new route
//! table. Between two effects lie the records in the store, so that "after an effect" is also "before
//! its record", and "before the next effect" is after it.
//!
//! The same things are done while one call of the engine fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use tose_testkit::{Act, Fault, Program, When};

use crate::git::commit;
use crate::harness::{Client, Lab, eventually};

const CANARY: &str = "canary-7f3a9c";
/// How many of the engine's calls fail, one at a time.
const CALLS: u64 = 8;
/// Nothing was done, and nobody knows what was.
const FAULTS: [Fault; 2] = [Fault::Error, Fault::LostReply];
/// More effects than anything here has.
const MOST: u32 = 40;

/// A server with the project `shop`, which is built from a repository and has a secret.
struct Scene {
    lab: Lab,
    owner: Client,
    repo: PathBuf,
}

impl Scene {
    async fn set() -> Self {
        let lab = Lab::start_to_be_killed(|config| {
            config.limits.drain = std::time::Duration::ZERO;
            config.limits.watch = std::time::Duration::ZERO;
        })
        .await;
        let owner = lab.owner("demo").await;
        let made = owner.post("projects", json!({"name": "shop"})).await;
        assert_eq!(made.status, 201);
        let repo = lab.data_dir().join("repo");
        let scene = Self { lab, owner, repo };
        scene.commit("FROM base\nRUN make one\n", "one");
        let connection = json!({"repo_url": format!("file://{}", scene.repo.display())});
        let connected = scene.owner.post("projects/shop/git", connection).await;
        assert_eq!(connected.status, 201);
        let secret = json!({"key": "TOKEN", "value": CANARY, "is_secret": true});
        assert_eq!(
            scene.owner.post("projects/shop/env", secret).await.status,
            201
        );
        scene
    }

    fn commit(&self, dockerfile: &str, message: &str) {
        commit(&self.repo, &[("Dockerfile", dockerfile)], message);
    }

    async fn live(&self) -> String {
        let id = self.owner.deploy("shop").await;
        self.owner.deployment_is("shop", &id, "running").await;
        self.lab.has_replicas(1).await;
        id
    }

    async fn kill(&mut self) {
        self.lab.kill().await;
        self.owner = self.owner.at(&self.lab);
    }

    async fn deployments(&self) -> Vec<Value> {
        let list = self.owner.get("projects/shop/deployments").await;
        match list.status {
            404 => Vec::new(),
            _ => list.data().as_array().expect("a list").clone(),
        }
    }

    /// What is not as it has to be, if anything: an end for every deployment, exactly the live
    /// version's replicas on the engine and in the route, no image without an owner.
    async fn find_fault(&self) -> Result<(), String> {
        let deployments = self.deployments().await;
        let is_open = |one: &&Value| {
            matches!(
                one["status"].as_str(),
                Some("queued" | "building" | "deploying")
            )
        };
        if let Some(open) = deployments.iter().find(is_open) {
            return Err(format!("not ended: {open}"));
        }
        let jobs = self.owner.get("projects/shop/jobs").await;
        let jobs = jobs.body["data"].as_array().cloned().unwrap_or_default();
        if let Some(job) = jobs.iter().find(|job| job["finished_at"].is_null()) {
            return Err(format!("not ended: {job}"));
        }
        let live: Vec<&str> = deployments
            .iter()
            .filter(|one| one["status"] == "running")
            .filter_map(|one| one["id"].as_str())
            .collect();
        let replicas = self.lab.driver.peek();
        let of: Vec<String> = replicas
            .iter()
            .map(|replica| replica.key.deployment_id.to_string())
            .collect();
        if live != of {
            return Err(format!("live: {live:?}, replicas: {replicas:?}"));
        }
        let route = self.lab.data_plane.route("demo-shop.localhost");
        let routed: BTreeSet<String> = route
            .into_iter()
            .flat_map(|route| route.backends)
            .map(|backend| backend.replica)
            .collect();
        let running: BTreeSet<String> = replicas
            .iter()
            .map(|replica| replica.name.to_string())
            .collect();
        if routed != running {
            return Err(format!("routed: {routed:?}, running: {running:?}"));
        }
        Ok(())
    }

    async fn is_whole(&self, point: &str) {
        eventually(point, async || self.find_fault().await).await;
        assert_eq!(self.lab.fsck().await, Vec::<String>::new(), "{point}");
        for deployment in self.deployments().await {
            let id = deployment["id"].as_str().expect("an id");
            let path = format!("deployments/{id}/build-logs");
            let log = crate::log_socket::read(&self.lab, &path, self.owner.key.as_deref()).await;
            let (lines, _) = log.expect("a log");
            let ends = lines.iter().filter(|line| *line == "[END]").count();
            assert_eq!(ends, 1, "{point}: {lines:?}");
            assert!(!lines.join(" ").contains(CANARY), "{point}: {lines:?}");
        }
        assert_eq!(
            canaries(&self.lab.data_dir().join("data")),
            Vec::<PathBuf>::new()
        );
    }
}

/// The files that hold the secret in plain text.
fn canaries(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(canaries(&path));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        let has = |window: &[u8]| window == CANARY.as_bytes();
        if bytes.windows(CANARY.len()).any(has) {
            found.push(path);
        }
    }
    found
}

/// Does something again and again, on a fresh server each time, and kills that before and after each
/// effect that it leads to; `look` says what else has to be true in the end.
async fn at_each_point(
    prepare: impl AsyncFn(&Scene),
    act: impl AsyncFn(&Scene),
    look: impl AsyncFn(&Scene, &str),
) {
    let mut points = 0;
    for when in [When::Before, When::After] {
        for nth in 1..=MOST {
            let mut scene = Scene::set().await;
            prepare(&scene).await;
            scene.lab.driver.gate().arm(nth, when);
            act(&scene).await;
            let point = format!("{when:?} effect {nth}");
            let is_reached = eventually(&point, async || {
                if scene.lab.driver.gate().is_reached() {
                    return Ok(true);
                }
                scene.find_fault().await.map(|()| false)
            })
            .await;
            if is_reached {
                points += 1;
                scene.kill().await;
            }
            scene.is_whole(&point).await;
            look(&scene, &point).await;
            if !is_reached {
                break;
            }
            assert!(nth < MOST, "it ends");
        }
    }
    assert!(points >= 4, "{points} points are too few to be all");
}

/// Does something again and again, on a fresh server each time, while one of the engine's calls fails:
/// the first one, the second one, and so on.
async fn at_each_failing_call(
    faults: &[Fault],
    prepare: impl AsyncFn(&Scene),
    act: impl AsyncFn(&Scene),
    look: impl AsyncFn(&Scene, &str),
) {
    for fault in faults {
        for nth in 1..=CALLS {
            let scene = Scene::set().await;
            prepare(&scene).await;
            scene.lab.driver.fail_call(nth, *fault);
            act(&scene).await;
            let point = format!("{fault:?} at call {nth}");
            scene.is_whole(&point).await;
            look(&scene, &point).await;
        }
    }
}

/// Asks for a deployment under a key, so that it can be asked again.
async fn deploy(scene: &Scene) -> String {
    let headers = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "the-one"),
    ];
    let path = "projects/shop/deployments";
    let (made, _) = scene
        .owner
        .raw(Method::POST, path, &headers, Some(b"{}".to_vec()))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    made.data()["id"].as_str().expect("an id").to_owned()
}

async fn newest(scene: &Scene) -> Value {
    scene.deployments().await.remove(0)
}

/// Scenes for both: what is there, what is done, and what has to be true in the end.
async fn with_new_version(scene: &Scene) {
    scene.live().await;
    scene.commit("FROM base\nRUN make two\n", "two");
}

async fn with_broken_version(scene: &Scene) {
    with_new_version(scene).await;
    let broken = Program::new([Act::Exit { code: 3 }]);
    scene.lab.driver.set_default_program(broken);
}

async fn with_live_version(scene: &Scene) {
    scene.live().await;
}

async fn stop(scene: &Scene) {
    let stopped = scene.owner.post("projects/shop/stop", json!({})).await;
    assert_eq!(stopped.status, 200);
}

async fn delete(scene: &Scene) {
    assert_eq!(scene.owner.delete("projects/shop").await.status, 200);
}

async fn ask(scene: &Scene) {
    deploy(scene).await;
}

async fn is_stopped(scene: &Scene, point: &str) {
    assert_eq!(scene.lab.driver.peek(), [], "{point}");
    let project = scene.owner.get("projects/shop").await;
    assert_eq!(project.data()["status"], "stopped", "{point}");
}

async fn is_gone(scene: &Scene, point: &str) {
    let project = scene.owner.get("projects/shop").await;
    assert_eq!(project.status, 404, "{point}");
    scene.lab.has_replicas(0).await;
}

async fn old_version_serves(scene: &Scene, point: &str) {
    let all = scene.deployments().await;
    let of: Vec<_> = all.iter().map(|one| one["status"].clone()).collect();
    assert_eq!(of, ["failed", "running"], "{point}: {all:?}");
}

/// An engine that refuses may fail a deployment, and never takes away what serves.
async fn some_version_serves(scene: &Scene, point: &str) {
    let all = scene.deployments().await;
    let running = all.iter().filter(|one| one["status"] == "running").count();
    assert_eq!(running, 1, "{point}: {all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_deployment_comes_to_life_whenever_the_server_is_killed() {
    at_each_point(
        async |_| {},
        async |scene| drop(deploy(scene).await),
        async |scene, point| {
            let newest = newest(scene).await;
            assert_eq!(newest["status"], "running", "{point}: {newest}");
            let again = deploy(scene).await;
            assert_eq!(
                newest["id"],
                json!(again),
                "{point}: the first answer again"
            );
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_version_takes_over_whenever_the_server_is_killed() {
    let look = async |scene: &Scene, point: &str| {
        let newest = newest(scene).await;
        assert_eq!(newest["status"], "running", "{point}: {newest}");
        assert_eq!(newest["commit"]["message"], "two", "{point}");
    };
    at_each_point(with_new_version, ask, look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_version_leaves_the_old_one_whenever_the_server_is_killed() {
    at_each_point(with_broken_version, ask, old_version_serves).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_means_zero_whenever_the_server_is_killed() {
    at_each_point(with_live_version, stop, is_stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_leaves_nothing_whenever_the_server_is_killed() {
    at_each_point(with_live_version, delete, is_gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_version_serves_whichever_call_of_the_engine_fails() {
    let faults = [Fault::Error, Fault::Unavailable, Fault::LostReply];
    at_each_failing_call(&faults, with_new_version, ask, some_version_serves).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_version_leaves_the_old_one_whichever_call_of_the_engine_fails() {
    at_each_failing_call(&FAULTS, with_broken_version, ask, old_version_serves).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_and_a_deletion_come_to_their_end_whichever_call_of_the_engine_fails() {
    at_each_failing_call(&FAULTS, with_live_version, stop, is_stopped).await;
    at_each_failing_call(&FAULTS, with_live_version, delete, is_gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_at_most_once_whenever_the_server_is_killed() {
    let ask = async |scene: &Scene| {
        let job = json!({"command": ["echo", "hello"]});
        let made = scene.owner.post("projects/shop/jobs", job).await;
        assert_eq!(made.status, 201);
    };
    let look = async |scene: &Scene, point: &str| {
        let job = eventually(point, async || {
            let jobs = scene.owner.get("projects/shop/jobs").await;
            let job = jobs.data()[0].clone();
            match job["status"].as_str() {
                Some("queued" | "running") => Err(job.to_string()),
                _ => Ok(job),
            }
        })
        .await;
        assert_eq!(job["status"], "succeeded", "{point}: {job}");
        scene.lab.has_replicas(1).await;
        let id = job["id"].as_str().expect("an id");
        let log = scene
            .owner
            .get(&format!("projects/shop/jobs/{id}/logs"))
            .await;
        let lines = log.data()["lines"].as_array().expect("lines");
        assert_eq!(lines.len(), 1, "{point}: it ran once: {lines:?}");
    };
    at_each_point(with_live_version, ask, look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_command_runs_once_and_first_whenever_the_server_is_killed() {
    let prepare = async |scene: &Scene| {
        scene.live().await;
        let file = json!({"run": {"release_command": "echo migrated"}}).to_string();
        let files = [("Dockerfile", "FROM base\n"), ("tose.json", file.as_str())];
        commit(&scene.repo, &files, "two");
    };
    let look = async |scene: &Scene, point: &str| {
        let newest = newest(scene).await;
        assert_eq!(newest["status"], "running", "{point}: {newest}");
        let jobs = scene.owner.get("projects/shop/jobs").await;
        let jobs = jobs.data().as_array().expect("a list").clone();
        assert_eq!(jobs.len(), 1, "{point}: {jobs:?}");
        assert_eq!(jobs[0]["status"], "succeeded", "{point}: {jobs:?}");
    };
    at_each_point(prepare, ask, look).await;
}

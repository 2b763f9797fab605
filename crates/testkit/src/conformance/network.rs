//! Networks, and installations that share an engine.

use futures_util::FutureExt;
use tose_model::driver::{EngineStep, ObservedReplica, ReplicaState, Scope};

use super::lab::{PORT, remove, start, terminate, text_of, texts};
use super::{Case, Lab, case};
use crate::program::{Act, Program};

/// How often another workspace may be reached before it counts.
const ATTEMPTS: usize = 10;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("making a network twice makes one", |lab| once(lab).boxed()),
        case("networks made at once are one per workspace", |lab| {
            at_once(lab).boxed()
        }),
        case(
            "a network that is gone is gone, also the second time",
            |lab| removes(lab).boxed(),
        ),
        case("a network in use stays", |lab| in_use(lab).boxed()),
        case("a workspace's apps reach each other by name", |lab| {
            reaches(lab).boxed()
        }),
        case("workspaces do not reach each other", |lab| {
            is_apart(lab).boxed()
        }),
        case("another installation's objects are never touched", |lab| {
            neighbours(lab).boxed()
        }),
    ]
}

async fn once(lab: &Lab) {
    let app = lab.app("web").await;
    lab.apply(&app.ensure_network()).await;
    assert_eq!(
        lab.driver.list_networks().await.expect("list"),
        [app.workspace_id]
    );
}

async fn at_once(lab: &Lab) {
    let apps = [lab.workspace_id(), lab.workspace_id()].map(|id| lab.app_in(id, "web"));
    let steps = [&apps[0], &apps[1], &apps[0], &apps[1]].map(|app| app.ensure_network());
    futures_util::future::join_all(steps.iter().map(|step| lab.apply(step))).await;
    let mut expected = apps.map(|app| app.workspace_id);
    expected.sort_unstable();
    let mut found = lab.driver.list_networks().await.expect("list");
    found.sort_unstable();
    assert_eq!(found, expected);
}

async fn removes(lab: &Lab) {
    let app = lab.app("web").await;
    let gone = EngineStep::RemoveNetwork {
        workspace_id: app.workspace_id,
    };
    lab.apply(&gone).await;
    assert_eq!(lab.driver.list_networks().await.expect("list"), []);
    lab.apply(&gone).await;
}

async fn in_use(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, Program::new([Act::print("ready")])).await;
    lab.wait_line(&spec.name, "ready").await;
    let gone = EngineStep::RemoveNetwork {
        workspace_id: app.workspace_id,
    };
    lab.driver
        .apply(&gone)
        .await
        .expect_err("a replica is on it");
    assert_eq!(
        lab.driver.list_networks().await.expect("list"),
        [app.workspace_id]
    );

    // One that has ended holds nothing, and starts again when there is a network again.
    lab.apply(&terminate(&spec.name)).await;
    lab.wait_exited(&spec.name).await;
    lab.apply(&gone).await;
    lab.apply(&app.ensure_network()).await;
    lab.apply(&start(&spec)).await;
    lab.wait_running(&spec.name).await;
}

async fn reaches(lab: &Lab) {
    let server = lab.app("api").await;
    let spec = lab.start(&server, Program::default()).await;
    lab.wait_listening(&spec.name, PORT).await;
    let client = lab.app_in(server.workspace_id, "client");
    let acts = [("api", PORT), ("nobody", PORT)].map(|(host, port)| Act::Fetch {
        host: host.to_owned(),
        port,
    });
    let client = lab
        .start(
            &client,
            Program::new(acts.into_iter().chain([Act::print("done")])),
        )
        .await;
    let lines = lab
        .output_until(&client.name, None, |line| line.text == b"done")
        .await;
    assert_eq!(texts(&lines), ["fetched 200", "unreachable", "done"]);
}

async fn is_apart(lab: &Lab) {
    let server = lab.app("api").await;
    let spec = lab.start(&server, Program::default()).await;
    let ip = lab.wait_running(&spec.name).await.ip.expect("it runs");
    lab.wait_listening(&spec.name, PORT).await;
    let client = lab.app("client").await;
    let acts = ["api", &ip.to_string()].map(|host| Act::Fetch {
        host: host.to_owned(),
        port: PORT,
    });
    let acts = acts.into_iter().chain([Act::Exit { code: 0 }]);
    let client = lab.start(&client, Program::new(acts)).await;
    // An engine may lift its rules for a moment while it makes another network (Docker 20.10
    // does), so one attempt that gets through is none yet. Without any rules each one would.
    for _ in 0..ATTEMPTS {
        let before = lab.wait_exited(&client.name).await;
        let lines = lab.output(&client.name, None).await;
        let (by_name, by_address) = (&lines[lines.len() - 2], &lines[lines.len() - 1]);
        assert_eq!(text_of(by_name), "unreachable");
        if text_of(by_address) == "unreachable" {
            return;
        }
        lab.apply(&start(&client)).await;
        let has_started = |seen: &ObservedReplica| seen.started_at > before.started_at;
        lab.wait(&client.name, "started again", has_started).await;
    }
    panic!("{ip} was reached {ATTEMPTS} times");
}

async fn neighbours(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, Program::new([])).await;
    let mine = lab.wait_running(&spec.name).await;

    // The neighbour has the same ids, down to the replica's name, and clears out everything.
    let neighbour = lab.neighbour.as_ref();
    assert_eq!(
        neighbour
            .observe(Scope::Installation)
            .await
            .expect("observe"),
        []
    );
    neighbour
        .apply(&app.ensure_network())
        .await
        .expect("network");
    let deployment_id = lab.image_on(neighbour, &app, &Program::new([])).await;
    let mut theirs = spec.clone();
    theirs.generation = 9;
    theirs.image = neighbour.built_image(app.project_id, deployment_id);
    neighbour.apply(&start(&theirs)).await.expect("start");
    assert_eq!(
        neighbour
            .observe(Scope::Installation)
            .await
            .expect("observe")
            .len(),
        1
    );
    for step in [
        terminate(&spec.name),
        remove(&spec.name),
        EngineStep::RemoveNetwork {
            workspace_id: app.workspace_id,
        },
        EngineStep::RemoveImage {
            project_id: app.project_id,
            deployment_id,
        },
        EngineStep::RemoveImage {
            project_id: app.project_id,
            deployment_id: spec.key.deployment_id,
        },
    ] {
        neighbour.apply(&step).await.expect("a step");
    }

    let found = lab
        .driver
        .observe(Scope::Project(app.project_id))
        .await
        .expect("observe");
    assert_eq!(found, [mine]);
    assert_eq!(found[0].state, ReplicaState::Running);
    assert_eq!(
        lab.driver.list_networks().await.expect("list"),
        [app.workspace_id]
    );
    let images = lab.driver.list_images(app.project_id).await.expect("list");
    assert_eq!(images.len(), 1);
    lab.apply(&start(&spec)).await;
}

//! Volumes: what is kept when replicas are replaced, and how it goes.

use futures_util::FutureExt;
use tose_model::driver::{EngineStep, ReplicaSpec, VolumeMount};

use super::lab::{remove, start, texts};
use super::{App, Case, Lab, case};
use crate::program::{Act, Program};

/// Where a volume is mounted.
const PATH: &str = "/data";
/// A file in it.
const NOTE: &str = "/data/note";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("a volume outlives a replica that is replaced", |lab| {
            outlives(lab).boxed()
        }),
        case("what is not in a volume goes with the replica", |lab| {
            goes(lab).boxed()
        }),
        case("two replicas share a volume", |lab| shares(lab).boxed()),
        case("a volume in use stays", |lab| in_use(lab).boxed()),
        case(
            "removed volumes are gone with what was in them, also the second time",
            |lab| removes(lab).boxed(),
        ),
        case("volumes of others stay", |lab| others(lab).boxed()),
    ]
}

/// Tells what the file says, and writes into it.
fn notes(text: &str) -> Program {
    Program::new([
        Act::PrintFile {
            path: NOTE.to_owned(),
        },
        Act::Store {
            path: NOTE.to_owned(),
            text: text.to_owned(),
        },
        Act::print("done"),
    ])
}

fn mount(spec: &mut ReplicaSpec, name: &str) {
    spec.volumes.push(VolumeMount {
        name: name.parse().expect("a slug"),
        path: PATH.to_owned(),
    });
}

/// Starts a replica of a new deployment with the volume `name`; it has done its work on return.
async fn start_with(lab: &Lab, app: &App, name: &str, text: &str) -> ReplicaSpec {
    let deployment_id = lab.image(app, &notes(text)).await;
    let mut spec = lab.spec(app, deployment_id);
    mount(&mut spec, name);
    lab.apply(&start(&spec)).await;
    lab.wait_line(&spec.name, "done").await;
    spec
}

/// What the file said when the replica started.
async fn found(lab: &Lab, spec: &ReplicaSpec) -> String {
    let is_last = |line: &tose_model::log::LogLine| line.text == b"done";
    let lines = lab.output_until(&spec.name, None, is_last).await;
    texts(&lines).swap_remove(0)
}

fn absent() -> String {
    format!("{NOTE} is not there")
}

fn gone(app: &App) -> EngineStep {
    EngineStep::RemoveVolumes {
        project_id: app.project_id,
    }
}

async fn outlives(lab: &Lab) {
    let app = lab.app("web").await;
    assert_eq!(lab.driver.list_volumes().await.expect("list"), []);
    let first = start_with(lab, &app, "data", "from the first").await;
    assert_eq!(found(lab, &first).await, absent());
    assert_eq!(
        lab.driver.list_volumes().await.expect("list"),
        [app.project_id]
    );
    lab.apply(&remove(&first.name)).await;
    let second = start_with(lab, &app, "data", "from the second").await;
    assert_eq!(found(lab, &second).await, "from the first");

    // The same name again, as a newer generation of one replica has it.
    let mut third = second.clone();
    third.generation = 2;
    lab.apply(&start(&third)).await;
    lab.wait_line(&third.name, "done").await;
    assert_eq!(found(lab, &third).await, "from the second");
    lab.apply(&remove(&third.name)).await;
    assert_eq!(
        lab.driver.list_volumes().await.expect("list"),
        [app.project_id]
    );
}

async fn goes(lab: &Lab) {
    let app = lab.app("web").await;
    let acts = ["/tmp/note", NOTE].map(|path| Act::PrintFile {
        path: path.to_owned(),
    });
    let store = Act::Store {
        path: "/tmp/note".to_owned(),
        text: "hello".to_owned(),
    };
    let program = Program::new(acts.into_iter().chain([store, Act::print("done")]));
    let deployment_id = lab.image(&app, &program).await;
    let mut spec = lab.spec(&app, deployment_id);
    for generation in [1, 2] {
        spec.generation = generation;
        lab.apply(&start(&spec)).await;
        lab.wait_line(&spec.name, "done").await;
        assert_eq!(found(lab, &spec).await, "/tmp/note is not there");
        let written = lab.driver.written_bytes(&spec.name).await.expect("a size");
        assert!(written >= 5, "{written} bytes");
    }
    assert_eq!(lab.driver.list_volumes().await.expect("list"), []);
}

async fn shares(lab: &Lab) {
    let app = lab.app("web").await;
    let first = start_with(lab, &app, "data", "from the first").await;
    let second = start_with(lab, &app, "data", "from the second").await;
    assert_eq!(found(lab, &second).await, "from the first");
    let apart = start_with(lab, &app, "other", "from another").await;
    assert_eq!(found(lab, &apart).await, absent());
    lab.wait_running(&first.name).await;
}

async fn in_use(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = start_with(lab, &app, "data", "hello").await;
    lab.driver
        .apply(&gone(&app))
        .await
        .expect_err("a replica has it");
    lab.apply(&remove(&spec.name)).await;
    let again = start_with(lab, &app, "data", "").await;
    assert_eq!(found(lab, &again).await, "hello");
}

async fn removes(lab: &Lab) {
    let app = lab.app("web").await;
    for name in ["data", "other"] {
        let spec = start_with(lab, &app, name, "hello").await;
        lab.apply(&remove(&spec.name)).await;
    }
    lab.apply(&gone(&app)).await;
    assert_eq!(lab.driver.list_volumes().await.expect("list"), []);
    lab.apply(&gone(&app)).await;
    let spec = start_with(lab, &app, "data", "again").await;
    assert_eq!(found(lab, &spec).await, absent());
}

async fn others(lab: &Lab) {
    let (app, other) = (lab.app("web").await, lab.app("other").await);
    for app in [&app, &other] {
        let spec = start_with(lab, app, "data", "hello").await;
        lab.apply(&remove(&spec.name)).await;
    }
    // The neighbour has the same ids and names, and clears out everything.
    let neighbour = lab.neighbour.as_ref();
    neighbour
        .apply(&app.ensure_network())
        .await
        .expect("network");
    let deployment_id = lab.image_on(neighbour, &app, &notes("theirs")).await;
    let mut theirs = lab.spec(&app, deployment_id);
    theirs.image = neighbour.built_image(app.project_id, deployment_id);
    mount(&mut theirs, "data");
    neighbour.apply(&start(&theirs)).await.expect("start");
    assert_eq!(
        neighbour.list_volumes().await.expect("list"),
        [app.project_id]
    );
    neighbour
        .apply(&remove(&theirs.name))
        .await
        .expect("remove");
    neighbour.apply(&gone(&app)).await.expect("a step");
    assert_eq!(neighbour.list_volumes().await.expect("list"), []);
    lab.apply(&gone(&other)).await;

    assert_eq!(
        lab.driver.list_volumes().await.expect("list"),
        [app.project_id]
    );
    let spec = start_with(lab, &app, "data", "").await;
    assert_eq!(found(lab, &spec).await, "hello");
}

//! The container engine, seen with its own command line tool and not through the product.

use std::io::Write;

use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::program::{program, run, try_run};

/// What builds start from; `make fixtures` provides them.
const IMAGES: [&str; 3] = ["debian:bookworm-slim", "node:22-slim", "python:3.12-slim"];

/// A container, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// The replica that it is, if the product says so.
    pub replica: Option<String>,
    /// The deployment that it belongs to, if the product says so.
    pub deployment: Option<String>,
    /// Whether a process runs in it.
    pub is_running: bool,
}

/// Whether to test against an engine; says so when not. With `TOSE_TEST_ENGINE=required` an engine
/// or image that is missing fails the test.
pub(crate) async fn is_there() -> bool {
    static PROBLEM: OnceCell<Option<String>> = OnceCell::const_new();
    let Some(problem) = PROBLEM.get_or_init(find_problem).await else {
        return true;
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of the tests, not a setting"
    )]
    let is_required = std::env::var("TOSE_TEST_ENGINE").is_ok_and(|value| value == "required");
    assert!(!is_required, "{problem}");
    // Not through the macros, whose output the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {problem}");
    false
}

async fn find_problem() -> Option<String> {
    let asked = try_run(command(&["version", "--format", "{{.Server.Version}}"])).await;
    let said = match asked {
        Ok(answer) if answer.code == Some(0) => return find_missing_image().await,
        Ok(answer) => answer.stderr.trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "no container engine answers, and scripts/engine start starts one: {said}"
    ))
}

async fn find_missing_image() -> Option<String> {
    let inspect = [&["image", "inspect", "--format", "{{.Id}}"][..], &IMAGES].concat();
    let answer = run(command(&inspect)).await;
    let said = answer.stderr.trim();
    (answer.code != Some(0))
        .then(|| format!("an image is missing, and make fixtures makes it: {said}"))
}

fn command(args: &[&str]) -> Command {
    let mut command = program("docker");
    // The classic builder needs no plug-in and is in every engine.
    command.args(args).env("DOCKER_BUILDKIT", "0");
    command
}

/// Runs `docker` with these arguments; its output.
pub async fn docker(args: &[&str]) -> String {
    run(command(args)).await.ok()
}

/// The same where it does not matter whether it goes well.
async fn docker_quietly(args: &[&str]) {
    run(command(args)).await;
}

/// The containers with a label such as `tose.project=ID`, whatever their state.
pub async fn containers(label: &str) -> Vec<Container> {
    let filter = format!("label={label}");
    let format =
        "{{.ID}}|{{.State}}|{{.Label \"tose.name\"}}|{{.Label \"tose.deployment\"}}|{{.Names}}";
    let listed = docker(&[
        "ps",
        "--all",
        "--no-trunc",
        "--filter",
        &filter,
        "--format",
        format,
    ])
    .await;
    listed.lines().map(container).collect()
}

fn container(line: &str) -> Container {
    let mut fields = line.split('|');
    let mut next = || fields.next().unwrap_or_default().to_owned();
    let (id, state, replica, deployment, name) = (next(), next(), next(), next(), next());
    // Containers of a build have the labels of their image; names are the engine's choice then.
    let is_replica = !replica.is_empty() && name.ends_with(&format!("-{replica}"));
    Container {
        id,
        replica: is_replica.then_some(replica),
        deployment: is_replica.then_some(deployment),
        is_running: matches!(state.as_str(), "running" | "restarting" | "paused"),
    }
}

/// The ids of the images with a label, newest first.
pub(crate) async fn images(label: &str) -> Vec<String> {
    let filter = format!("label={label}");
    let listed = docker(&["images", "--all", "--quiet", "--filter", &filter]).await;
    listed.lines().map(str::to_owned).collect()
}

/// The installations that have a network with this label.
pub(crate) async fn installations(label: &str) -> Vec<String> {
    let filter = format!("label={label}");
    let format = "{{.Label \"tose.installation\"}}";
    let listed = docker(&["network", "ls", "--filter", &filter, "--format", format]).await;
    listed.lines().map(str::to_owned).collect()
}

/// Removes the images that an installation has built; `prune` as well the layers that nothing else
/// needs, which a later build of the same source would find.
pub(crate) async fn remove_built(installation: &str, prune: Prune) {
    let filter = format!("reference=tose-{installation}/*");
    let format = "{{.Repository}}:{{.Tag}}";
    let listed = docker(&["images", "--filter", &filter, "--format", format]).await;
    for image in listed.lines() {
        match prune {
            Prune::Layers => docker_quietly(&["rmi", "--force", image]).await,
            Prune::Nothing => docker_quietly(&["rmi", "--force", "--no-prune", image]).await,
        }
    }
}

/// What goes with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prune {
    Layers,
    Nothing,
}

/// Removes containers, networks and images with a label; what went by itself meanwhile is fine.
pub(crate) async fn remove_all(label: &str) {
    for container in containers(label).await {
        docker_quietly(&["rm", "--force", "--volumes", &container.id]).await;
    }
    let filter = format!("label={label}");
    let networks = docker(&["network", "ls", "--quiet", "--filter", &filter]).await;
    for network in networks.lines() {
        docker_quietly(&["network", "rm", network]).await;
    }
    let volumes = docker(&["volume", "ls", "--quiet", "--filter", &filter]).await;
    for volume in volumes.lines() {
        docker_quietly(&["volume", "rm", volume]).await;
    }
    for image in images(label).await {
        docker_quietly(&["rmi", "--force", &image]).await;
    }
}

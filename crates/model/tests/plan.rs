//! Golden plans: each file in `tests/plan` says what is wanted and what was seen, and below `---`
//! the steps that follow.
//!
//! Times are seconds; deployments are single letters, a replica is its letter and its place.

use std::fmt::Write;
use std::time::Duration;

use tose_api::{DeploymentId, ProjectId, Timestamp, WorkspaceId};
use tose_model::driver::{ObservedReplica, ReplicaKey, ReplicaName, ReplicaState};
use tose_model::plan::{Desired, Health, Patience, Plan, Replica, Rollout, Step, Target, plan};
use tose_model::quota::Load;
use uuid::Uuid;

fn at(seconds: &str) -> Timestamp {
    let seconds: i64 = seconds.parse().expect("seconds");
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn deployment(letter: &str) -> DeploymentId {
    DeploymentId::from_uuid(Uuid::from_u128(u128::from(letter.as_bytes()[0])))
}

fn letter(id: DeploymentId) -> char {
    char::from(u8::try_from(id.as_uuid().as_u128()).expect("a letter"))
}

/// The value of `name=value` among words.
fn value<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words
        .iter()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// So many workers of the first process.
fn workers(words: &[&str], name: &str) -> Vec<u32> {
    let count = value(words, name).map_or(0, |text| text.parse().expect("a number"));
    (0..count)
        .map(|place| ReplicaKey::worker_index(0, place))
        .collect()
}

fn parse_desired(words: &[&str]) -> Desired {
    Desired {
        replicas: value(words, "replicas")
            .expect("replicas")
            .parse()
            .expect("a number"),
        live: value(words, "live").map(deployment),
        target: value(words, "target").map(|text| {
            let (letter, deadline) = text.split_once('@').expect("a deadline");
            Target {
                deployment_id: deployment(letter),
                deadline: at(deadline),
            }
        }),
        watched_until: value(words, "watched").map(at),
        live_workers: workers(words, "live-workers"),
        target_workers: workers(words, "target-workers"),
        rollout: if words.contains(&"in-place") {
            Rollout::InPlace
        } else {
            Rollout::Beside
        },
    }
}

fn parse_state(words: &[&str]) -> ReplicaState {
    let exit_code = value(words, "code").map_or(1, |code| code.parse().expect("a code"));
    let out_of_memory = words.contains(&"oom");
    match words[1] {
        "created" => ReplicaState::Created,
        "running" => ReplicaState::Running,
        "restarting" => ReplicaState::Restarting {
            exit_code,
            out_of_memory,
        },
        "exited" => ReplicaState::Exited {
            exit_code,
            out_of_memory,
        },
        other => panic!("no state: {other}"),
    }
}

/// `w` and a number is a worker of the first process.
fn parse_place(text: &str) -> u32 {
    let number = |text: &str| text.parse().expect("a place");
    match text.strip_prefix('w') {
        Some(place) => ReplicaKey::worker_index(0, number(place)),
        None => number(text),
    }
}

fn place(index: u32) -> String {
    let first = ReplicaKey::worker_index(0, 0);
    match index.checked_sub(first) {
        Some(place) => format!("w{place}"),
        None => index.to_string(),
    }
}

fn parse_replica(words: &[&str]) -> Replica {
    let name = words[0];
    let key = ReplicaKey {
        project_id: ProjectId::from_uuid(Uuid::nil()),
        deployment_id: deployment(name),
        index: parse_place(&name[1..]),
    };
    Replica {
        observed: ObservedReplica {
            name: ReplicaName::from_label(name),
            key,
            workspace_id: WorkspaceId::from_uuid(Uuid::nil()),
            generation: 1,
            state: parse_state(words),
            ip: None,
            started_at: value(words, "started").map(at),
            ended_at: None,
            load: Load::default(),
            restarts: value(words, "restarts").map_or(0, |text| text.parse().expect("a number")),
        },
        health: match words {
            _ if words.contains(&"ready") => Health::Ready,
            _ if words.contains(&"unhealthy") => Health::Unhealthy("/up answered 500".to_owned()),
            _ if words.contains(&"unready") => Health::NotReady("refused".to_owned()),
            _ => Health::Unknown,
        },
        routed: words.contains(&"routed"),
        retiring_since: value(words, "retiring").map(at),
        terminated_at: value(words, "terminated").map(at),
        is_busy: words.contains(&"busy"),
    }
}

fn run(input: &str) -> Plan {
    let (mut now, mut desired, mut replicas) = (None, None, Vec::new());
    for line in input
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "now" => now = Some(at(words[1])),
            "desired" => desired = Some(parse_desired(&words[1..])),
            "replica" => replicas.push(parse_replica(&words[1..])),
            other => panic!("no such line: {other}"),
        }
    }
    let patience = Patience {
        probe: Duration::from_secs(1),
        ..Patience::default()
    };
    plan(
        &desired.expect("desired"),
        &replicas,
        now.expect("now"),
        &patience,
    )
}

fn write(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let line = match step {
            Step::Start {
                deployment_id,
                index,
            } => format!("start {}{}", letter(*deployment_id), place(*index)),
            Step::Route { replicas } => {
                let names: Vec<_> = replicas.iter().map(ReplicaName::as_str).collect();
                format!("route {}", names.join(" "))
            }
            Step::Promote { deployment_id } => format!("promote {}", letter(*deployment_id)),
            Step::Fail {
                deployment_id,
                replica,
                cause,
            } => {
                let shown = replica.as_ref().map_or("nothing", |name| name.as_str());
                format!("fail {} by {shown}: {cause:?}", letter(*deployment_id))
            }
            Step::RollBack { replica, cause } => format!("roll back by {replica}: {cause:?}"),
            Step::Retire { name } => format!("retire {name}"),
            Step::Terminate { name } => format!("terminate {name}"),
            Step::Remove { name } => format!("remove {name}"),
        };
        writeln!(text, "{}", line.trim_end()).expect("a text");
    }
    if let Some(wake_at) = plan.wake_at {
        writeln!(text, "wake {}", wake_at.as_nanos() / 1_000_000_000).expect("a text");
    }
    text
}

#[test]
fn plans_are_as_written_down() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan");
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() >= 15, "the golden files are there");
    let mut wrong = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file");
        let (input, expected) = text.split_once("---\n").expect("a line of three dashes");
        let actual = write(&run(input));
        if actual != expected {
            writeln!(wrong, "{}:\n{actual}", file.display()).expect("a text");
        }
    }
    assert!(wrong.is_empty(), "other plans than written down:\n{wrong}");
}

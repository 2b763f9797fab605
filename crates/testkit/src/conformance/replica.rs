//! Replicas: starting, ending, crashing, fencing, and what can be seen of them.

use std::net::SocketAddr;

use futures_util::{FutureExt, StreamExt};
use tose_model::driver::{
    DriverError, EngineEvent, EngineStep, ReplicaKey, ReplicaName, ReplicaState, Scope, Usage,
};
use tose_model::quota::Load;

use super::lab::{PORT, chain, remove, start, terminate, texts};
use super::{Case, Lab, case};
use crate::program::{Act, Program};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("the engine says what it is", |lab| info(lab).boxed()),
        case("a started replica is observed as running", |lab| {
            starts(lab).boxed()
        }),
        case("starting twice makes one replica", |lab| {
            starts_once(lab).boxed()
        }),
        case("two starts at once make one replica", |lab| {
            starts_at_once(lab).boxed()
        }),
        case("a replica that ended is started again", |lab| {
            starts_again(lab).boxed()
        }),
        case("a terminated replica ends and stays so", |lab| {
            terminates(lab).boxed()
        }),
        case("terminating a crashing replica stops the restarts", |lab| {
            gives_up(lab).boxed()
        }),
        case("a replica may ignore the request to end", |lab| {
            ignores_term(lab).boxed()
        }),
        case("a removed replica is gone, also the second time", |lab| {
            removes(lab).boxed()
        }),
        case("an older generation is refused", |lab| {
            refuses_older(lab).boxed()
        }),
        case("a newer generation of one name replaces", |lab| {
            replaces(lab).boxed()
        }),
        case(
            "crashes are followed by restarts, which are counted",
            |lab| restarts(lab).boxed(),
        ),
        case("an endless crash shows its exit code", |lab| {
            shows_code(lab).boxed()
        }),
        case("a replica that ends well stays ended", |lab| {
            ends_well(lab).boxed()
        }),
        case("want of memory is told from other crashes", |lab| {
            out_of_memory(lab).boxed()
        }),
        case("the environment reaches the process", |lab| {
            environment(lab).boxed()
        }),
        case("a command of its own replaces the image's", |lab| {
            command(lab).boxed()
        }),
        case("a missing image is said to be missing", |lab| {
            missing_image(lab).boxed()
        }),
        case("a missing network is said to be missing", |lab| {
            missing_network(lab).boxed()
        }),
        case("observing a project shows that project", |lab| {
            scope(lab).boxed()
        }),
        case("usage is within the limits, and nothing at rest", |lab| {
            usage(lab).boxed()
        }),
        case("what goes over the network is counted", |lab| {
            moves(lab).boxed()
        }),
        case("listening sockets are found with their addresses", |lab| {
            listening(lab).boxed()
        }),
        case("what happens to replicas is told", |lab| {
            events(lab).boxed()
        }),
    ]
}

fn waits() -> Program {
    Program::new([])
}

async fn info(lab: &Lab) {
    let info = lab.driver.info().await.expect("info");
    assert!(!info.kind.is_empty() && !info.version.is_empty() && !info.api_version.is_empty());
}

async fn starts(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, waits()).await;
    let replica = lab.wait_running(&spec.name).await;
    assert_eq!(
        (replica.key, replica.generation, replica.restarts),
        (spec.key, 1, 0)
    );
    assert!(
        replica.ip.is_some() && replica.started_at.is_some(),
        "{replica:?}"
    );
    let load = Load {
        cpu_milli: spec.cpu.milli().into(),
        ram_milli: spec.ram.milli().into(),
    };
    assert_eq!(
        (replica.workspace_id, replica.load),
        (spec.workspace_id, load)
    );
}

async fn starts_once(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, waits()).await;
    let first = lab.wait_running(&spec.name).await;
    lab.apply(&start(&spec)).await;
    let replicas = lab
        .driver
        .observe(Scope::Installation)
        .await
        .expect("observe");
    assert_eq!(replicas, [first]);
}

async fn starts_at_once(lab: &Lab) {
    let (app, other) = (lab.app("web").await, lab.app("other").await);
    // What a driver finds out with its first start is known by then.
    lab.start(&other, waits()).await;
    let deployment_id = lab.image(&app, &waits()).await;
    let spec = lab.spec(&app, deployment_id);
    let step = start(&spec);
    let outcomes = tokio::join!(lab.driver.apply(&step), lab.driver.apply(&step));
    // One may find the other's half made; it is for the next attempt to see it whole.
    assert!(outcomes.0.is_ok() || outcomes.1.is_ok(), "{outcomes:?}");
    lab.apply(&step).await;
    lab.wait_running(&spec.name).await;
    let scope = Scope::Project(app.project_id);
    let replicas = lab.driver.observe(scope).await.expect("observe");
    assert_eq!(replicas.len(), 1);
}

async fn starts_again(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab
        .start(
            &app,
            Program::new([Act::print("hello"), Act::Exit { code: 0 }]),
        )
        .await;
    let first = lab.wait_exited(&spec.name).await;
    lab.apply(&start(&spec)).await;
    lab.wait(&spec.name, "started later", |replica| {
        replica.started_at > first.started_at
    })
    .await;
    lab.wait_exited(&spec.name).await;
    assert_eq!(
        texts(&lab.output(&spec.name, None).await),
        ["hello", "hello"]
    );
}

async fn terminates(lab: &Lab) {
    let app = lab.app("web").await;
    let program = Program::new([Act::print("ready")]);
    let spec = lab.start(&app, program).await;
    lab.wait_line(&spec.name, "ready").await;
    lab.apply(&terminate(&spec.name)).await;
    let ended = lab.wait_exited(&spec.name).await;
    assert!(ended.ended_at > ended.started_at, "{ended:?}");
    assert_eq!(
        ended.state,
        ReplicaState::Exited {
            exit_code: 143,
            out_of_memory: false
        }
    );
    assert_eq!(ended.ip, None);

    lab.apply(&terminate(&spec.name)).await;
    let key = ReplicaKey {
        index: 7,
        ..spec.key
    };
    lab.apply(&terminate(&ReplicaName::new(&spec.project, &key)))
        .await;

    // By the time that another one has crashed and was started again, this one would have been.
    let other = lab.app("other").await;
    let crashing = lab
        .start(&other, Program::new([Act::Crash { times: 1, code: 1 }]))
        .await;
    let is_back = |state, restarts| state == ReplicaState::Running && restarts == 1;
    lab.wait(&crashing.name, "restarted", |seen| {
        is_back(seen.state, seen.restarts)
    })
    .await;
    assert_eq!(lab.find(&spec.name).await, Some(ended));
}

async fn gives_up(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, Program::new([Act::Exit { code: 3 }])).await;
    let is_crashing = |state| matches!(state, ReplicaState::Restarting { .. });
    lab.wait(&spec.name, "crashing", |replica| is_crashing(replica.state))
        .await;
    lab.apply(&terminate(&spec.name)).await;
    lab.wait_exited(&spec.name).await;
    lab.apply(&remove(&spec.name)).await;
    assert_eq!(lab.find(&spec.name).await, None);
}

async fn ignores_term(lab: &Lab) {
    let app = lab.app("web").await;
    let program = Program::new([Act::IgnoreTerm, Act::print("deaf")]);
    let spec = lab.start(&app, program).await;
    lab.wait_line(&spec.name, "deaf").await;
    lab.apply(&terminate(&spec.name)).await;
    assert_eq!(
        lab.find(&spec.name).await.map(|replica| replica.state),
        Some(ReplicaState::Running)
    );
    lab.apply(&remove(&spec.name)).await;
    assert_eq!(lab.find(&spec.name).await, None);
}

async fn removes(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, waits()).await;
    lab.wait_running(&spec.name).await;
    lab.apply(&remove(&spec.name)).await;
    assert_eq!(lab.find(&spec.name).await, None);
    lab.apply(&remove(&spec.name)).await;
    for error in [
        lab.driver.usage(&spec.name).await.err(),
        lab.driver.written_bytes(&spec.name).await.err(),
        lab.driver.listening(&spec.name).await.err(),
        lab.driver.logs(&spec.name, None).await.err(),
    ] {
        assert!(matches!(error, Some(DriverError::NotFound(_))), "{error:?}");
    }
}

async fn refuses_older(lab: &Lab) {
    let app = lab.app("web").await;
    let old = lab.image(&app, &waits()).await;
    let new = lab.image(&app, &waits()).await;
    let mut newer = lab.spec(&app, new);
    newer.generation = 5;
    lab.apply(&start(&newer)).await;
    let older = lab.spec(&app, old);
    let error = lab
        .driver
        .apply(&start(&older))
        .await
        .expect_err("an older generation");
    assert!(
        matches!(
            error,
            DriverError::Stale {
                known: 1,
                running: 5
            }
        ),
        "{}",
        chain(&error)
    );
    let replicas = lab
        .driver
        .observe(Scope::Installation)
        .await
        .expect("observe");
    assert_eq!(replicas.len(), 1);
    assert_eq!(replicas[0].name, newer.name);

    // Whoever knows of the newer one may start an older one beside it.
    let mut aware = older.clone();
    aware.known_generation = 5;
    lab.apply(&start(&aware)).await;
    let replicas = lab
        .driver
        .observe(Scope::Installation)
        .await
        .expect("observe");
    assert_eq!(replicas.len(), 2);

    // The fence is the project's own.
    let other = lab.app("other").await;
    lab.start(&other, waits()).await;
}

async fn replaces(lab: &Lab) {
    let app = lab.app("web").await;
    let key: tose_api::EnvKey = "COLOUR".parse().expect("a key");
    let program = Program::new([Act::PrintEnv {
        key: key.to_string(),
    }]);
    let deployment_id = lab.image(&app, &program).await;
    let mut spec = lab.spec(&app, deployment_id);
    spec.env.push((key.clone(), "blue".into()));
    lab.apply(&start(&spec)).await;
    lab.wait_line(&spec.name, "COLOUR=blue").await;

    spec.generation = 2;
    spec.env.last_mut().expect("it was added").1 = "green".into();
    lab.apply(&start(&spec)).await;
    lab.wait_line(&spec.name, "COLOUR=green").await;
    let replicas = lab
        .driver
        .observe(Scope::Installation)
        .await
        .expect("observe");
    assert_eq!(
        replicas
            .iter()
            .map(|replica| replica.generation)
            .collect::<Vec<_>>(),
        [2]
    );
}

async fn restarts(lab: &Lab) {
    let app = lab.app("web").await;
    let program = Program::new([
        Act::print("begin"),
        Act::Crash { times: 2, code: 7 },
        Act::print("up"),
    ]);
    let spec = lab.start(&app, program).await;
    let is_up = |state, restarts| state == ReplicaState::Running && restarts == 2;
    lab.wait(&spec.name, "up after two crashes", |seen| {
        is_up(seen.state, seen.restarts)
    })
    .await;
    let lines = lab
        .output_until(&spec.name, None, |line| line.text == b"up")
        .await;
    assert_eq!(texts(&lines), ["begin", "begin", "begin", "up"]);
}

async fn shows_code(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab
        .start(&app, Program::new([Act::Exit { code: 42 }]))
        .await;
    let expected = ReplicaState::Restarting {
        exit_code: 42,
        out_of_memory: false,
    };
    let seen = lab
        .wait(&spec.name, "crashing", |replica| replica.state == expected)
        .await;
    assert_eq!(seen.ip, None);
    lab.wait(&spec.name, "restarted", |replica| replica.restarts >= 2)
        .await;
}

async fn ends_well(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, Program::new([Act::Exit { code: 0 }])).await;
    let ended = lab.wait_exited(&spec.name).await;
    assert_eq!(
        ended.state,
        ReplicaState::Exited {
            exit_code: 0,
            out_of_memory: false
        }
    );
    assert_eq!(ended.restarts, 0);
}

async fn out_of_memory(lab: &Lab) {
    let app = lab.app("web").await;
    let deployment_id = lab
        .image(&app, &Program::new([Act::Allocate { mib: 400 }]))
        .await;
    let mut spec = lab.spec(&app, deployment_id);
    spec.ram = "0.05".parse().expect("a quantity");
    lab.apply(&start(&spec)).await;
    let expected = ReplicaState::Restarting {
        exit_code: 137,
        out_of_memory: true,
    };
    lab.wait(&spec.name, "out of memory", |replica| {
        replica.state == expected
    })
    .await;
}

async fn environment(lab: &Lab) {
    let app = lab.app("web").await;
    let odd = "two words, $HOME, \"quotes\" and = ünïcode";
    let acts = ["PORT", "ODD", "EMPTY", "ABSENT"].map(|key| Act::PrintEnv {
        key: key.to_owned(),
    });
    let deployment_id = lab.image(&app, &Program::new(acts)).await;
    let mut spec = lab.spec(&app, deployment_id);
    spec.env.push(("ODD".parse().expect("a key"), odd.into()));
    spec.env.push(("EMPTY".parse().expect("a key"), "".into()));
    lab.apply(&start(&spec)).await;
    let is_last = |line: &tose_model::log::LogLine| line.text == b"ABSENT is not set";
    let lines = lab.output_until(&spec.name, None, is_last).await;
    let expected: [&str; 4] = [
        &format!("PORT={PORT}"),
        &format!("ODD={odd}"),
        "EMPTY=",
        "ABSENT is not set",
    ];
    assert_eq!(texts(&lines), expected);
}

async fn command(lab: &Lab) {
    let app = lab.app("web").await;
    let program = Program::new([Act::print("of the image")]);
    let deployment_id = lab.image(&app, &program).await;
    let mut spec = lab.spec(&app, deployment_id);
    let words = ["echo", "$PORT", "two  words"];
    spec.command = Some(words.map(str::to_owned).to_vec());
    lab.apply(&start(&spec)).await;
    let ended = lab.wait_exited(&spec.name).await;
    let expected = ReplicaState::Exited {
        exit_code: 0,
        out_of_memory: false,
    };
    assert_eq!(ended.state, expected);
    assert_eq!(
        texts(&lab.output(&spec.name, None).await),
        ["$PORT two  words"]
    );
}

async fn missing_image(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.spec(&app, lab.deployment_id());
    let error = lab
        .driver
        .apply(&start(&spec))
        .await
        .expect_err("there is no image");
    let is_missing =
        matches!(&error, DriverError::ImageUnavailable { image, .. } if *image == spec.image);
    assert!(is_missing, "{}", chain(&error));
    assert_eq!(lab.find(&spec.name).await, None);
}

async fn missing_network(lab: &Lab) {
    let app = lab.app_in(lab.workspace_id(), "web");
    let deployment_id = lab.image(&app, &waits()).await;
    let spec = lab.spec(&app, deployment_id);
    let error = lab
        .driver
        .apply(&start(&spec))
        .await
        .expect_err("there is no network");
    assert!(
        matches!(error, DriverError::NotFound(_)),
        "{}",
        chain(&error)
    );

    lab.apply(&app.ensure_network()).await;
    lab.apply(&start(&spec)).await;
    lab.wait_running(&spec.name).await;
}

async fn scope(lab: &Lab) {
    let (one, other) = (lab.app("one").await, lab.app("other").await);
    let first = lab.start(&one, waits()).await;
    let second = lab.start(&other, waits()).await;
    let all = lab
        .driver
        .observe(Scope::Installation)
        .await
        .expect("observe");
    assert_eq!(all.len(), 2);
    let of_one = lab
        .driver
        .observe(Scope::Project(one.project_id))
        .await
        .expect("observe");
    assert_eq!(
        of_one
            .iter()
            .map(|replica| &replica.name)
            .collect::<Vec<_>>(),
        [&first.name]
    );
    let of_other = lab
        .driver
        .observe(Scope::Project(other.project_id))
        .await
        .expect("observe");
    assert_eq!(
        of_other
            .iter()
            .map(|replica| &replica.name)
            .collect::<Vec<_>>(),
        [&second.name]
    );
}

async fn usage(lab: &Lab) {
    let app = lab.app("web").await;
    let spec = lab.start(&app, Program::new([Act::print("ready")])).await;
    lab.wait_line(&spec.name, "ready").await;
    for look in ["first", "second"] {
        let usage = lab.driver.usage(&spec.name).await.expect("usage");
        let limit = spec.ram.bytes();
        assert!(
            usage.memory_bytes > 0 && usage.memory_bytes <= limit,
            "{look}: {usage:?}"
        );
    }
    lab.apply(&terminate(&spec.name)).await;
    lab.wait_exited(&spec.name).await;
    assert_eq!(
        lab.driver.usage(&spec.name).await.expect("usage"),
        Usage::default()
    );
}

async fn moves(lab: &Lab) {
    let server = lab.app("api").await;
    let spec = lab.start(&server, Program::default()).await;
    lab.wait_listening(&spec.name, PORT).await;
    let client = lab.app_in(server.workspace_id, "client");
    let fetch = Act::Fetch {
        host: "api".to_owned(),
        port: PORT,
    };
    let client = lab
        .start(&client, Program::new([fetch, Act::print("done")]))
        .await;
    lab.wait_line(&client.name, "done").await;
    let usage = lab.driver.usage(&client.name).await.expect("usage");
    assert!(
        usage.received_bytes >= 100 && usage.sent_bytes >= 100,
        "{usage:?}"
    );
}

async fn listening(lab: &Lab) {
    let app = lab.app("web").await;
    let acts = [
        Act::listen("127.0.0.1:5000"),
        Act::listen("0.0.0.0:3000"),
        Act::print("ready"),
    ];
    let spec = lab.start(&app, Program::new(acts)).await;
    lab.wait_line(&spec.name, "ready").await;
    let sockets = lab
        .driver
        .listening(&spec.name)
        .await
        .expect("listening")
        .expect("seen");
    let mut found: Vec<_> = sockets.iter().map(|socket| socket.addr).collect();
    found.sort_unstable();
    let expected = ["0.0.0.0:3000", "127.0.0.1:5000"];
    assert_eq!(
        found,
        expected.map(|text| text.parse::<SocketAddr>().expect("an address"))
    );

    lab.apply(&terminate(&spec.name)).await;
    lab.wait_exited(&spec.name).await;
    let sockets = lab.driver.listening(&spec.name).await.expect("listening");
    assert_eq!(sockets, Some(Vec::new()));
}

async fn events(lab: &Lab) {
    let (app, other) = (lab.app("web").await, lab.app("other").await);
    let deployment_id = lab.image(&app, &Program::new([Act::print("ready")])).await;
    let spec = lab.spec(&app, deployment_id);
    let mut events = lab.driver.events().await.expect("events");
    let about = |app: &super::App| EngineEvent {
        project_id: app.project_id,
    };

    // The stream is read only after all this, and misses nothing of it.
    lab.apply(&start(&spec)).await;
    lab.wait_line(&spec.name, "ready").await;
    assert_eq!(
        events.next().await.expect("an event").expect("no error"),
        about(&app)
    );

    lab.apply(&EngineStep::RemoveReplica { name: spec.name })
        .await;
    lab.start(&other, waits()).await;
    let mut told = 1;
    while events.next().await.expect("an event").expect("no error") == about(&app) {
        told += 1;
    }
    assert!(told >= 2, "the removal was not told");
}

//! What tests can make the fake engine do.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tose_api::log::LogSource;
use tose_api::{DeploymentId, ProjectId, WorkspaceId};
use tose_model::driver::{
    Driver, DriverError, EngineStep, ExecRequest, ReplicaKey, ReplicaName, ReplicaSpec,
    ReplicaState, Scope, TtySize, VolumeMount,
};
use tose_model::{Clock, IdGen};
use tose_testkit::{Act, FakeDriver, Fault, ManualClock, Program, SeededIds};

const IMAGE: &str = "app:1";

fn spec() -> ReplicaSpec {
    let ids = SeededIds::new(1);
    let key = ReplicaKey {
        project_id: ProjectId::from_uuid(ids.uuid()),
        deployment_id: DeploymentId::from_uuid(ids.uuid()),
        index: 0,
    };
    ReplicaSpec {
        name: ReplicaName::new(&"web".parse().expect("a slug"), &key),
        key,
        generation: 1,
        known_generation: 1,
        workspace_id: WorkspaceId::from_uuid(ids.uuid()),
        workspace: "acme".parse().expect("a slug"),
        project: "web".parse().expect("a slug"),
        image: IMAGE.to_owned(),
        command: None,
        env: vec![("PORT".parse().expect("a key"), "8080".into())],
        port: "8080".parse().expect("a port"),
        cpu: "0.5".parse().expect("a quantity"),
        ram: "0.5".parse().expect("a quantity"),
        volumes: Vec::new(),
    }
}

fn network() -> EngineStep {
    let ReplicaSpec {
        workspace_id,
        workspace,
        ..
    } = spec();
    EngineStep::EnsureNetwork {
        workspace_id,
        workspace,
    }
}

fn start() -> EngineStep {
    EngineStep::StartReplica(Box::new(spec()))
}

async fn started(program: Program) -> FakeDriver {
    started_on(FakeDriver::new(Arc::new(ManualClock::new())), program).await
}

async fn started_on(fake: FakeDriver, program: Program) -> FakeDriver {
    fake.add_image(IMAGE, program);
    fake.apply(&network()).await.expect("network");
    fake.apply(&start()).await.expect("start");
    fake
}

#[tokio::test]
async fn a_call_fails_as_it_was_told_and_only_once() {
    let fake = started(Program::default()).await;
    for (fault, left) in [
        (Fault::Error, 1),
        (Fault::Unavailable, 1),
        (Fault::LostReply, 0),
    ] {
        fake.fail_call(2, fault);
        fake.info().await.expect("this is the first");
        let name = spec().name;
        let error = fake
            .apply(&EngineStep::RemoveReplica { name })
            .await
            .expect_err("the second");
        let is_error = matches!(error, DriverError::Failed { .. });
        assert_eq!(is_error, fault == Fault::Error, "{fault:?}");
        assert_eq!(
            fake.observe(Scope::Installation)
                .await
                .expect("the third")
                .len(),
            left
        );
    }
    assert_eq!(fake.calls(), 11);
}

#[tokio::test]
async fn applied_steps_are_recorded_in_order() {
    let fake = started(Program::default()).await;
    let steps = fake.applied();
    assert!(matches!(
        steps[..],
        [
            EngineStep::EnsureNetwork { .. },
            EngineStep::StartReplica(_)
        ]
    ));
    assert_eq!(
        fake.spec_of(&spec().name).expect("it was started").image,
        IMAGE
    );
}

#[tokio::test]
async fn an_engine_that_is_down_answers_nothing_and_comes_back_as_it_was() {
    let fake = started(Program::default()).await;
    let mut events = fake.events().await.expect("events");
    let mut logs = fake.logs(&spec().name, None).await.expect("logs");
    fake.go_down();
    let error = fake
        .observe(Scope::Installation)
        .await
        .expect_err("it is down");
    assert!(matches!(error, DriverError::Unavailable(_)));
    assert!(events.next().await.is_none());
    assert!(matches!(
        logs.next().await,
        Some(Err(DriverError::Unavailable(_)))
    ));
    fake.come_back();
    assert_eq!(
        fake.observe(Scope::Installation)
            .await
            .expect("it is back")
            .len(),
        1
    );
}

#[tokio::test]
async fn a_crash_from_outside_is_followed_by_a_restart() {
    let fake = started(Program::default()).await;
    let name = spec().name;
    fake.run_out_of_memory(&name);
    let seen = fake.observe(Scope::Installation).await.expect("observe");
    let expected = ReplicaState::Restarting {
        exit_code: 137,
        out_of_memory: true,
    };
    assert_eq!(seen[0].state, expected);
    assert_eq!(fake.peek()[0].state, ReplicaState::Running);
    fake.exit(&name, 0);
    let seen = fake.observe(Scope::Installation).await.expect("observe");
    assert_eq!(
        seen[0].state,
        ReplicaState::Exited {
            exit_code: 0,
            out_of_memory: false
        }
    );
    assert_eq!(seen[0].restarts, 1);
}

#[tokio::test]
async fn lines_have_the_clocks_time_and_never_the_same() {
    let clock = Arc::new(ManualClock::new());
    let fake = started_on(FakeDriver::new(clock.clone()), Program::new([])).await;
    let name = spec().name;
    clock.advance(Duration::from_secs(5));
    fake.print(&name, LogSource::Stderr, "one");
    fake.print(&name, LogSource::Stdout, "two");
    let lines: Vec<_> = fake
        .logs(&name, None)
        .await
        .expect("logs")
        .take(2)
        .collect()
        .await;
    let lines: Vec<_> = lines
        .into_iter()
        .map(|line| line.expect("a line"))
        .collect();
    assert_eq!(lines[0].time, clock.now());
    assert_eq!(lines[1].time.as_nanos(), clock.now().as_nanos() + 1);
}

#[tokio::test]
async fn a_published_image_can_be_pulled() {
    let fake = FakeDriver::new(Arc::new(ManualClock::new()));
    fake.publish_image("nginx:1.27", Program::default());
    let lines = fake.ensure_image("nginx:1.27").await.expect("there is one");
    assert_eq!(lines.count().await, 2);
    assert_eq!(
        fake.ensure_image("nginx:1.27")
            .await
            .expect("it is here")
            .count()
            .await,
        0
    );
}

#[tokio::test]
async fn a_replica_with_sockets_answers_http_until_it_ends() {
    let fake = FakeDriver::new(Arc::new(ManualClock::new())).with_sockets();
    let fake = started_on(fake, Program::new([Act::Serve { status: 503 }])).await;
    let ip = fake.peek()[0].ip.expect("it runs");
    let mut connection = tokio::net::TcpStream::connect((ip, 8080))
        .await
        .expect("it listens");
    connection
        .write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        .await
        .expect("it reads");
    let mut answer = String::new();
    connection
        .read_to_string(&mut answer)
        .await
        .expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with(spec().name.as_str()), "{answer}");

    fake.apply(&EngineStep::TerminateReplica { name: spec().name })
        .await
        .expect("terminate");
    // The listener's task is dropped by the runtime, at its next turn.
    while tokio::net::TcpStream::connect((ip, 8080)).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn volumes_commands_and_terminals_can_be_looked_at() {
    let fake = FakeDriver::new(Arc::new(ManualClock::new()));
    fake.add_image(IMAGE, Program::new([]));
    fake.apply(&network()).await.expect("network");
    let mut spec = spec();
    spec.command = Some(vec!["serve".to_owned()]);
    spec.volumes.push(VolumeMount {
        name: "data".parse().expect("a slug"),
        path: "/data".to_owned(),
    });
    let step = EngineStep::StartReplica(Box::new(spec.clone()));
    fake.apply(&step).await.expect("start");
    assert_eq!(
        fake.peek_volumes(),
        [(spec.key.project_id, spec.volumes[0].name.clone())]
    );
    let seen = fake.spec_of(&spec.name).expect("it was started");
    assert_eq!(seen.command, spec.command);

    let size = TtySize {
        columns: 80,
        rows: 24,
    };
    let request = ExecRequest {
        command: vec!["sh".to_owned()],
        env: Vec::new(),
        tty: Some(size),
    };
    let session = fake.exec(&spec.name, &request).await.expect("it runs");
    assert_eq!(fake.terminal_size(&session.id), Some(size));
    let wider = TtySize {
        columns: 132,
        ..size
    };
    fake.resize_exec(&session.id, wider).await.expect("it runs");
    assert_eq!(fake.terminal_size(&session.id), Some(wider));
    fake.exit(&spec.name, 0);
    assert_eq!(session.output.count().await, 0);
    let code = fake
        .exec_exit_code(&session.id)
        .await
        .expect("it was there");
    assert_eq!(code, Some(137));
}

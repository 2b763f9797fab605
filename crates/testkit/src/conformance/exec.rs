//! Commands beside a replica's process: what they write, read, and end with.

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tose_model::driver::{
    DriverError, ExecId, ExecOutput, ExecRequest, ExecSession, ReplicaName, TtySize,
};

use super::lab::{chain, remove, terminate};
use super::{Case, Lab, case};
use crate::program::{Act, Program};

const SIZE: TtySize = TtySize {
    columns: 132,
    rows: 43,
};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("a command's output and exit code are told", |lab| {
            tells(lab).boxed()
        }),
        case("a command reads its input until it is closed", |lab| {
            reads(lab).boxed()
        }),
        case("dropping a command's input closes it", |lab| {
            drops(lab).boxed()
        }),
        case("a terminal takes input, a new size, and its end", |lab| {
            terminal(lab).boxed()
        }),
        case("a program that is not there is told by its code", |lab| {
            absent(lab).boxed()
        }),
        case("commands need a replica that runs", |lab| {
            needs_running(lab).boxed()
        }),
        case("a command ends with its replica", |lab| ends(lab).boxed()),
        case("another installation's commands are not there", |lab| {
            neighbours(lab).boxed()
        }),
    ]
}

/// Begins a command that must begin.
async fn exec(
    lab: &Lab,
    name: &ReplicaName,
    command: &[&str],
    tty: Option<TtySize>,
) -> ExecSession {
    let request = request(command, tty);
    let session = lab.driver.exec(name, &request).await;
    session.unwrap_or_else(|error| panic!("{command:?}: {}", chain(&error)))
}

fn request(command: &[&str], tty: Option<TtySize>) -> ExecRequest {
    ExecRequest {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        env: vec![("EXEC_WORD".parse().expect("a key"), "secret".into())],
        tty,
    }
}

async fn start(lab: &Lab) -> ReplicaName {
    let app = lab.app("web").await;
    let spec = lab.start(&app, Program::new([Act::print("ready")])).await;
    lab.wait_line(&spec.name, "ready").await;
    spec.name
}

/// The rest of what a command writes to its standard output, and its exit code.
async fn end(lab: &Lab, mut session: ExecSession) -> (String, Option<i64>) {
    let mut text = Vec::new();
    while let Some(piece) = session.output.next().await {
        match piece.unwrap_or_else(|error| panic!("output: {}", chain(&error))) {
            ExecOutput::Stdout(piece) | ExecOutput::Stderr(piece) => text.extend_from_slice(&piece),
        }
    }
    (
        String::from_utf8(text).expect("text"),
        code(lab, &session.id).await,
    )
}

async fn code(lab: &Lab, id: &ExecId) -> Option<i64> {
    let code = lab.driver.exec_exit_code(id).await;
    code.unwrap_or_else(|error| panic!("exit code: {}", chain(&error)))
}

/// Reads until `text` has come.
async fn wait_for(session: &mut ExecSession, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        match session.output.next().await {
            Some(Ok(ExecOutput::Stdout(piece))) => {
                seen.push_str(std::str::from_utf8(&piece).expect("text"));
            }
            other => panic!("{other:?} after {seen:?}"),
        }
    }
}

async fn send(session: &mut ExecSession, text: &str) {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    session.input.send(bytes).await.expect("it reads");
}

async fn tells(lab: &Lab) {
    let name = start(lab).await;
    let odd = "$HOME; \"two\"  words";
    let echo = exec(lab, &name, &["echo", "one", odd], None).await;
    assert_eq!(
        end(lab, echo).await,
        (format!("one {odd}\n"), Some(0)),
        "no shell takes it apart"
    );
    let word = exec(lab, &name, &["printenv", "EXEC_WORD"], None).await;
    assert_eq!(
        end(lab, word).await,
        ("secret\n".to_owned(), Some(0)),
        "it has variables of its own"
    );
    let fails = exec(lab, &name, &["false"], None).await;
    assert_eq!(end(lab, fails).await, (String::new(), Some(1)));
}

async fn reads(lab: &Lab) {
    let name = start(lab).await;
    let mut cat = exec(lab, &name, &["cat"], None).await;
    send(&mut cat, "hello\n").await;
    wait_for(&mut cat, "hello\n").await;
    assert_eq!(code(lab, &cat.id).await, None);
    send(&mut cat, "half a line").await;
    cat.input.close().await.expect("it is open");
    assert_eq!(
        end(lab, cat).await,
        ("half a line".to_owned(), Some(0)),
        "nothing of the input is lost"
    );
}

async fn drops(lab: &Lab) {
    let name = start(lab).await;
    let ExecSession { id, output, input } = exec(lab, &name, &["cat"], None).await;
    drop(input);
    assert_eq!(output.count().await, 0);
    assert_eq!(code(lab, &id).await, Some(0));
}

async fn terminal(lab: &Lab) {
    let name = start(lab).await;
    let mut shell = exec(lab, &name, &["sh"], Some(SIZE)).await;
    send(&mut shell, "echo hello\n").await;
    wait_for(&mut shell, "hello").await;
    let size = TtySize {
        columns: 80,
        rows: 24,
    };
    let resized = lab.driver.resize_exec(&shell.id, size).await;
    resized.unwrap_or_else(|error| panic!("resize: {}", chain(&error)));
    shell.input.close().await.expect("it is open");
    let id = shell.id.clone();
    let (_, code) = end(lab, shell).await;
    assert_eq!(code, Some(0));
    let resized = lab.driver.resize_exec(&id, SIZE).await;
    resized.unwrap_or_else(|error| panic!("resize: {}", chain(&error)));
}

async fn absent(lab: &Lab) {
    let name = start(lab).await;
    for tty in [None, Some(SIZE)] {
        let session = exec(lab, &name, &["no-such-program"], tty).await;
        let (_, code) = end(lab, session).await;
        assert!(matches!(code, Some(126 | 127)), "{code:?}");
    }
}

async fn needs_running(lab: &Lab) {
    let name = start(lab).await;
    let request = request(&["cat"], None);
    lab.driver
        .apply(&terminate(&name))
        .await
        .expect("terminate");
    lab.wait_exited(&name).await;
    let error = lab.driver.exec(&name, &request).await.err();
    assert!(
        matches!(error, Some(DriverError::CannotStart(_))),
        "{error:?}"
    );
    lab.apply(&remove(&name)).await;
    let error = lab.driver.exec(&name, &request).await.err();
    assert!(matches!(error, Some(DriverError::NotFound(_))), "{error:?}");
}

async fn ends(lab: &Lab) {
    let name = start(lab).await;
    let mut cat = exec(lab, &name, &["cat"], None).await;
    send(&mut cat, "hello").await;
    wait_for(&mut cat, "hello").await;
    lab.apply(&remove(&name)).await;
    let ExecSession { output, .. } = cat;
    let pieces: Vec<_> = output.collect().await;
    assert!(pieces.iter().all(Result::is_ok), "{pieces:?}");
}

async fn neighbours(lab: &Lab) {
    let name = start(lab).await;
    let cat = exec(lab, &name, &["cat"], None).await;
    let neighbour = lab.neighbour.as_ref();
    let error = neighbour.exec(&name, &request(&["cat"], None)).await.err();
    assert!(matches!(error, Some(DriverError::NotFound(_))), "{error:?}");
    for id in [&cat.id, &ExecId::new("0123"), &ExecId::new("../info")] {
        let errors = [
            neighbour.exec_exit_code(id).await.err(),
            neighbour.resize_exec(id, SIZE).await.err(),
        ];
        for error in errors {
            assert!(matches!(error, Some(DriverError::NotFound(_))), "{error:?}");
        }
    }
    assert_eq!(code(lab, &cat.id).await, None);
}

//! Engines that are away, come back, or speak another version.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tose_driver_docker::{DockerDriver, Options};
use tose_model::driver::{Driver, DriverError, InstallationId, Scope};

use crate::engine::is_there;

fn connect(host: String) -> DockerDriver {
    let installation = InstallationId::parse("0123abcd").expect("8 hex digits");
    DockerDriver::connect(Options {
        host,
        ..Options::new(installation)
    })
    .expect("an address")
}

fn unix(path: &Path) -> String {
    format!("unix://{}", path.display())
}

/// An engine that says which API it speaks and has nothing; it ends when it is dropped.
struct Pretender {
    host: String,
    /// The targets of the requests, as they come.
    asked: mpsc::UnboundedReceiver<String>,
    _directory: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

fn pretend(newest: &'static str, oldest: &'static str) -> Pretender {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("engine.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (targets, asked) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.expect("a request"));
            }
            let head = String::from_utf8(head).expect("text");
            let target = head.split(' ').nth(1).expect("a target").to_owned();
            let body = match target.rsplit('/').next() {
                Some("version") => format!(
                    r#"{{"Version":"1","ApiVersion":"{newest}","MinAPIVersion":"{oldest}"}}"#
                ),
                Some("info") => r#"{"NCPU":2}"#.to_owned(),
                _ => "[]".to_owned(),
            };
            let _ = targets.send(target);
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    Pretender {
        host: unix(&path),
        asked,
        _directory: directory,
        _tasks: tasks,
    }
}

#[tokio::test]
async fn every_request_names_the_version_that_was_agreed_on() {
    for (newest, agreed) in [
        ("1.41", "/v1.41/"),
        ("1.43", "/v1.43/"),
        ("1.99", "/v1.53/"),
    ] {
        let mut engine = pretend(newest, "1.12");
        let driver = connect(engine.host.clone());
        assert_eq!(
            driver.observe(Scope::Installation).await.expect("observe"),
            []
        );
        assert_eq!(driver.list_networks().await.expect("list"), []);
        assert_eq!(engine.asked.recv().await.as_deref(), Some("/version"));
        for _ in 0..3 {
            let target = engine.asked.recv().await.expect("a request");
            assert!(target.starts_with(agreed), "{target} of {newest}");
        }
    }
}

#[tokio::test]
async fn an_engine_that_is_too_old_or_too_new_is_refused_with_the_reason() {
    for (newest, oldest, expected) in [
        (
            "1.40",
            "1.12",
            "version 1 speaks API 1.40; 1.41 (Docker Engine 20.10) is the oldest that will do",
        ),
        (
            "2.10",
            "2.0",
            "version 1 speaks no API older than 2.0; 1.53 is the newest known here",
        ),
    ] {
        let engine = pretend(newest, oldest);
        let error = connect(engine.host.clone())
            .info()
            .await
            .expect_err("not this one");
        let DriverError::Failed { operation, source } = error else {
            panic!("{error:?}")
        };
        assert_eq!(
            (operation.as_str(), source.to_string().as_str()),
            ("be used", expected)
        );
    }
}

#[tokio::test]
async fn an_engine_that_is_away_is_unavailable_until_it_is_back() {
    if !is_there() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("engine.sock");
    let driver = connect(unix(&path));
    for _ in 0..2 {
        let error = driver
            .observe(Scope::Installation)
            .await
            .expect_err("it is away");
        assert!(matches!(error, DriverError::Unavailable(_)), "{error:?}");
        std::os::unix::fs::symlink("/var/run/docker.sock", &path).expect("a link");
        assert_eq!(
            driver
                .observe(Scope::Installation)
                .await
                .expect("it is back"),
            []
        );
        let info = driver.info().await.expect("it is back");
        assert_eq!(info.kind, "docker");
        std::fs::remove_file(&path).expect("the link");
        let error = driver.info().await.expect_err("it is away again");
        assert!(matches!(error, DriverError::Unavailable(_)), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_no_address_is_refused_at_once() {
    let installation = InstallationId::parse("0123abcd").expect("8 hex digits");
    for host in ["", "docker", "unix://relative", "ssh://host", "tcp://"] {
        let options = Options {
            host: host.to_owned(),
            ..Options::new(installation.clone())
        };
        assert!(DockerDriver::connect(options).is_err(), "{host}");
    }
}

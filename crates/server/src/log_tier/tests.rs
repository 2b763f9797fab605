//! Against a service in memory, which takes everything and keeps it.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;
use tose_testkit::SeededIds;

use super::*;

type Objects = Arc<Mutex<HashMap<String, Bytes>>>;

/// A bucket with a tier on it.
struct Fixture {
    folder: TempDir,
    objects: Objects,
    tier: Arc<LogTier>,
    _tasks: TaskTracker,
}

impl Fixture {
    async fn new() -> Self {
        let objects = Objects::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let service = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&objects));
        let tasks = TaskTracker::new();
        tasks.spawn(async move { axum::serve(listener, service).await });
        let folder = tempfile::tempdir().expect("a folder");
        let tier = open(folder.path(), &endpoint);
        Self {
            folder,
            objects,
            tier,
            _tasks: tasks,
        }
    }

    /// Runs calls where they may block.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&LogTier) -> T + Send + 'static,
    ) -> T {
        let tier = Arc::clone(&self.tier);
        let called = tokio::task::spawn_blocking(move || call(&tier));
        called.await.expect("no panic")
    }

    async fn put(&self, name: &'static str, content: &[u8]) -> Result<Vec<u8>, FarError> {
        let path = self.folder.path().join("segment");
        std::fs::write(&path, content).expect("written");
        let file = File::open(path).expect("a file");
        self.call(move |tier| tier.put(name, file)).await
    }

    async fn get(&self, name: &'static str, ticket: &[u8]) -> Result<Vec<u8>, FarError> {
        let ticket = ticket.to_vec();
        let get = move |tier: &LogTier| {
            let mut content = Vec::new();
            tier.get(name, &ticket, &mut content).map(|()| content)
        };
        self.call(get).await
    }

    fn objects(&self) -> std::sync::MutexGuard<'_, HashMap<String, Bytes>> {
        lock(&self.objects)
    }
}

fn lock(objects: &Objects) -> std::sync::MutexGuard<'_, HashMap<String, Bytes>> {
    objects.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(folder: &Path, endpoint: &str) -> Arc<LogTier> {
    let secret = folder.join("secret");
    std::fs::write(&secret, "secret").expect("written");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&secret, private).expect("it is ours");
    let config = S3Config {
        bucket: "logs".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        region: "us-east-1".to_owned(),
        prefix: "tose".to_owned(),
        access_key_id: "key".to_owned(),
        secret_access_key_file: secret,
        allow_http: true,
    };
    let ids = Arc::new(SeededIds::new(1));
    let vault = Vault::open_or_create(&folder.join("secret.key"), ids.as_ref());
    let vault = Arc::new(vault.expect("a vault"));
    Arc::new(LogTier::open(&config, vault, ids).expect("a tier"))
}

async fn answer(State(objects): State<Objects>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let name = parts.uri.path().to_owned();
    match parts.method {
        Method::PUT => {
            let content = axum::body::to_bytes(body, usize::MAX).await;
            let content = content.expect("a body");
            lock(&objects).insert(name, content);
            [("ETag", "\"1\"")].into_response()
        }
        // Objects are deleted by a list of them.
        Method::POST => {
            let list = axum::body::to_bytes(body, usize::MAX).await;
            let list = String::from_utf8_lossy(&list.expect("a body")).into_owned();
            let keys = list.split("<Key>").skip(1);
            let keys = keys.filter_map(|rest| rest.split("</Key>").next());
            let mut result = "<DeleteResult>".to_owned();
            for key in keys {
                lock(&objects).remove(&format!("/logs/{key}"));
                result += &format!("<Deleted><Key>{key}</Key></Deleted>");
            }
            (result + "</DeleteResult>").into_response()
        }
        _ => match lock(&objects).get(&name) {
            Some(content) => {
                let modified = ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT");
                ([("ETag", "\"1\""), modified], content.clone()).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

const NAME: &str = "project-1/00000001";
const OBJECT: &str = "/logs/tose/logs/project-1/00000001";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_comes_back_and_nobody_else_can_read_it() {
    let fixture = Fixture::new().await;
    let plain = b"a line of an app, again and again ".repeat(10_000);
    let ticket = fixture.put(NAME, &plain).await.expect("taken");
    let first = fixture.objects()[OBJECT].clone();
    assert!(!first.windows(9).any(|window| window == b"a line of"));
    assert_eq!(fixture.get(NAME, &ticket).await.expect("there"), plain);
    // Another key each time, and the ticket of before is worth nothing.
    let second = fixture.put(NAME, &plain).await.expect("taken");
    assert_ne!(fixture.objects()[OBJECT], first);
    let refused = fixture.get(NAME, &ticket).await;
    assert!(matches!(refused, Err(FarError::Damaged(_))), "{refused:?}");
    assert_eq!(fixture.get(NAME, &second).await.expect("there"), plain);

    for _ in 0..2 {
        let deleted = fixture.call(|tier| tier.delete(NAME)).await;
        deleted.expect("what is gone is as good");
        assert!(fixture.objects().is_empty());
    }
    let refused = fixture.get(NAME, &second).await;
    assert!(matches!(refused, Err(FarError::Damaged(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_or_moved_is_refused() {
    let fixture = Fixture::new().await;
    let plain = b"0123456789abcdef".repeat(20_000);
    let ticket = fixture.put(NAME, &plain).await.expect("taken");
    let whole = fixture.objects()[OBJECT].clone();
    for at in [0, 9, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        for damaged in [changed, whole[..at].to_vec()] {
            fixture.objects().insert(OBJECT.to_owned(), damaged.into());
            let refused = fixture.get(NAME, &ticket).await;
            assert!(
                matches!(refused, Err(FarError::Damaged(_))),
                "{at}: {refused:?}"
            );
        }
    }
    let other = OBJECT.replace("00000001", "00000002");
    fixture.objects().insert(other, whole);
    let refused = fixture.get("project-1/00000002", &ticket).await;
    assert!(matches!(refused, Err(FarError::Damaged(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_is_no_damage_and_is_not_waited_for_when_the_server_stops() {
    let fixture = Fixture::new().await;
    let ticket = fixture.put(NAME, b"text").await.expect("taken");
    // One that takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let tier = open(fixture.folder.path(), &endpoint);
    let waiting = tokio::task::spawn_blocking({
        let tier = Arc::clone(&tier);
        move || tier.get(NAME, &ticket, &mut io::sink())
    });
    let asked = tokio::task::spawn_blocking(move || {
        let (mut connection, _) = silent.accept().expect("it was called");
        let mut asked = [0; 16];
        connection.read_exact(&mut asked).expect("it was asked");
        (connection, asked)
    });
    let (_connection, asked) = asked.await.expect("no panic");
    assert_eq!(&asked, b"GET /logs/tose/l");
    tier.stop();
    let refused = waiting.await.expect("no panic");
    assert!(
        matches!(refused, Err(FarError::Unavailable(_))),
        "{refused:?}"
    );
    // From now on nobody is asked at all.
    let refused = tokio::task::spawn_blocking(move || tier.delete(NAME)).await;
    let refused = refused.expect("no panic");
    assert!(
        matches!(refused, Err(FarError::Unavailable(_))),
        "{refused:?}"
    );
}

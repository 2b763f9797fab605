//! A service that is called by HTTP, on loopback.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post};
use flate2::read::GzDecoder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::harness::eventually;

/// A call that a service got.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Bytes,
    pub(crate) body: Value,
    /// What it was answered.
    pub(crate) status: u16,
}

impl Call {
    /// The lines of a plain batch: their numbers and texts.
    fn lines(&self) -> Vec<(u64, String)> {
        let lines = self.body.as_array().expect("an array");
        lines
            .iter()
            .map(|line| {
                let text = line["message"].as_str().expect("a text").to_owned();
                (line["seq"].as_u64().expect("a number"), text)
            })
            .collect()
    }
}

#[derive(Default)]
struct Script {
    /// What the next calls are answered, with the value of `Retry-After`; 200 when it is empty.
    answers: Mutex<VecDeque<(u16, Option<&'static str>)>>,
    /// What all other calls are answered, if not 200.
    otherwise: Mutex<Option<u16>>,
    calls: Mutex<Vec<Call>>,
}

/// A service that is called by HTTP.
pub(crate) struct Receiver {
    pub(crate) url: String,
    script: Arc<Script>,
    _serving: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let script = Arc::new(Script::default());
        let router = Router::new()
            .route("/", post(take))
            .route("/{*path}", post(take))
            .with_state(Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            url,
            script,
            _serving: serving,
        }
    }

    /// Says what the next call is answered that has no answer so far.
    pub(crate) fn answer(&self, status: u16, retry_after: Option<&'static str>) {
        let mut answers = self.script.answers.lock().expect("no panic");
        answers.push_back((status, retry_after));
    }

    /// Says what calls are answered from now on.
    pub(crate) fn answer_always(&self, status: u16) {
        *self.script.otherwise.lock().expect("no panic") = Some(status);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.script.calls.lock().expect("no panic").clone()
    }

    /// The lines that it took, with their numbers.
    pub(crate) fn taken(&self) -> Vec<(u64, String)> {
        let calls = self.calls();
        let taken = calls.iter().filter(|call| call.status == 200);
        taken.flat_map(Call::lines).collect()
    }

    /// Waits until so many calls came.
    pub(crate) async fn is_called(&self, count: usize) -> Vec<Call> {
        eventually(&format!("{count} calls"), async || {
            let calls = self.calls();
            match calls.len() >= count {
                true => Ok(calls),
                false => Err(format!("{calls:?}")),
            }
        })
        .await
    }

    /// Waits until it has taken these lines and no others.
    pub(crate) async fn has_taken(&self, expected: &[&str]) {
        eventually("the lines are taken", async || {
            let taken = self.taken();
            let texts: Vec<&str> = taken.iter().map(|(_, text)| text.as_str()).collect();
            match texts == expected {
                true => Ok(()),
                false => Err(format!("{texts:?}")),
            }
        })
        .await;
    }
}

async fn take(
    State(script): State<Arc<Script>>,
    uri: Uri,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let mut plain = raw.to_vec();
    if headers.contains_key("content-encoding") {
        plain.clear();
        let mut gzip = GzDecoder::new(raw.as_ref());
        gzip.read_to_end(&mut plain).expect("gzip");
    }
    let next = script.answers.lock().expect("no panic").pop_front();
    let otherwise = script.otherwise.lock().expect("no panic").unwrap_or(200);
    let (status, retry_after) = next.unwrap_or((otherwise, None));
    script.calls.lock().expect("no panic").push(Call {
        path: uri.path().to_owned(),
        headers,
        raw,
        body: serde_json::from_slice(&plain).expect("JSON"),
        status,
    });
    let status = StatusCode::from_u16(status).expect("a status");
    let mut answer = (status, "s3cret words of the service").into_response();
    if let Some(retry_after) = retry_after {
        let value = retry_after.parse().expect("a value");
        answer.headers_mut().insert("retry-after", value);
    }
    answer
}

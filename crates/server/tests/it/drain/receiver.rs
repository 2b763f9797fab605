//! Services that take lines, on loopback: one for each way to them.

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
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::harness::eventually;

/// A call that a service got.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    /// What it was answered.
    pub(super) status: u16,
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
pub(super) struct HttpReceiver {
    pub(super) url: String,
    script: Arc<Script>,
    _serving: JoinSet<()>,
}

impl HttpReceiver {
    pub(super) async fn start() -> Self {
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
    pub(super) fn answer(&self, status: u16, retry_after: Option<&'static str>) {
        let mut answers = self.script.answers.lock().expect("no panic");
        answers.push_back((status, retry_after));
    }

    /// Says what calls are answered from now on.
    pub(super) fn answer_always(&self, status: u16) {
        *self.script.otherwise.lock().expect("no panic") = Some(status);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.script.calls.lock().expect("no panic").clone()
    }

    /// The lines that it took, with their numbers.
    pub(super) fn taken(&self) -> Vec<(u64, String)> {
        let calls = self.calls();
        let taken = calls.iter().filter(|call| call.status == 200);
        taken.flat_map(Call::lines).collect()
    }

    /// Waits until so many calls came.
    pub(super) async fn is_called(&self, count: usize) -> Vec<Call> {
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
    pub(super) async fn has_taken(&self, expected: &[&str]) {
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
    body: Bytes,
) -> Response {
    let mut plain = Vec::new();
    GzDecoder::new(body.as_ref())
        .read_to_end(&mut plain)
        .expect("gzip");
    let next = script.answers.lock().expect("no panic").pop_front();
    let otherwise = script.otherwise.lock().expect("no panic").unwrap_or(200);
    let (status, retry_after) = next.unwrap_or((otherwise, None));
    script.calls.lock().expect("no panic").push(Call {
        path: uri.path().to_owned(),
        headers,
        body: serde_json::from_slice(&plain).expect("JSON"),
        status,
    });
    let mut answer = StatusCode::from_u16(status)
        .expect("a status")
        .into_response();
    if let Some(retry_after) = retry_after {
        let value = retry_after.parse().expect("a value");
        answer.headers_mut().insert("retry-after", value);
    }
    answer
}

/// A server of syslog: connections one after the other.
pub(super) struct SyslogReceiver {
    pub(super) port: u16,
    /// The certificate that it has, if it speaks TLS.
    pub(super) certificate: Option<String>,
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
}

/// A connection of syslog.
pub(super) struct SyslogConnection(Box<dyn AsyncRead + Send + Unpin>);

impl SyslogReceiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self {
            port: listener.local_addr().expect("its address").port(),
            certificate: None,
            listener,
            acceptor: None,
        }
    }

    /// With TLS, for the name localhost.
    pub(super) async fn start_with_tls() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("a configuration");
        Self {
            certificate: Some(made.cert.pem()),
            acceptor: Some(TlsAcceptor::from(Arc::new(config))),
            ..Self::start().await
        }
    }

    /// The next connection; one whose handshake fails is passed over.
    pub(super) async fn accept(&self) -> SyslogConnection {
        loop {
            let (stream, _) = self.listener.accept().await.expect("a connection");
            match &self.acceptor {
                None => return SyslogConnection(Box::new(stream)),
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        return SyslogConnection(Box::new(stream));
                    }
                }
            }
        }
    }
}

impl SyslogConnection {
    /// The next message, by its length.
    pub(super) async fn message(&mut self) -> String {
        let mut length = 0;
        loop {
            match self.0.read_u8().await.expect("a byte") {
                b' ' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut message = vec![0; length];
        self.0.read_exact(&mut message).await.expect("a message");
        String::from_utf8(message).expect("text")
    }
}

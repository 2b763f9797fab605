//! What is checked, and who is told, on loopback: a site that behaves as it is told to, and a mail server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::harness::eventually;

/// What a site does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// It answers with this status line, these headers and this body.
    Answer(&'static str, &'static str, &'static str),
    /// It says nothing.
    Silent,
    /// It answers with a body that has no end.
    Endless,
    /// It hangs up.
    HangUp,
}

impl Behaviour {
    pub(crate) const WELL: Self = Self::Answer("200 OK", "", "all is well");
    pub(crate) const SICK: Self = Self::Answer("500 Oops", "", "secret trace");
}

struct State {
    behaviour: Mutex<Behaviour>,
    /// Head and body of each request.
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    hung_up: Notify,
    acceptor: Mutex<Option<TlsAcceptor>>,
}

/// A site.
pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
    _serving: JoinSet<()>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::serve(None).await
    }

    /// With a certificate for `localhost` that nobody vouches for.
    pub(crate) async fn start_with_tls() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Self::start_with_chain(vec![made.cert.der().clone()], key).await
    }

    /// With this certificate and what vouches for it.
    pub(super) async fn start_with_chain(
        chain: Vec<CertificateDer<'static>>,
        key: PrivatePkcs8KeyDer<'static>,
    ) -> Self {
        Self::serve(Some(acceptor(chain, key))).await
    }

    /// Shows another certificate from now on.
    pub(super) fn renew(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivatePkcs8KeyDer<'static>,
    ) {
        *self.state.acceptor.lock().expect("no panic") = Some(acceptor(chain, key));
    }

    async fn serve(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        let state = Arc::new(State {
            behaviour: Mutex::new(Behaviour::WELL),
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            hung_up: Notify::new(),
            acceptor: Mutex::new(tls),
        });
        let mut serving = JoinSet::new();
        let shared = Arc::clone(&state);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(accept(stream, Arc::clone(&shared)));
            }
        });
        Self {
            addr,
            state,
            _serving: serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().expect("no panic") = behaviour;
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().expect("no panic").clone()
    }

    /// How often anybody connected, whether a request came or not.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Breaks off everybody who waits for an answer of a site that says nothing.
    pub(crate) fn hang_up(&self) {
        self.state.hung_up.notify_waiters();
    }

    /// Waits until somebody connected so often.
    pub(crate) async fn is_connected_to(&self, count: usize) {
        eventually(&format!("{count} connections"), async || {
            match self.connections() {
                found if found >= count => Ok(()),
                found => Err(format!("{found}")),
            }
        })
        .await;
    }

    /// Waits until so many requests came.
    pub(crate) async fn is_asked(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} requests"), async || {
            let requests = self.requests();
            match requests.len() >= count {
                true => Ok(requests),
                false => Err(format!("{requests:?}")),
            }
        })
        .await
    }
}

fn acceptor(chain: Vec<CertificateDer<'static>>, key: PrivatePkcs8KeyDer<'static>) -> TlsAcceptor {
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .expect("a configuration");
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(stream: TcpStream, state: Arc<State>) {
    let acceptor = state.acceptor.lock().expect("no panic").clone();
    // What the other side breaks off is its own matter.
    let _ = match acceptor {
        None => answer(stream, &state).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => answer(stream, &state).await,
            Err(error) => Err(error),
        },
    };
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, state: &State) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    let mut length = 0;
    loop {
        let begin = request.len();
        if stream.read_line(&mut request).await? == 0 {
            return Ok(());
        }
        let line = request[begin..].to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    request.push_str(&String::from_utf8_lossy(&body));
    state.requests.lock().expect("no panic").push(request);
    let behaviour = state.behaviour.lock().expect("no panic").clone();
    match behaviour {
        Behaviour::Answer(status, headers, body) => {
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            stream.write_all(text.as_bytes()).await
        }
        Behaviour::Silent => tokio::select! {
            read = stream.read_u8() => read.map(drop),
            () = state.hung_up.notified() => Ok(()),
        },
        Behaviour::HangUp => Ok(()),
        Behaviour::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'x'; 4096]).await?;
            }
        }
    }
}

/// A mail server that takes everything.
pub(crate) struct Mailbox {
    pub(crate) port: u16,
    mails: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Mailbox {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let mails = Arc::new(Mutex::default());
        let mut serving = JoinSet::new();
        let shared = Arc::clone(&mails);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let mails = Arc::clone(&shared);
                connections.spawn(async move {
                    // A client that hangs up has said all it had to.
                    let _ = take_mails(stream, &mails).await;
                });
            }
        });
        Self {
            port,
            mails,
            _serving: serving,
        }
    }

    /// Waits until so many mails came.
    pub(crate) async fn has(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} mails"), async || {
            let mails = self.mails.lock().expect("no panic").clone();
            match mails.len() >= count {
                true => Ok(mails),
                false => Err(format!("{mails:?}")),
            }
        })
        .await
    }
}

async fn take_mails(stream: TcpStream, mails: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 here\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let reply: &[u8] = match line.get(..4).map(str::to_uppercase).as_deref() {
            Some("DATA") => b"354 go on\r\n",
            Some("QUIT") => b"221 bye\r\n",
            _ => b"250 yes\r\n",
        };
        stream.write_all(reply).await?;
        if reply.starts_with(b"354") {
            let mut mail = String::new();
            while !mail.ends_with("\r\n.\r\n") {
                if stream.read_line(&mut mail).await? == 0 {
                    return Ok(());
                }
            }
            mails.lock().expect("no panic").push(mail);
            stream.write_all(b"250 taken\r\n").await?;
        }
    }
}

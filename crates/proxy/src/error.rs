//! Why the proxy, or a conversation with it, failed.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The result of an operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation of this crate failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program listens there.
    #[error("port {} is taken: another program listens on {addr}", addr.port())]
    PortTaken {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The listener could not be made.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A proxy answers on the control socket, and taking over was not asked for.
    #[error("a proxy is running already: it answers on {}", path.display())]
    AlreadyRunning {
        /// The control socket.
        path: PathBuf,
    },
    /// The control socket could not be made or reached.
    #[error("cannot use the control socket {}", path.display())]
    ControlSocket {
        /// The control socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The route table's file could not be read or written.
    #[error("cannot access the route table {}", path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The route table's file holds something else.
    #[error("the route table {} is broken", path.display())]
    BrokenSnapshot {
        /// The file.
        path: PathBuf,
        /// Where and how it is broken.
        #[source]
        source: serde_json::Error,
    },
    /// A certificate's file could not be read or written.
    #[error("cannot access the certificates in {}", path.display())]
    Certificates {
        /// The file or its folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A certificate is none, or has another key.
    #[error("the certificate for {name} is broken")]
    BrokenCertificate {
        /// What it is for.
        name: String,
        /// How it is broken.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A thread or runtime could not be started.
    #[error("cannot start the proxy's {what}")]
    Start {
        /// Which part.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A worker ended without being told to.
    #[error("a worker of the proxy died")]
    WorkerDied,
    /// The proxy did not answer in time.
    #[error("the proxy did not answer {request} within {} s", limit.as_secs())]
    ControlTimeout {
        /// What was asked.
        request: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// The conversation with the proxy broke off.
    #[error("the connection to the proxy broke")]
    ControlConnection(#[source] io::Error),
    /// The proxy said something that has no place there.
    #[error("the proxy gave an answer that does not fit the question")]
    UnexpectedAnswer,
    /// The proxy is of a version that does not know the question.
    #[error("the running proxy is too old to answer {request}")]
    TooOld {
        /// What was asked.
        request: &'static str,
    },
    /// The proxy could not do what was asked.
    #[error("the proxy refused: {0}")]
    Refused(String),
}

/// The error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

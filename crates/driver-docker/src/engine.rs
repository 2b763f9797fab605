//! The connection: where the engine is, and which version of its API is spoken.
//!
//! Guarantees: nothing is connected before it is needed; every request names the version that was
//! agreed on; after a failure that may mean another engine answers, the version is agreed on anew.
//! Caveat: the client's own time limit ends with an answer's head, so each call has one here.

use std::sync::Mutex;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{BollardRequest, ClientVersion, Docker};
use bytes::BytesMut;
use tokio::net::{TcpStream, UnixStream};
use tose_model::driver::{DriverError, DriverResult, EngineInfo};

use crate::error::{failed, has_status, is_unavailable, refused};
use crate::hijack::{self, Wire};

/// The oldest API that is spoken: Docker Engine 20.10.
const OLDEST: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 41,
};
/// The newest API that the client's types are made for.
const NEWEST: ClientVersion = *bollard::API_DEFAULT_VERSION;

/// For builds and pulls, whose answer may begin late; a client's limit of a day is none.
pub(crate) const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Where an engine listens.
#[derive(Debug, Clone)]
enum Address {
    Unix(String),
    Tcp(String),
}

/// An engine that may or may not answer at the moment.
pub(crate) struct Engine {
    address: Address,
    timeout: Duration,
    agreed: Mutex<Option<Session>>,
}

/// What was agreed on with an engine that answered.
#[derive(Clone)]
pub(crate) struct Session {
    docker: Docker,
    api: ClientVersion,
    version: String,
    /// How many processors the engine's machine has.
    pub(crate) cpus: u32,
}

impl Session {
    /// A client that puts `query` before its own parameters. The engine takes the first of two:
    /// that is how values get in for which the client's types are too small.
    pub(crate) fn docker_with(&self, query: String) -> Docker {
        let api = self.api;
        let docker = self.docker.clone();
        docker.with_request_modifier(move |request| versioned(request, &api, &query))
    }
}

impl Engine {
    /// An engine at `host`, not asked yet.
    pub(crate) fn new(host: &str, timeout: Duration) -> DriverResult<Self> {
        let address = match host.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Address::Unix(path.to_owned()),
            Some(("tcp" | "http", authority)) if !authority.is_empty() => {
                Address::Tcp(format!("tcp://{}", authority.trim_end_matches('/')))
            }
            _ => {
                let reason =
                    "an engine's address is unix:///path, tcp://host:port or http://host:port";
                return Err(refused(format!("be reached at {host:?}"), reason));
            }
        };
        Ok(Self {
            address,
            timeout,
            agreed: Mutex::new(None),
        })
    }

    /// Whether the engine's processes are this machine's.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }

    /// What the engine is; asks it, so that one that went away is noticed.
    pub(crate) async fn info(&self) -> DriverResult<EngineInfo> {
        let docker = self.docker().await?;
        self.within(docker.ping())
            .await
            .map_err(|error| self.failed("answer", error))?;
        let session = self.session().await?;
        Ok(EngineInfo {
            kind: "docker",
            version: session.version,
            api_version: session.api.to_string(),
        })
    }

    /// A client for calls that end.
    pub(crate) async fn docker(&self) -> DriverResult<Docker> {
        Ok(self.session().await?.docker)
    }

    /// The agreement with the engine, made now if there is none.
    pub(crate) async fn session(&self) -> DriverResult<Session> {
        let known = self
            .agreed
            .lock()
            .expect("nothing panics while it is held")
            .clone();
        if let Some(session) = known {
            return Ok(session);
        }
        let session = self.agree().await?;
        *self.agreed.lock().expect("nothing panics while it is held") = Some(session.clone());
        Ok(session)
    }

    async fn agree(&self) -> DriverResult<Session> {
        let unavailable = |error| failed("answer", error);
        let docker = self.open().map_err(unavailable)?;
        let about = self.within(docker.version()).await.map_err(unavailable)?;
        let parse = |text: &Option<String>| text.as_deref().and_then(parse_version);
        let Some(newest) = parse(&about.api_version) else {
            return Err(refused(
                "say which API it speaks",
                "its answer names no version",
            ));
        };
        let oldest = parse(&about.min_api_version).unwrap_or(OLDEST);
        let version = about.version.unwrap_or_else(|| "unknown".to_owned());
        if newest < OLDEST {
            let reason = format!(
                "version {version} speaks API {newest}; {OLDEST} (Docker Engine 20.10) is the oldest that will do"
            );
            return Err(refused("be used", reason));
        }
        if oldest > NEWEST {
            let reason = format!(
                "version {version} speaks no API older than {oldest}; {NEWEST} is the newest known here"
            );
            return Err(refused("be used", reason));
        }
        let api = if newest < NEWEST { newest } else { NEWEST };
        let docker = docker.with_request_modifier(move |request| versioned(request, &api, ""));
        let machine = self.within(docker.info()).await.map_err(unavailable)?;
        let cpus = machine
            .ncpu
            .and_then(|cpus| u32::try_from(cpus).ok())
            .unwrap_or(1)
            .max(1);
        Ok(Session {
            docker,
            api,
            version,
            cpus,
        })
    }

    /// A connection of its own that the engine turns into a stream of bytes, with the first of
    /// them.
    pub(crate) async fn upgrade(
        &self,
        target: &str,
        body: &str,
    ) -> DriverResult<Result<(Box<dyn Wire>, BytesMut), Error>> {
        let api = self.session().await?.api;
        let target = format!("/v{api}{target}");
        let call = async {
            let wire: Box<dyn Wire> = match &self.address {
                Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
                Address::Tcp(authority) => {
                    let authority = authority.trim_start_matches("tcp://");
                    Box::new(TcpStream::connect(authority).await?)
                }
            };
            hijack::upgrade(wire, &target, body).await
        };
        Ok(self.within(call).await)
    }

    fn open(&self) -> Result<Docker, Error> {
        let seconds = self.timeout.as_secs().max(1);
        match &self.address {
            Address::Unix(path) => Docker::connect_with_unix(path, seconds, &NEWEST),
            Address::Tcp(authority) => Docker::connect_with_http(authority, seconds, &NEWEST),
        }
    }

    /// Bounds a whole call, its answer's body included.
    pub(crate) async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::RequestTimeoutError),
        }
    }

    /// What became of `operation`. An engine that is away, or that dislikes a request, may be
    /// another one by now: the version is agreed on anew.
    pub(crate) fn failed(&self, operation: impl Into<String>, error: Error) -> DriverError {
        if is_unavailable(&error) || has_status(&error, 400) {
            *self.agreed.lock().expect("nothing panics while it is held") = None;
        }
        failed(operation, error)
    }
}

fn parse_version(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ClientVersion {
        major_version: major.parse().ok()?,
        minor_version: minor.parse().ok()?,
    })
}

/// Puts the API version before the path, which the client leaves out, and `query` before its own.
fn versioned(mut request: BollardRequest, api: &ClientVersion, query: &str) -> BollardRequest {
    let uri = request.uri();
    let mut address = String::new();
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
        address = format!("{scheme}://{authority}");
    }
    address.push_str(&format!("/v{api}{}", uri.path()));
    let queries = [query, uri.query().unwrap_or_default()];
    let joined = queries
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("&");
    if !joined.is_empty() {
        address.push('?');
        address.push_str(&joined);
    }
    let uri = address
        .parse()
        .expect("a valid address stays one with a version before its path");
    *request.uri_mut() = uri;
    request
}

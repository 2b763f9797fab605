//! What is checked of a project, and how: one check at a time.
//!
//! Guarantees: a check ends in its time; why it failed is said in fixed words, never in those of an answer. An address
//! that a user names is called as `outgoing` calls them; the project's own host names are asked for at this server's
//! own proxy. Not here: when checks are made, and what follows from them (`tasks/uptime.rs`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tose_api::uptime::MonitorKind;
use tose_api::{ProjectId, Timestamp};
use tose_model::driver::{Driver, ReplicaState, Scope};
use tose_model::uptime::{ExpectedStatus, ends_within};

use crate::outgoing::{Ask, Met, Outgoing, Unreachable, Via};

/// The longest address that is checked.
const MAX_URL: usize = 2000;

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The answer to a GET.
    Page {
        url: Url,
        via: Via,
        expected: ExpectedStatus,
        keyword: Option<String>,
    },
    /// Whether somebody accepts.
    Port { host: String, port: u16 },
    /// Whether a replica of the project accepts.
    Replica { project_id: ProjectId, port: u16 },
    /// The certificate that somebody shows, which has to be good for so many days.
    Certificate {
        host: String,
        port: u16,
        via: Via,
        days: u32,
    },
    /// Nothing: its heartbeats are waited for.
    Heartbeat,
    /// Nothing: there is no way to it, for this reason.
    Nowhere(&'static str),
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The status code of the answer, if there was one.
    pub(crate) status_code: Option<u16>,
    pub(crate) response_ms: u32,
    /// Why it failed, if it did.
    pub(crate) problem: Option<String>,
    /// When the certificate that it met ends, if it met one.
    pub(crate) certificate_expires_at: Option<Timestamp>,
}

/// Why there was no good answer, with its status code.
struct Failure(Option<u16>, String);

impl From<Unreachable> for Failure {
    fn from(problem: Unreachable) -> Self {
        Self(None, problem.to_string())
    }
}

/// The port of HTTPS.
const TLS_PORT: u16 = 443;

/// The host of an address that was read, and its port.
pub(crate) fn host_and_port(url: &Url) -> (String, u16) {
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().unwrap_or(match url.scheme() {
        "tls" => TLS_PORT,
        _ => 0,
    });
    (host, port)
}

/// Reads an address to be checked, and how it is.
pub(crate) fn parse_url(text: &str) -> Result<(MonitorKind, Url), &'static str> {
    const PROBLEM: &str = "must be an address such as https://example.com/health, tcp://example.com:5432 or tls://example.com:443";
    let url: Url = text.parse().map_err(|_| PROBLEM)?;
    let kind = match url.scheme() {
        "http" | "https" => MonitorKind::Http,
        "tcp" => MonitorKind::Tcp,
        "tls" => MonitorKind::Certificate,
        _ => return Err(PROBLEM),
    };
    if text.len() > MAX_URL || url.host_str().is_none_or(str::is_empty) {
        return Err(PROBLEM);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user and no password: members can read it");
    }
    if kind == MonitorKind::Tcp && url.port().is_none() {
        return Err("must name a port, such as tcp://example.com:5432");
    }
    Ok((kind, url))
}

/// Where a listener of this server is found from this machine.
pub(crate) fn from_here(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// Checks once.
pub(crate) async fn check(
    outgoing: &Outgoing,
    driver: &dyn Driver,
    target: &Target,
    time_limit: Duration,
    now: Timestamp,
) -> Found {
    let begun = Instant::now();
    let met = Met::default();
    let asked = timeout(time_limit, ask(outgoing, driver, target, now, &met)).await;
    let (status_code, problem) = match asked {
        Ok(Ok(status)) => (status, None),
        Ok(Err(Failure(status, problem))) => (status, Some(problem)),
        Err(_) => {
            let limit = time_limit.as_millis();
            (None, Some(format!("it did not answer within {limit} ms")))
        }
    };
    Found {
        status_code,
        response_ms: u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX),
        problem,
        certificate_expires_at: met.expires_at(),
    }
}

async fn ask(
    outgoing: &Outgoing,
    driver: &dyn Driver,
    target: &Target,
    now: Timestamp,
    met: &Met,
) -> Result<Option<u16>, Failure> {
    match target {
        Target::Nowhere(problem) => Err(Failure(None, (*problem).to_owned())),
        Target::Port { host, port } => {
            outgoing.connect(host, *port).await?;
            Ok(None)
        }
        Target::Heartbeat => Ok(None),
        Target::Certificate {
            host,
            port,
            via,
            days,
        } => {
            outgoing
                .meet_certificate(host, *port, via, now, met)
                .await?;
            let ends = met.expires_at();
            if ends.is_some_and(|at| ends_within(at, *days, now)) {
                let problem = format!("its certificate ends in less than {days} days");
                return Err(Failure(None, problem));
            }
            Ok(None)
        }
        Target::Replica { project_id, port } => connect_replica(driver, *project_id, *port).await,
        Target::Page {
            url,
            via,
            expected,
            keyword,
        } => {
            let ask = Ask {
                url,
                via,
                wants_body: keyword.is_some(),
                now,
            };
            let page = outgoing.get(ask, met).await?;
            let status = page.status;
            if !expected.includes(status) {
                return Err(Failure(Some(status), format!("it answered {status}")));
            }
            if keyword.as_ref().is_some_and(|word| !has(&page.body, word)) {
                let problem = "the keyword is not in the first 64 KiB of its answer";
                return Err(Failure(Some(status), problem.to_owned()));
            }
            Ok(Some(status))
        }
    }
}

fn has(body: &[u8], keyword: &str) -> bool {
    let keyword = keyword.as_bytes();
    body.windows(keyword.len().max(1))
        .any(|part| part == keyword)
}

async fn connect_replica(
    driver: &dyn Driver,
    project_id: ProjectId,
    port: u16,
) -> Result<Option<u16>, Failure> {
    let failure = |problem: &str| Failure(None, problem.to_owned());
    let replicas = driver.observe(Scope::Project(project_id)).await;
    let replicas = replicas.map_err(|_| failure("the container engine does not answer"))?;
    let running = replicas.iter().filter(|replica| {
        replica.state == ReplicaState::Running
            && replica.key.is_web()
            && replica.key.job_number().is_none()
    });
    let mut problem = "none of its replicas runs";
    for ip in running.filter_map(|replica| replica.ip) {
        match TcpStream::connect(SocketAddr::new(ip, port)).await {
            Ok(_) => return Ok(None),
            Err(_) => problem = "its port refused the connection",
        }
    }
    Err(failure(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_how_they_are_checked() {
        for (text, kind) in [
            ("http://example.com", MonitorKind::Http),
            ("https://example.com:8443/health?x=1", MonitorKind::Http),
            ("tcp://example.com:5432", MonitorKind::Tcp),
            ("tls://example.com", MonitorKind::Certificate),
            ("tls://example.com:8443", MonitorKind::Certificate),
        ] {
            assert_eq!(parse_url(text).expect(text).0, kind);
        }
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "tcp://example.com",
            "tcp://:80",
            "tls://",
            "https://user:secret@example.com",
            "https://user@example.com",
        ] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn listeners_on_all_addresses_are_found_on_loopback() {
        for (listener, found) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:443", "[::1]:443"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            let listener = listener.parse().expect("an address");
            assert_eq!(from_here(listener).to_string(), found);
        }
    }

    #[test]
    fn keywords_are_found_as_they_stand() {
        assert!(has(b"all is well", "is well"));
        assert!(!has(b"all is well", "Is well"));
        assert!(!has(b"", "x"));
    }
}

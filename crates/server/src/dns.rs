//! DNS: does a name's owner want it to lead here?
//!
//! Not here: what follows from the answer (`app/domain.rs`).

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tose_api::Hostname;
use tose_model::error::{Error, Result};

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;

/// Asks for records.
pub(crate) struct Dns {
    resolver: TokioResolver,
}

/// What a name's DNS says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// One of the records that prove the claim is there.
    Found,
    /// Neither is; `seen` says what is there instead, for the user.
    Missing { seen: String },
    /// DNS did not answer: nothing is known.
    Unknown { problem: String },
}

impl Dns {
    /// A resolver that asks `servers`, or whom the machine asks where none is named. Answers are not
    /// kept: a user who has just set a record wants it seen.
    pub(crate) fn new(servers: &[SocketAddr]) -> Result<Self> {
        let failed = |error| Error::internal("DNS cannot be asked", error);
        let provider = TokioRuntimeProvider::default();
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().unwrap_or_else(|_| {
                // A machine without a resolver's configuration asks itself, in vain or not.
                TokioResolver::builder_with_config(config(&[LOCAL]), provider)
            })
        } else {
            TokioResolver::builder_with_config(config(servers), provider)
        };
        let options = builder.options_mut();
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
        options.cache_size = 0;
        options.use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
        Ok(Self {
            resolver: builder.build().map_err(failed)?,
        })
    }

    /// Looks for a `CNAME` of `name` to `target`, or a `TXT` record at `txt_name` with `token`.
    pub(crate) async fn prove(
        &self,
        name: &Hostname,
        target: &Hostname,
        txt_name: &str,
        token: &str,
    ) -> Proof {
        let texts = match self.ask(txt_name, RecordType::TXT).await {
            Ok(texts) => texts,
            Err(problem) => return Proof::Unknown { problem },
        };
        if texts.iter().any(|text| text == token) {
            return Proof::Found;
        }
        let aliases = match self.ask(name.as_str(), RecordType::CNAME).await {
            Ok(aliases) => aliases,
            Err(problem) => return Proof::Unknown { problem },
        };
        if aliases.iter().any(|alias| alias == target.as_str()) {
            return Proof::Found;
        }
        let seen = match (aliases.first(), texts.first()) {
            (Some(alias), _) => format!("{name} leads to {alias}"),
            (None, Some(_)) => format!("{txt_name} holds another text"),
            (None, None) => format!("{name} has no CNAME record, and {txt_name} no TXT record"),
        };
        Proof::Missing { seen }
    }

    /// The records of one kind as texts, in lower case and without a final dot; none is no error.
    async fn ask(&self, name: &str, kind: RecordType) -> std::result::Result<Vec<String>, String> {
        let absolute = format!("{name}.");
        match self.resolver.lookup(absolute, kind).await {
            Ok(found) => Ok(found
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    RData::CNAME(alias) => Some(
                        alias
                            .0
                            .to_ascii()
                            .trim_end_matches('.')
                            .to_ascii_lowercase(),
                    ),
                    RData::TXT(text) => Some(
                        text.txt_data
                            .iter()
                            .map(|part| String::from_utf8_lossy(part).into_owned())
                            .collect(),
                    ),
                    _ => None,
                })
                .collect()),
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
            Err(error) => {
                tracing::debug!(name, %error, "DNS did not answer");
                Err("the name's DNS did not answer".to_owned())
            }
        }
    }
}

/// Where a machine's own resolver is found.
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 53);

fn config(servers: &[SocketAddr]) -> ResolverConfig {
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
            .into_iter()
            .map(|mut connection| {
                connection.port = server.port();
                connection
            })
            .collect();
        NameServerConfig::new(server.ip(), true, connections)
    });
    ResolverConfig::from_parts(None, Vec::new(), servers.collect())
}

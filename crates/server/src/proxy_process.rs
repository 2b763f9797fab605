//! The real data plane: a `tosed proxy` process, found again after a restart, replaced after an upgrade.
//!
//! Guarantees: the proxy is never ended because this process ends. A proxy of another build or for
//! another address hands its listeners to the new one, so visitors notice nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::{Child, Command};
use tose_api::domain_settings::IpRange;
use tose_api::{Hostname, ProjectId};
use tose_model::driver::ReplicaName;
use tose_model::error::BoxError;
use tose_model::route::{RouteChange, RouteTable};
use tose_model::traffic::{AccessRecord, Traffic};
use tose_proxy::control::{Client, Status};
use tose_proxy::snapshot;

use crate::config::{Config, Listen};
use crate::data_plane::{DataPlane, DataPlaneError};

/// How long a new proxy may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is asked while it starts.
const START_POLL: Duration = Duration::from_millis(2);
/// How long the log of the routes gets before the whole table is written anew.
const MAX_LOG_BYTES: u64 = 512 * 1024;
const TAKE_ROUTES: &str = "take the new routes";
/// How much of its log goes into an error.
const LOG_TAIL: usize = 600;

/// The proxy process of one data directory.
pub struct ProxyProcess {
    data_dir: PathBuf,
    http_addr: Listen,
    https_addr: Listen,
    trusted_proxies: Vec<IpRange>,
    proxy_protocol: bool,
    version: String,
}

impl ProxyProcess {
    /// The proxy for this configuration; `version` names the build of this binary.
    pub fn new(config: &Config, version: String) -> Self {
        Self {
            data_dir: config.data_dir.clone(),
            http_addr: config.http_addr,
            https_addr: config.https_addr,
            trusted_proxies: config.visitor_proxies.clone(),
            proxy_protocol: config.proxy_protocol,
            version,
        }
    }

    async fn connect(&self) -> Result<Client, tose_proxy::Error> {
        Client::connect(&tose_proxy::control_socket(&self.data_dir)).await
    }

    /// Whether a proxy that answered is the one that this configuration asks for.
    fn is_current(&self, status: &Status) -> bool {
        // A port of 0 means "any": whatever it got is right.
        let is_same = |wanted: Listen, has: Option<SocketAddr>| match (wanted.addr(), has) {
            (Some(wanted), Some(has)) => {
                wanted == has || (wanted.port() == 0 && wanted.ip() == has.ip())
            }
            (wanted, has) => wanted.is_none() && has.is_none(),
        };
        is_same(self.http_addr, status.http_addr)
            && is_same(self.https_addr, status.https_addr)
            && status.trusted_proxies == self.trusted_proxies
            && status.proxy_protocol == self.proxy_protocol
            && status.version == self.version
    }

    /// Writes the whole table, and begins its log anew.
    async fn write(&self, table: &RouteTable) -> Result<(), DataPlaneError> {
        let path = tose_proxy::routes_file(&self.data_dir);
        let table = table.clone();
        blocking(move || snapshot::write(&path, &table)).await
    }

    /// Writes a change of the table; answers how long the log is.
    async fn append(&self, change: &RouteChange) -> Result<u64, DataPlaneError> {
        let path = tose_proxy::routes_file(&self.data_dir);
        let change = change.clone();
        blocking(move || snapshot::append(&path, &change)).await
    }

    async fn status(&self) -> Option<Status> {
        let mut client = self.connect().await.ok()?;
        client.status().await.ok()
    }

    async fn start(&self) -> Result<(), BoxError> {
        let log_path = self.data_dir.join("proxy.log");
        let log_length = std::fs::metadata(&log_path).map_or(0, |metadata| metadata.len());
        let mut child = self.spawn(&log_path)?;
        let deadline = tokio::time::Instant::now() + START_TIMEOUT;
        loop {
            if self
                .status()
                .await
                .is_some_and(|status| self.is_current(&status))
            {
                return Ok(());
            }
            if let Some(status) = child.try_wait()? {
                let said = tail(&log_path, log_length);
                return Err(format!("the proxy ended at its start ({status}): {said}").into());
            }
            if tokio::time::Instant::now() >= deadline {
                return Err("the proxy did not answer in time".into());
            }
            tokio::time::sleep(START_POLL).await;
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts the proxy"
    )]
    fn spawn(&self, log_path: &Path) -> std::io::Result<Child> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log_path)?;
        let text = |listen: Listen| match listen.addr() {
            Some(addr) => addr.to_string(),
            None => "off".to_owned(),
        };
        let (http_addr, https_addr) = (text(self.http_addr), text(self.https_addr));
        let trusted = self.trusted_proxies.iter();
        let trusted = trusted.flat_map(|range| ["--trusted-proxy".to_owned(), range.to_string()]);
        // The link names the running binary even when its file was replaced by an upgrade.
        Command::new("/proc/self/exe")
            .arg("proxy")
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(["--http-addr", &http_addr, "--https-addr", &https_addr])
            .args(["--take-over", "--detach"])
            .args(trusted)
            .args(self.proxy_protocol.then_some("--proxy-protocol"))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }
}

/// Does what blocks elsewhere.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> tose_proxy::Result<T> + Send + 'static,
) -> Result<T, DataPlaneError> {
    let done = tokio::task::spawn_blocking(work).await;
    let broken = |error| DataPlaneError {
        operation: TAKE_ROUTES,
        source: Box::new(error),
    };
    done.map_err(broken)?.map_err(failed(TAKE_ROUTES))
}

/// What was written to a file since it had `from` bytes, cut to its end.
fn tail(path: &Path, from: u64) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let start = usize::try_from(from).unwrap_or(0).min(bytes.len());
    let text = String::from_utf8_lossy(&bytes[start..]).trim().to_owned();
    let skip = text.chars().count().saturating_sub(LOG_TAIL);
    text.chars().skip(skip).collect()
}

fn failed(operation: &'static str) -> impl FnOnce(tose_proxy::Error) -> DataPlaneError {
    move |error| DataPlaneError {
        operation,
        source: Box::new(error),
    }
}

#[async_trait]
impl DataPlane for ProxyProcess {
    async fn publish(
        &self,
        table: &RouteTable,
        change: Option<&RouteChange>,
    ) -> Result<(), DataPlaneError> {
        let log_length = match change {
            Some(change) => Some(self.append(change).await?),
            None => {
                self.write(table).await?;
                None
            }
        };
        let operation = TAKE_ROUTES;
        let mut client = self.connect().await.map_err(failed(operation))?;
        let used = client.use_routes(table.generation).await;
        let generation = used.map_err(failed(operation))?;
        if generation < table.generation {
            let source =
                format!("it uses generation {generation}, not {}", table.generation).into();
            return Err(DataPlaneError { operation, source });
        }
        if log_length.is_some_and(|length| length > MAX_LOG_BYTES)
            && let Err(error) = self.write(table).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the routes' log stays long"
            );
        }
        Ok(())
    }

    async fn forget_certificates(&self, hosts: &[Hostname]) -> Result<(), DataPlaneError> {
        let operation = "read certificates anew";
        let mut client = self.connect().await.map_err(failed(operation))?;
        let forgotten = client.forget_certificates(hosts).await;
        forgotten.map_err(failed(operation))
    }

    async fn in_flight(&self, replica: &ReplicaName) -> Result<u64, DataPlaneError> {
        let operation = "count running requests";
        let mut client = self.connect().await.map_err(failed(operation))?;
        client
            .in_flight(replica.as_str())
            .await
            .map_err(failed(operation))
    }

    async fn traffic(&self) -> Result<BTreeMap<ProjectId, Traffic>, DataPlaneError> {
        let operation = "tell what it has counted";
        let mut client = self.connect().await.map_err(failed(operation))?;
        let totals = client.traffic().await.map_err(failed(operation))?;
        Ok(totals.projects)
    }

    async fn take_access_records(&self) -> Result<(Vec<AccessRecord>, u64), DataPlaneError> {
        let operation = "give its access records away";
        let mut client = self.connect().await.map_err(failed(operation))?;
        let taken = client.take_access_records().await;
        taken.map_err(failed(operation))
    }

    async fn ensure_running(&self) -> Result<(), DataPlaneError> {
        match self.status().await {
            Some(status) if self.is_current(&status) => Ok(()),
            _ => self.start().await.map_err(|source| DataPlaneError {
                operation: "be started",
                source,
            }),
        }
    }
}

//! Our server with an engine in memory, so that ten thousand projects run without a container.
//!
//! Everything else is the product's own: store, tasks, API, clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use async_trait::async_trait;
use rustix::process::{Resource, getrlimit, setrlimit};
use tose_api::{Hostname, ProjectId, Timestamp};
use tose_model::Clock;
use tose_model::driver::ReplicaName;
use tose_model::meter::Uptime;
use tose_model::route::{RouteChange, RouteTable};
use tose_model::traffic::{AccessRecord, Traffic};
use tose_server::config::{Config, Flags, Listen};
use tose_server::data_plane::{DataPlane, DataPlaneError};
use tose_server::{DataDir, Parts};
use tose_testkit::{FakeDriver, Program, SeededIds};
use tracing_subscriber::EnvFilter;

/// What each project runs.
pub(super) const IMAGE: &str = "bench:1";

/// How the server is started.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Holds everything.
    #[arg(long)]
    data_dir: PathBuf,
    /// Where the API listens.
    #[arg(long)]
    api_addr: SocketAddr,
}

/// Serves until it is told to end.
pub(crate) fn serve(arguments: &Arguments) -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("error"))
        .with_writer(std::io::stderr)
        .init();
    // Each replica listens on an address of its own.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let flags = Flags {
            data_dir: Some(arguments.data_dir.clone()),
            api_addr: Some(arguments.api_addr),
            http_addr: Some(Listen::Off),
            ..Flags::default()
        };
        let mut config = Config::load(&flags)?;
        config.limits.calls_per_minute = 0;
        config.limits.deployments_per_minute = 0;
        config.limits.failures_per_minute = 0;
        config.billing.enabled = false;
        // What is checked listens on this machine.
        config.drains.allow_private = true;
        let clock = Arc::new(MachineClock);
        let driver = FakeDriver::new(clock.clone()).with_sockets();
        driver.add_image(IMAGE, Program::default());
        let parts = Parts {
            driver: Arc::new(driver),
            data_plane: Arc::new(Nobody),
            clock,
            ids: Arc::new(SeededIds::new(1)),
        };
        let data = DataDir::open(&config.data_dir, parts.ids.as_ref()).await?;
        let _server = tose_server::start(config, data, parts).await?;
        std::future::pending::<()>().await;
        Ok(())
    })
}

struct MachineClock;

impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "the bench runs in real time")]
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since_1970.unwrap_or_default().as_millis();
        Timestamp::from_nanos(i64::try_from(millis * 1_000_000).unwrap_or(i64::MAX))
    }

    fn uptime(&self) -> Uptime {
        Uptime {
            boot: "bench".into(),
            elapsed: Duration::from_nanos(self.now().as_nanos().unsigned_abs()),
        }
    }
}

/// A data plane without visitors.
struct Nobody;

#[async_trait]
impl DataPlane for Nobody {
    async fn publish(&self, _: &RouteTable, _: Option<&RouteChange>) -> Result<(), DataPlaneError> {
        Ok(())
    }

    async fn forget_certificates(&self, _: &[Hostname]) -> Result<(), DataPlaneError> {
        Ok(())
    }

    async fn in_flight(&self, _: &ReplicaName) -> Result<u64, DataPlaneError> {
        Ok(0)
    }

    async fn traffic(&self) -> Result<BTreeMap<ProjectId, Traffic>, DataPlaneError> {
        Ok(BTreeMap::new())
    }

    async fn take_access_records(&self) -> Result<(Vec<AccessRecord>, u64), DataPlaneError> {
        Ok((Vec::new(), 0))
    }

    async fn ensure_running(&self) -> Result<(), DataPlaneError> {
        Ok(())
    }
}

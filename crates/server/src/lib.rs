//! The daemon: its HTTP API, its use cases, and the loops that do the work.
//!
//! `main.rs` reads flags, brings time and randomness, and calls [`start`]; tests call it with parts
//! of their own.

mod acme;
pub mod app;
mod assistant;
mod backup_file;
mod backup_store;
pub mod books;
mod bucket;
mod build;
mod catalogue;
pub mod config;
pub mod data_plane;
mod database_client;
mod dns;
mod dns_hook;
mod drain;
mod git_api;
mod github_app;
mod http;
mod invoice;
mod limiter;
mod liveness;
mod log_tier;
mod mail;
mod metrics;
mod notice;
mod otlp;
mod outgoing;
mod password;
mod payment_api;
pub mod proxy_process;
mod qr;
mod routes;
pub mod secrets;
mod service_client;
mod tasks;
mod telemetry;
mod uptime;

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tose_logs::LogStore;
use tose_model::driver::InstallationId;
use tose_model::error::BoxError;
use tose_model::{Clock, Driver, IdGen};
use tose_store::Store;

use crate::app::{Limits, Platform, Signals};
use crate::assistant::Assistant;
use crate::backup_store::BackupStore;
use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::data_plane::DataPlane;
use crate::dns::Dns;
use crate::git_api::GitApi;
use crate::github_app::GithubApp;
use crate::log_tier::LogTier;
use crate::mail::Mailer;
use crate::metrics::MetricsStore;
use crate::otlp::Exporter;
use crate::outgoing::Outgoing;
use crate::password::Passwords;
use crate::payment_api::PaymentApi;
use crate::routes::RouteBook;
use crate::secrets::Vault;
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct StartError {
    context: String,
    #[source]
    source: Option<BoxError>,
}

impl StartError {
    fn new(context: impl Into<String>) -> Self {
        Self {
            context: context.into(),
            source: None,
        }
    }

    fn because<E: Into<BoxError>>(context: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |source| Self {
            context: context.into(),
            source: Some(source.into()),
        }
    }
}

/// What lies in the data directory, opened. Nobody else has it open for serving while this lives.
pub struct DataDir {
    /// The database.
    pub store: Store,
    /// Names this installation on an engine.
    pub installation: InstallationId,
    vault: Vault,
    logs: LogStore,
    metrics: MetricsStore,
    // Held for its lock.
    _lock: File,
}

impl DataDir {
    /// Opens (and makes) the data directory.
    ///
    /// # Errors
    /// When another server uses it, or something in it cannot be opened.
    pub async fn open(path: &Path, ids: &dyn IdGen) -> Result<Self, StartError> {
        make_data_dir(path)?;
        let lock = lock_data_dir(path)?;
        let store = open_store(path).await?;
        let installation = installation_id(&store, ids).await?;
        let vault = open_vault(path, ids)?;
        let logs = LogStore::open(&path.join("logs"))
            .map_err(StartError::because("the log store could not be opened"))?;
        let metrics = MetricsStore::open(&path.join("metrics"))
            .map_err(StartError::because("the metrics could not be opened"))?;
        Ok(Self {
            store,
            installation,
            vault,
            logs,
            metrics,
            _lock: lock,
        })
    }
}

/// Makes the data directory, readable by its owner alone.
///
/// # Errors
/// When it cannot be made.
pub fn make_data_dir(path: &Path) -> Result<(), StartError> {
    let context = format!("the data directory {} could not be made", path.display());
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(StartError::because(context))
}

/// Opens what seals secrets in a data directory.
///
/// # Errors
/// When its key cannot be used.
pub fn open_vault(path: &Path, ids: &dyn IdGen) -> Result<Vault, StartError> {
    Vault::open_or_create(&path.join("secret.key"), ids)
        .map_err(StartError::because("the vault could not be opened"))
}

/// Opens the database in a data directory; it may be in use by a server.
///
/// # Errors
/// When it cannot be opened.
pub async fn open_store(path: &Path) -> Result<Store, StartError> {
    Store::open(&path.join("tose.db"))
        .await
        .map_err(StartError::because("the database could not be opened"))
}

/// The id of the installation, made on its first start.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn installation_id(store: &Store, ids: &dyn IdGen) -> Result<InstallationId, StartError> {
    let mut random = [0; 4];
    ids.fill(&mut random);
    let text = store
        .get_or_set_setting("installation_id", &hex::encode(random))
        .await
        .map_err(StartError::because(
            "the installation's id could not be read",
        ))?;
    InstallationId::parse(&text)
        .ok_or_else(|| StartError::new("the installation's id in the database is not valid"))
}

/// Takes the lock that a serving process holds.
///
/// # Errors
/// When another process has it.
pub fn lock_data_dir(path: &Path) -> Result<File, StartError> {
    let file = File::create(path.join("tosed.lock"))
        .map_err(StartError::because("the lock file could not be made"))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
        let text = format!(
            "another tosed serves from {}; stop it first",
            path.display()
        );
        StartError {
            context: text,
            source: Some(Box::new(error)),
        }
    })?;
    Ok(file)
}

/// The parts that come from outside.
pub struct Parts {
    /// The engine.
    pub driver: Arc<dyn Driver>,
    /// What answers visitors.
    pub data_plane: Arc<dyn DataPlane>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and randomness.
    pub ids: Arc<dyn IdGen>,
}

/// A running server.
pub struct Server {
    /// Where the API listens.
    pub api_addr: SocketAddr,
    stop: CancellationToken,
    http: TaskTracker,
    tasks: Tasks,
    platform: Arc<Platform>,
    _lock: File,
}

/// Starts the API and the loops.
///
/// # Errors
/// When the address is taken, the proxy cannot be started, or the store cannot be used.
pub async fn start(config: Config, data: DataDir, parts: Parts) -> Result<Server, StartError> {
    let table = tose_proxy::snapshot::read(&tose_proxy::routes_file(&config.data_dir))
        .map_err(StartError::because("the route table could not be read"))?;
    let boot_id = parts.ids.uuid().to_string();
    // The lock on the data directory proves that no other owner of a lease is alive.
    data.store
        .drop_foreign_leases(&boot_id)
        .await
        .map_err(StartError::because("the leases could not be cleared"))?;
    let (signals, wakes) = Signals::new();
    let api_addr = config.api_addr;
    let passwords = Passwords::new(parts.ids.as_ref())
        .map_err(StartError::because("passwords could not be set up"))?;
    let mailer = Mailer::new(config.smtp.as_ref())
        .map_err(StartError::because("mail could not be set up"))?;
    let dns =
        Dns::new(&config.name_servers).map_err(StartError::because("DNS could not be set up"))?;
    let git_api = GitApi::new().map_err(StartError::because(
        "calls of Git servers could not be set up",
    ))?;
    let outgoing = Outgoing::new(&config.drains)
        .map_err(StartError::because("log drains could not be set up"))?;
    let github = config.github_app.as_ref().map(GithubApp::open).transpose();
    let github = github.map_err(StartError::because("the GitHub App could not be set up"))?;
    let payment_api = PaymentApi::new(&config.payments)
        .map_err(StartError::because("payment services could not be set up"))?;
    let assistant = config.ai.as_ref().map(Assistant::open).transpose();
    let assistant = assistant.map_err(StartError::because(
        "the language model could not be set up",
    ))?;
    let exporter = config.telemetry.otlp.as_ref().map(Exporter::open);
    let exporter = exporter.transpose().map_err(StartError::because(
        "the export of metrics could not be set up",
    ))?;
    let telemetry = Arc::new(Telemetry::new(
        parts.clock.now(),
        config.telemetry.projects,
        exporter.is_some(),
    ));
    let catalogue = Catalogue::open(config.templates_dir.as_deref())
        .map_err(StartError::because("a template cannot be used"))?;
    let backups = BackupStore::open(config.data_path("backups"), config.backup_bucket.as_ref())
        .map_err(StartError::because("the bucket of backups cannot be used"))?;
    let vault = Arc::new(data.vault);
    let log_tier = open_log_tier(&config, &data.logs, &vault, &parts.ids)?;
    let platform = Arc::new(Platform {
        log_tier,
        backups,
        catalogue,
        passwords,
        mailer,
        dns,
        git_api,
        outgoing,
        github,
        payment_api,
        assistant,
        certificates: tose_proxy::certificates::Folder::of(&config.data_dir),
        wildcard: Default::default(),
        limits: Limits::new(&config, &parts.clock),
        status_pages: Default::default(),
        next_due: app::schedule::NextDue::default(),
        liveness: Default::default(),
        known_keys: Default::default(),
        rollouts: Default::default(),
        background: TaskTracker::new(),
        config,
        store: data.store,
        driver: parts.driver,
        data_plane: parts.data_plane,
        routes: RouteBook::new(table),
        logs: data.logs,
        metrics: data.metrics,
        rounds: Default::default(),
        alerts: Default::default(),
        autoscaler: Default::default(),
        disks: Default::default(),
        meter: Default::default(),
        telemetry,
        exporter,
        installation: data.installation,
        vault,
        clock: parts.clock,
        ids: parts.ids,
        signals,
        boot_id,
    });
    let billing = platform.open_books().await;
    billing.map_err(StartError::because("the wallets cannot be used"))?;
    let listener = http::Listener::bind(api_addr)
        .await
        .map_err(StartError::because(format!(
            "the API's address {api_addr} cannot be used"
        )))?;
    let api_addr = listener
        .addr()
        .map_err(StartError::because("the API's address is not known"))?;
    let wildcard = platform.wildcard_state().await;
    let wildcard = wildcard.map_err(StartError::because("the certificates are not known"))?;
    platform.wildcard.set(&wildcard);
    let stop = CancellationToken::new();
    let http = TaskTracker::new();
    // The API needs no proxy, so nobody waits for one to start before they are answered.
    http.spawn(http::serve(listener, http::router(&platform), stop.clone()));
    http.close();
    if let Err(error) = platform.data_plane.ensure_running().await {
        stop.cancel();
        http.wait().await;
        return Err(StartError::because("no visitor could be served")(error));
    }
    let tasks = Tasks::start(&platform, wakes);
    Ok(Server {
        api_addr,
        stop,
        http,
        tasks,
        platform,
        _lock: data._lock,
    })
}

/// Gives the log store its second tier, if it is to have one.
fn open_log_tier(
    config: &Config,
    logs: &LogStore,
    vault: &Arc<Vault>,
    ids: &Arc<dyn IdGen>,
) -> Result<Option<Arc<LogTier>>, StartError> {
    let Some(config) = &config.log_tier else {
        return Ok(None);
    };
    let tier = LogTier::open(&config.bucket, Arc::clone(vault), Arc::clone(ids));
    let tier = tier.map_err(StartError::because("the bucket of logs cannot be used"))?;
    let tier = Arc::new(tier);
    let far = Arc::<LogTier>::clone(&tier);
    logs.attach_far_store(far, config.cache_bytes)
        .map_err(StartError::because(
            "the bucket of logs cannot be used: its cache could not be made",
        ))?;
    Ok(Some(tier))
}

impl Server {
    /// Lets running requests end, stops the loops where they stand, and closes the store. Apps and
    /// the proxy go on.
    pub async fn stop(self) {
        self.stop.cancel();
        self.http.wait().await;
        if let Some(tier) = &self.platform.log_tier {
            tier.stop();
        }
        self.platform.background.close();
        self.platform.background.wait().await;
        self.tasks.stop().await;
        // What a loop began meanwhile.
        self.platform.background.wait().await;
        if let Err(error) = self.platform.logs.flush().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the logs could not be flushed"
            );
        }
        self.platform.store.close().await;
    }
}

//! The use cases: what a caller can ask for, one file per resource.
//!
//! A use case gets an `Access` (proof of who may act where), checks the input against the rules,
//! writes the intent in one transaction, and signals the tasks that do the work.
//!
//! Not here: HTTP (`http`), SQL (`tose-store`), and work that takes long (`tasks`).

mod account;
pub(crate) mod alert;
mod analysis;
mod api_key;
mod auth;
pub(crate) mod autoscale;
pub(crate) mod backup;
pub(crate) mod certificate;
mod credentials;
pub(crate) mod database;
pub(crate) mod deployment;
pub(crate) mod domain;
pub(crate) mod domain_settings;
mod drain;
pub(crate) mod env_var;
mod event;
pub(crate) mod exec;
mod expose;
pub(crate) mod git;
pub(crate) mod git_push;
pub(crate) mod github;
pub(crate) mod heartbeat;
mod hook;
pub(crate) mod idempotency;
mod invitation;
mod job;
pub(crate) mod log;
mod maintenance;
mod member;
pub(crate) mod meter;
pub(crate) mod metrics;
pub(crate) mod notice;
mod notification;
pub(crate) mod payment;
mod preview;
pub(crate) mod project;
mod proof;
pub(crate) mod push;
pub(crate) mod quota;
mod reference;
mod registry;
pub(crate) mod schedule;
pub(crate) mod status;
pub(crate) mod status_page;
mod template;
mod topup;
mod upload;
pub(crate) mod uptime;
pub(crate) mod usage;
pub(crate) mod wallet;
pub(crate) mod wildcard;
pub(crate) mod workspace;

pub use account::{Bootstrapped, bootstrap, reset_password};
pub(crate) use auth::{LoggedIn, SESSION_LIFETIME};
pub(crate) use credentials::Presented;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use tokio_util::task::TaskTracker;
use tose_api::log::LogSource;
use tose_api::{DeploymentId, EventId, ProjectId, Timestamp, WorkspaceId};
use tose_logs::{LogStore, StreamId};
use tose_model::access::{Access, Actor};
use tose_model::driver::InstallationId;
use tose_model::error::{Error, Result};
use tose_model::log::LogLine;
use tose_model::{Clock, Driver, IdGen};
use tose_proxy::certificates::Folder;
use tose_store::{NewEvent, Store};
use uuid::Uuid;

use crate::app::credentials::KnownKeys;
use crate::app::schedule::NextDue;
use crate::assistant::Assistant;
use crate::backup_store::BackupStore;
use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::data_plane::DataPlane;
use crate::dns::Dns;
use crate::git_api::GitApi;
use crate::github_app::GithubApp;
use crate::limiter::Limiter;
use crate::liveness::Liveness;
use crate::log_tier::LogTier;
use crate::mail::Mailer;
use crate::metrics::{MetricsStore, Rounds};
use crate::otlp::Exporter;
use crate::outgoing::Outgoing;
use crate::password::Passwords;
use crate::payment_api::PaymentApi;
use crate::routes::RouteBook;
use crate::secrets::{Vault, VaultError};
use crate::tasks::project_disk::ProjectDisks;
use crate::telemetry::Telemetry;

/// Everything that use cases and tasks work with. Shared by reference counting.
pub struct Platform {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) data_plane: Arc<dyn DataPlane>,
    pub(crate) routes: RouteBook,
    pub(crate) logs: LogStore,
    /// The bucket that old log lines are in, if there is one.
    pub(crate) log_tier: Option<Arc<LogTier>>,
    pub(crate) metrics: MetricsStore,
    /// What the sampler saw last.
    pub(crate) rounds: Rounds,
    /// How alert rules stood when they were looked at last.
    pub(crate) alerts: alert::AlertLooks,
    /// What the newest look at projects saw that are scaled by themselves.
    pub(crate) autoscaler: autoscale::Autoscaler,
    /// What projects keep on the disk.
    pub(crate) disks: ProjectDisks,
    pub(crate) meter: meter::Meter,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Where metrics are sent, if anywhere.
    pub(crate) exporter: Option<Exporter>,
    /// Names this installation among others.
    pub(crate) installation: InstallationId,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGen>,
    pub(crate) signals: Signals,
    pub(crate) passwords: Passwords,
    pub(crate) mailer: Mailer,
    pub(crate) dns: Dns,
    pub(crate) git_api: GitApi,
    pub(crate) outgoing: Outgoing,
    pub(crate) github: Option<GithubApp>,
    pub(crate) payment_api: PaymentApi,
    pub(crate) assistant: Option<Assistant>,
    pub(crate) catalogue: Catalogue,
    pub(crate) backups: BackupStore,
    pub(crate) certificates: Folder,
    /// Until when the certificate of all names that the platform gives is good.
    pub(crate) wildcard: wildcard::GoodUntil,
    pub(crate) limits: Limits,
    /// What everybody was shown lately.
    pub(crate) status_pages: status_page::KeptPages,
    pub(crate) liveness: Liveness,
    pub(crate) next_due: NextDue,
    pub(crate) known_keys: KnownKeys,
    /// Held while it is decided, and noted, what room a version gets.
    pub(crate) rollouts: tokio::sync::Mutex<()>,
    /// Calls that are brought to their end though the client may be gone.
    pub(crate) background: TaskTracker,
    /// Fresh with each start: the owner of this process's leases.
    pub(crate) boot_id: String,
}

/// What is counted, and how often it may happen.
pub(crate) struct Limits {
    /// Calls by key or login.
    pub(crate) calls: Limiter<Uuid>,
    /// Calls without either, by address.
    pub(crate) strangers: Limiter<IpAddr>,
    /// What was refused, by address.
    pub(crate) failures: Limiter<IpAddr>,
    /// Logins by account, whether right or wrong.
    pub(crate) logins: Limiter<String>,
    /// Deployments by project.
    pub(crate) deployments: Limiter<ProjectId>,
    /// Heartbeats by project.
    pub(crate) heartbeats: Limiter<ProjectId>,
    /// Payments that are asked for, by workspace.
    pub(crate) topups: Limiter<WorkspaceId>,
    /// Test messages by workspace.
    pub(crate) tests: Limiter<WorkspaceId>,
    /// Questions to the language model by workspace.
    pub(crate) questions: Limiter<WorkspaceId>,
    sockets: Mutex<HashMap<WorkspaceId, Arc<Semaphore>>>,
    max_sockets: usize,
    push_events: Semaphore,
    log_searches: Semaphore,
    searchers: Mutex<HashMap<WorkspaceId, Arc<Semaphore>>>,
}

/// How many push events are held in memory at once; they may have 25 MiB each.
const PUSH_EVENTS: usize = 4;
/// How many pages of logs are looked for at once. Each may keep a processor busy for a second.
const LOG_SEARCHES: usize = 2;

/// The shortest interval of a heartbeat is 10 s.
const HEARTBEATS_PER_MINUTE: u32 = 30;
/// How many payments a workspace is asked for in the long run, and at once.
const TOPUPS_PER_MINUTE: u32 = 1;
const TOPUP_BURST: u32 = 10;

/// How many test messages a workspace has sent in the long run, and at once.
const TESTS_PER_MINUTE: u32 = 6;
const TEST_BURST: u32 = 10;

impl Limits {
    pub(crate) fn new(config: &Config, clock: &Arc<dyn Clock>) -> Self {
        let limits = &config.limits;
        let (rate, burst) = (limits.calls_per_minute, limits.call_burst);
        let failures = limits.failures_per_minute;
        let questions = config.ai.as_ref().map_or(0, |ai| ai.questions_per_minute);
        Self {
            calls: Limiter::new("calls", rate, burst, clock),
            strangers: Limiter::new("calls", rate, burst, clock),
            failures: Limiter::new("refused keys or logins", failures, failures, clock),
            logins: Limiter::new("logins to this account", failures, failures, clock),
            deployments: Limiter::new(
                "deployments of this project",
                limits.deployments_per_minute,
                limits.deployments_per_minute,
                clock,
            ),
            heartbeats: Limiter::new(
                "heartbeats of this project",
                HEARTBEATS_PER_MINUTE,
                HEARTBEATS_PER_MINUTE,
                clock,
            ),
            topups: Limiter::new("top-ups", TOPUPS_PER_MINUTE, TOPUP_BURST, clock),
            tests: Limiter::new("test messages", TESTS_PER_MINUTE, TEST_BURST, clock),
            questions: Limiter::new(
                "questions to the language model",
                questions,
                questions,
                clock,
            ),
            sockets: Mutex::default(),
            max_sockets: limits.max_sockets,
            push_events: Semaphore::new(PUSH_EVENTS),
            log_searches: Semaphore::new(LOG_SEARCHES),
            searchers: Mutex::default(),
        }
    }

    /// A place for a push event, held until it is dropped.
    pub(crate) async fn push_event(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.push_events.acquire().await.ok()
    }

    /// The turn to look for a page of a log, held until it is dropped. A workspace has one at a time, so that
    /// others do not wait behind all of its searches.
    pub(crate) async fn log_search(
        &self,
        workspace_id: WorkspaceId,
    ) -> Option<(OwnedSemaphorePermit, SemaphorePermit<'_>)> {
        let own = {
            let mut searchers = self
                .searchers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            searchers.retain(|_, turn| Arc::strong_count(turn) > 1);
            let turn = searchers.entry(workspace_id);
            Arc::clone(turn.or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        // They are never closed.
        let own = own.acquire_owned().await.ok()?;
        Some((own, self.log_searches.acquire().await.ok()?))
    }

    /// A place among the workspace's WebSockets, held until it is dropped.
    ///
    /// # Errors
    /// `RateLimited` when all are taken.
    pub(crate) fn socket(&self, workspace_id: WorkspaceId) -> Result<OwnedSemaphorePermit> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|_, places| places.available_permits() < self.max_sockets);
        let places = sockets
            .entry(workspace_id)
            .or_insert_with(|| Arc::new(Semaphore::new(self.max_sockets)));
        Arc::clone(places)
            .try_acquire_owned()
            .map_err(|_| Error::RateLimited {
                message: format!(
                    "the workspace has {} WebSockets open; close one first",
                    self.max_sockets
                ),
                retry_after: SOCKET_RETRY,
            })
    }
}

/// Whom the platform's own lines in a project's log are from: no replica has this name.
pub(crate) const PLATFORM_POD: &str = "tose";

/// When a WebSocket that found no place may be tried again.
const SOCKET_RETRY: Duration = Duration::from_secs(5);

/// How a use case tells the tasks that there is work. A signal that gets lost costs time, never
/// work: the tasks look at the store by themselves as well.
pub(crate) struct Signals {
    projects: mpsc::UnboundedSender<ProjectId>,
    images: mpsc::UnboundedSender<ProjectId>,
    builder: Notify,
    certificates: Notify,
    drains: Notify,
    backups: Notify,
    uptime: mpsc::UnboundedSender<UptimeCall>,
    wallets: Notify,
    notices: Notify,
}

/// Where the tasks hear [`Signals`].
pub(crate) struct Wakes {
    /// Projects to be looked at.
    pub(crate) projects: mpsc::UnboundedReceiver<ProjectId>,
    /// Projects with images that may not be kept.
    pub(crate) images: mpsc::UnboundedReceiver<ProjectId>,
    /// What is new of monitors.
    pub(crate) uptime: mpsc::UnboundedReceiver<UptimeCall>,
}

/// What is new of monitors.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UptimeCall {
    /// Somebody changed this project's, or whether the project is to answer.
    Monitor(ProjectId),
    /// Somebody changed when there is maintenance.
    Maintenance,
    /// A heartbeat came.
    Beat(Beat),
}

/// A heartbeat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    /// Whose.
    pub(crate) project_id: ProjectId,
    /// When it came.
    pub(crate) at: Timestamp,
    /// Whether the job says that it failed.
    pub(crate) has_failed: bool,
}

impl Signals {
    pub(crate) fn new() -> (Self, Wakes) {
        let (projects, looked_at) = mpsc::unbounded_channel();
        let (images, collected) = mpsc::unbounded_channel();
        let (uptime, heard) = mpsc::unbounded_channel();
        let signals = Self {
            projects,
            images,
            builder: Notify::new(),
            certificates: Notify::new(),
            drains: Notify::new(),
            backups: Notify::new(),
            uptime,
            wallets: Notify::new(),
            notices: Notify::new(),
        };
        let wakes = Wakes {
            projects: looked_at,
            images: collected,
            uptime: heard,
        };
        (signals, wakes)
    }

    /// Look at this project.
    pub(crate) fn project(&self, id: ProjectId) {
        // The receiver is gone only when the server is shutting down.
        let _ = self.projects.send(id);
    }

    /// Remove those of this project's images that are not kept.
    pub(crate) fn images(&self, id: ProjectId) {
        // The receiver is gone only when the server is shutting down.
        let _ = self.images.send(id);
    }

    /// Look which certificates are due.
    pub(crate) fn certificates(&self) {
        self.certificates.notify_one();
    }

    /// Until somebody calls [`Signals::certificates`].
    pub(crate) async fn certificates_called(&self) {
        self.certificates.notified().await;
    }

    /// Look which log drains there are.
    pub(crate) fn drains(&self) {
        self.drains.notify_one();
    }

    /// Until somebody calls [`Signals::drains`].
    pub(crate) async fn drains_called(&self) {
        self.drains.notified().await;
    }

    /// Look which backups and restores there are to do.
    pub(crate) fn backups(&self) {
        self.backups.notify_one();
    }

    /// Until somebody calls [`Signals::backups`].
    pub(crate) async fn backups_called(&self) {
        self.backups.notified().await;
    }

    /// Tells what is new of monitors.
    pub(crate) fn uptime(&self, call: UptimeCall) {
        // The receiver is gone only when the server is shutting down.
        let _ = self.uptime.send(call);
    }

    /// Look what people are to be told.
    pub(crate) fn notices(&self) {
        self.notices.notify_one();
    }

    /// Until somebody calls [`Signals::notices`].
    pub(crate) async fn notices_called(&self) {
        self.notices.notified().await;
    }

    /// Look how wallets stand.
    pub(crate) fn wallets(&self) {
        self.wallets.notify_one();
    }

    /// Until somebody calls [`Signals::wallets`].
    pub(crate) async fn wallets_called(&self) {
        self.wallets.notified().await;
    }

    /// Look at the queue of deployments.
    pub(crate) fn builder(&self) {
        self.builder.notify_one();
    }

    /// Until somebody calls [`Signals::builder`].
    pub(crate) async fn builder_called(&self) {
        self.builder.notified().await;
    }
}

impl Platform {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How many built images of a project are kept while there is room.
    pub(crate) fn kept_images(&self) -> usize {
        usize::try_from(self.config.keep_images).unwrap_or(usize::MAX)
    }

    /// The line of the audit log for what the caller is about to do.
    pub(crate) fn event(
        &self,
        access: &Access,
        action: &'static str,
        target: impl ToString,
    ) -> NewEvent {
        self.event_by(access.actor().clone(), action, target)
    }

    /// The same for somebody who has no access to a workspace yet.
    pub(crate) fn event_by(
        &self,
        actor: Actor,
        action: &'static str,
        target: impl ToString,
    ) -> NewEvent {
        NewEvent {
            id: EventId::from_uuid(self.ids.uuid()),
            actor,
            action,
            target: target.to_string(),
            at: self.now(),
        }
    }

    /// Adds the platform's own lines to a deployment's log. A log that cannot be written is no reason
    /// to let a deployment fail, so this reports to the operator only.
    pub(crate) async fn say(&self, deployment_id: DeploymentId, text: impl Into<String>) {
        self.log_build(deployment_id, LogSource::System, vec![text.into()])
            .await;
    }

    /// Adds lines to a deployment's log.
    pub(crate) async fn log_build(
        &self,
        deployment_id: DeploymentId,
        source: LogSource,
        texts: Vec<String>,
    ) {
        let time = self.now();
        let pod = deployment_id.to_string();
        let line = |text: String| LogLine {
            time,
            source,
            pod: pod.as_str().into(),
            text: text.into_bytes(),
        };
        let lines = texts.into_iter().map(line).collect();
        if let Err(error) = self
            .logs
            .append(StreamId::Build(deployment_id), lines)
            .await
        {
            tracing::error!(%deployment_id, %error, "a deployment's log could not be written");
        }
    }

    /// Adds a line of the platform's own to what a project's replicas write.
    pub(crate) async fn tell_project(&self, project_id: ProjectId, text: String) {
        let line = LogLine {
            time: self.now(),
            source: LogSource::System,
            pod: PLATFORM_POD.into(),
            text: text.into_bytes(),
        };
        let stream = StreamId::Project(project_id);
        if let Err(error) = self.logs.append(stream, vec![line]).await {
            tracing::error!(%project_id, %error, "a project's log could not be written");
        }
    }

    /// Completes a deployment's log: readers get its end.
    pub(crate) async fn finish_build_log(&self, deployment_id: DeploymentId) {
        if let Err(error) = self.logs.finish(StreamId::Build(deployment_id)).await {
            tracing::error!(%deployment_id, %error, "a deployment's log could not be completed");
        }
    }
}

pub(crate) fn vault_error(error: VaultError) -> Error {
    Error::internal("a secret could not be opened", error)
}

/// Checks a name that people read.
pub(crate) fn check_name(name: &str) -> Result<String> {
    let length = name.chars().count();
    let name = name.trim();
    if name.is_empty() || length > 100 || name.chars().any(char::is_control) {
        return Err(Error::invalid_field(
            "name",
            "must have 1 to 100 characters, none of them a control character",
        ));
    }
    Ok(name.to_owned())
}

impl Platform {
    /// Whether what the server needs answers.
    pub(crate) async fn check_ready(&self) -> Result<()> {
        self.store.ping().await?;
        self.driver.info().await?;
        Ok(())
    }
}

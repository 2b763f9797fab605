//! Uptime: how a project is checked, how it is, and how it has been.
//!
//! Not here: making checks (`tasks/uptime.rs`).

use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::Url;
use tose_api::domain::DomainStatus;
use tose_api::envelope::{Meta, Paging};
use tose_api::uptime::{CheckView, MonitorKind, SetUptime, UptimeShares, UptimeStatus, UptimeView};
use tose_api::{Email, Hostname, ProjectId, Timestamp};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::error::{Error, Result};
use tose_model::project::{DesiredState, Project, ProjectKind};
use tose_model::secret::{Sealed, SecretString};
use tose_model::uptime::{CertificateWatch, Condition, ExpectedStatus, share};
use tose_store::{Monitor, MonitorSettings, ProjectFacts};

use crate::app::{Platform, UptimeCall, vault_error};
use crate::outgoing::{Unreachable, Via};
use crate::secrets::Place;
use crate::uptime::{Target, from_here, host_and_port, parse_url};

/// Seconds from one check to the next.
const INTERVAL: u32 = 60;
const INTERVALS: RangeInclusive<u32> = 10..=86_400;
/// How long an answer may take, in milliseconds.
const TIMEOUT: u32 = 10_000;
const TIMEOUTS: RangeInclusive<u32> = 100..=30_000;
/// After how many failures in a row a project is down.
const FAILURES: u32 = 2;
const FAILURE_COUNTS: RangeInclusive<u32> = 1..=10;
/// How many days before a certificate's end people are told.
const WARN_DAYS: u32 = 14;
const WARN_DAYS_RANGE: RangeInclusive<u32> = 0..=365;
/// Seconds that a heartbeat may be late.
const GRACE: u32 = 60;
const GRACES: RangeInclusive<u32> = 0..=86_400;
/// The longest keyword, in characters.
const MAX_KEYWORD: usize = 200;
/// The longest address of a webhook.
const MAX_WEBHOOK: usize = 2000;
/// How many incidents are shown.
const INCIDENTS: u32 = 20;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Whether a project is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// A version is live.
    Live,
    /// None is.
    NotLive,
    /// Nothing of it is to run.
    Resting,
}

/// Whether a project is to answer.
pub(crate) fn activity(project: &Project, facts: ProjectFacts) -> Activity {
    if project.desired == DesiredState::Stopped || facts.suspended.is_some() {
        Activity::Resting
    } else if facts.live {
        Activity::Live
    } else {
        Activity::NotLive
    }
}

impl Platform {
    pub(crate) async fn get_uptime(&self, access: &Access, slug: &str) -> Result<UptimeView> {
        let (project, facts) = self.find_project_facts(access, slug).await?;
        let monitor = self.monitor(access, &project).await?;
        self.uptime_view(access, &project, facts, monitor).await
    }

    /// Changes what was sent and keeps the rest.
    pub(crate) async fn set_uptime(
        &self,
        access: &Access,
        slug: &str,
        input: SetUptime,
    ) -> Result<UptimeView> {
        let (project, facts) = self.find_project_facts(access, slug).await?;
        let mut monitor = self.monitor(access, &project).await?;
        monitor.settings = self
            .monitor_settings(access, &project, facts, &monitor.settings, input)
            .await?;
        let event = self.event(access, "uptime.set", &project.slug);
        self.store
            .set_monitor(access.scope(), &monitor, self.now(), &event)
            .await?;
        self.signals.uptime(UptimeCall::Monitor(project.id));
        let monitor = self.monitor(access, &project).await?;
        self.uptime_view(access, &project, facts, monitor).await
    }

    pub(crate) async fn list_checks(
        &self,
        access: &Access,
        slug: &str,
        span: (Option<Timestamp>, Option<Timestamp>),
        paging: Paging,
    ) -> Result<(Vec<CheckView>, Meta)> {
        let project = self.find_project(access, slug).await?;
        let (checks, total) = self
            .store
            .list_checks(access.scope(), project.id, span, paging)
            .await?;
        Ok((checks, paging.meta(total)))
    }

    /// The project's monitor, or the one that it has until somebody sets it.
    pub(super) async fn monitor(&self, access: &Access, project: &Project) -> Result<Monitor> {
        let found = self.store.find_monitor(access.scope(), project.id).await?;
        Ok(found.unwrap_or_else(|| Monitor {
            project_id: project.id,
            workspace_id: project.workspace_id,
            settings: MonitorSettings {
                is_enabled: false,
                kind: match project.kind {
                    ProjectKind::Database => MonitorKind::Tcp,
                    ProjectKind::App | ProjectKind::Template(_) => MonitorKind::Http,
                },
                interval_seconds: INTERVAL,
                check_url: None,
                expected_status: ExpectedStatus::default().to_string(),
                keyword: None,
                timeout_ms: TIMEOUT,
                failures_before_down: FAILURES,
                discord_webhook: None,
                discord_origin: None,
                notify_email: None,
                certificate_warn_days: WARN_DAYS,
                heartbeat_grace_seconds: GRACE,
            },
            revision: 0,
            condition: Condition::new(self.now()),
            last_checked_at: None,
            last_response_ms: None,
            certificate: CertificateWatch::default(),
            heartbeat_at: None,
        }))
    }

    async fn monitor_settings(
        &self,
        access: &Access,
        project: &Project,
        facts: ProjectFacts,
        old: &MonitorSettings,
        input: SetUptime,
    ) -> Result<MonitorSettings> {
        let (kind, check_url) = self
            .checked_url(access, project, facts, old, &input)
            .await?;
        let (discord_webhook, discord_origin) = self
            .webhook(project, old, input.discord_webhook_url)
            .await?;
        Ok(MonitorSettings {
            is_enabled: input.enabled.unwrap_or(old.is_enabled),
            kind,
            interval_seconds: within(
                "check_interval_sec",
                input.check_interval_sec,
                old.interval_seconds,
                INTERVALS,
            )?,
            check_url,
            expected_status: expected_status(input.expected_status, old)?,
            keyword: keyword(input.keyword, old)?,
            timeout_ms: within("timeout_ms", input.timeout_ms, old.timeout_ms, TIMEOUTS)?,
            failures_before_down: within(
                "failures_before_down",
                input.failures_before_down,
                old.failures_before_down,
                FAILURE_COUNTS,
            )?,
            discord_webhook,
            discord_origin,
            notify_email: self.notify_email(input.notify_email, old)?,
            certificate_warn_days: within(
                "certificate_warn_days",
                input.certificate_warn_days,
                old.certificate_warn_days,
                WARN_DAYS_RANGE,
            )?,
            heartbeat_grace_seconds: within(
                "heartbeat_grace_sec",
                input.heartbeat_grace_sec,
                old.heartbeat_grace_seconds,
                GRACES,
            )?,
        })
    }

    /// How the project is to be checked and at which address; none is its own.
    async fn checked_url(
        &self,
        access: &Access,
        project: &Project,
        facts: ProjectFacts,
        old: &MonitorSettings,
        input: &SetUptime,
    ) -> Result<(MonitorKind, Option<String>)> {
        let kind = input.kind.unwrap_or(old.kind);
        let own = |kind| self.own_url(project, facts, kind);
        let text = match &input.check_url {
            None if kind == old.kind => old.check_url.as_deref(),
            // What was asked in another way is asked no more.
            None => None,
            Some(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
        };
        let Some(text) = text.filter(|text| own(kind).as_deref() != Some(text)) else {
            return match own(kind) {
                Some(_) => Ok((kind, None)),
                None => Err(Error::invalid_field(
                    "kind",
                    "a database has no address of HTTP or of a certificate; name one, or check it by tcp",
                )),
            };
        };
        let refuse = |problem: String| Error::invalid_field("check_url", problem);
        let (meant, url) = parse_url(text).map_err(|problem| refuse(problem.to_owned()))?;
        if input.kind.is_some_and(|kind| kind != meant) {
            let problem = "must begin with http:// or https:// for http, with tcp:// for tcp, with tls:// for certificate, and be empty for heartbeat";
            return Err(refuse(problem.to_owned()));
        }
        let is_new = input.check_url.is_some();
        let hosts = self.own_hosts(access.scope(), project.id).await?;
        if is_new && !is_own_host(project, &url, &hosts) {
            self.check_reach(&url)
                .await
                .map_err(|problem| refuse(format!("cannot be used: {problem}")))?;
        }
        Ok((meant, Some(text.to_owned())))
    }

    /// Looks whether an address may be called. A name that leads nowhere so far may be there later.
    async fn check_reach(&self, url: &Url) -> std::result::Result<(), Unreachable> {
        let (host, port) = host_and_port(url);
        match self.outgoing.check(&host, port).await {
            Err(problem @ Unreachable::NotPublic) => Err(problem),
            _ => Ok(()),
        }
    }

    /// The webhook and what may be shown of it.
    async fn webhook(
        &self,
        project: &Project,
        old: &MonitorSettings,
        input: Option<String>,
    ) -> Result<(Option<Sealed>, Option<String>)> {
        let kept = (old.discord_webhook.clone(), old.discord_origin.clone());
        let Some(text) = input.filter(|text| Some(text) != masked(old).as_ref()) else {
            return Ok(kept);
        };
        if text.is_empty() {
            return Ok((None, None));
        }
        let refuse = |problem: &str| Error::invalid_field("discord_webhook_url", problem);
        let usual = "must be an address such as https://discord.com/api/webhooks/…";
        let url: Url = text.parse().map_err(|_| refuse(usual))?;
        let is_secure =
            url.scheme() == "https" || (url.scheme() == "http" && self.outgoing.allows_private());
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !is_secure || has_user || text.len() > MAX_WEBHOOK {
            return Err(refuse(usual));
        }
        self.check_reach(&url)
            .await
            .map_err(|problem| refuse(&format!("cannot be used: {problem}")))?;
        let place = webhook_place(project.workspace_id, project.id);
        let sealed = self.vault.seal(place, &text, self.ids.as_ref());
        Ok((Some(sealed), Some(url.origin().ascii_serialization())))
    }

    fn notify_email(&self, input: Option<String>, old: &MonitorSettings) -> Result<Option<Email>> {
        let Some(text) = input else {
            return Ok(old.notify_email.clone());
        };
        if text.is_empty() {
            return Ok(None);
        }
        let email: Email = text
            .parse()
            .map_err(|error| Error::invalid_field("notify_email", format!("{error}")))?;
        if !self.mailer.is_on() {
            return Err(Error::conflict("no_mail", "this server sends no mail"));
        }
        Ok(Some(email))
    }

    /// The webhook of Discord that is told of a monitor's turns.
    pub(crate) fn open_webhook(&self, monitor: &Monitor) -> Result<Option<SecretString>> {
        let Some(sealed) = &monitor.settings.discord_webhook else {
            return Ok(None);
        };
        let place = webhook_place(monitor.workspace_id, monitor.project_id);
        let opened = self.vault.open(place, sealed).map_err(vault_error)?;
        Ok(Some(opened))
    }

    /// Where a project answers by itself; `None` for a database and HTTP. Empty where it is not asked.
    fn own_url(&self, project: &Project, facts: ProjectFacts, kind: MonitorKind) -> Option<String> {
        match (kind, &project.kind) {
            (MonitorKind::Tcp, _) => {
                Some(format!("tcp://{}:{}", project.slug, project.run.port.get()))
            }
            (MonitorKind::Heartbeat, _) => Some(String::new()),
            (MonitorKind::Http | MonitorKind::Certificate, ProjectKind::Database) => None,
            (MonitorKind::Certificate, ProjectKind::App | ProjectKind::Template(_)) => {
                let port = self
                    .config
                    .https_addr
                    .addr()
                    .map_or(443, |addr| addr.port());
                Some(format!("tls://{}:{port}", project.hostname))
            }
            (MonitorKind::Http, ProjectKind::App | ProjectKind::Template(_)) => {
                let path = project.run.health_check_path.as_deref().unwrap_or("/");
                Some(format!("{}{path}", self.project_url(project, facts)))
            }
        }
    }

    /// The host names of a project itself, which their DNS led to this server.
    pub(crate) async fn own_hosts(
        &self,
        scope: &WorkspaceScope,
        project_id: ProjectId,
    ) -> Result<Vec<Hostname>> {
        let domains = self.store.list_domains(scope, project_id).await?;
        let active = domains
            .into_iter()
            .filter(|domain| domain.status == DomainStatus::Active);
        Ok(active.map(|domain| domain.hostname).collect())
    }

    /// What is checked of a project that has these host names.
    pub(crate) fn check_target(
        &self,
        project: &Project,
        facts: ProjectFacts,
        settings: &MonitorSettings,
        hosts: &[Hostname],
    ) -> Result<Target> {
        let text = match (&settings.check_url, settings.kind) {
            (_, MonitorKind::Heartbeat) => return Ok(Target::Heartbeat),
            (Some(text), _) => text.clone(),
            (None, MonitorKind::Tcp) => {
                return Ok(Target::Replica {
                    project_id: project.id,
                    port: project.run.port.get(),
                });
            }
            (None, kind) => self.own_url(project, facts, kind).unwrap_or_default(),
        };
        let broken = |problem: &str| Error::internal("a monitor's settings are broken", problem);
        let (kind, url) = parse_url(&text).map_err(broken)?;
        let (host, port) = host_and_port(&url);
        if kind == MonitorKind::Tcp {
            return Ok(Target::Port { host, port });
        }
        let Some(via) = self.way_to(project, &url, hosts) else {
            return Ok(Target::Nowhere(
                "this server's proxy does not listen for it",
            ));
        };
        if kind == MonitorKind::Certificate {
            let days = settings.certificate_warn_days;
            return Ok(Target::Certificate {
                host,
                port,
                via,
                days,
            });
        }
        Ok(Target::Page {
            url,
            via,
            expected: settings.expected_status.parse().map_err(broken)?,
            keyword: settings.keyword.clone(),
        })
    }

    /// Which way an address is reached; `None` if it is the project's own and there is no listener for it.
    fn way_to(&self, project: &Project, url: &Url, hosts: &[Hostname]) -> Option<Via> {
        if !is_own_host(project, url, hosts) {
            return Some(Via::Name);
        }
        let config = &self.config;
        let listener = match url.scheme() {
            "https" | "tls" => config.https_addr.addr(),
            _ => config.http_addr.addr(),
        };
        Some(Via::Proxy {
            listener: from_here(listener?),
            headed: match config.proxy_protocol {
                true => config.visitor_proxies.as_slice().into(),
                false => [].into(),
            },
        })
    }

    async fn uptime_view(
        &self,
        access: &Access,
        project: &Project,
        facts: ProjectFacts,
        monitor: Monitor,
    ) -> Result<UptimeView> {
        let uptime = self.uptime_shares(access.scope(), project).await?;
        let incidents = self
            .store
            .list_incidents(access.scope(), project.id, INCIDENTS)
            .await?;
        let (condition, settings) = (monitor.condition, monitor.settings);
        // The task comes to know of a stop a moment later.
        let is_resting = !settings.is_enabled || activity(project, facts) == Activity::Resting;
        let status = match is_resting {
            true => UptimeStatus::Paused,
            false => condition.status,
        };
        let is_noted = monitor.revision > 0 && condition.status == status;
        let own = self.own_url(project, facts, settings.kind);
        Ok(UptimeView {
            enabled: settings.is_enabled,
            kind: settings.kind,
            check_interval_sec: settings.interval_seconds,
            discord_webhook_url: masked(&settings),
            check_url: settings.check_url.or(own).unwrap_or_default(),
            expected_status: settings.expected_status,
            keyword: settings.keyword,
            timeout_ms: settings.timeout_ms,
            failures_before_down: settings.failures_before_down,
            notify_email: settings.notify_email.map(|email| email.to_string()),
            certificate_warn_days: settings.certificate_warn_days,
            certificate_expires_at: monitor.certificate.expires_at,
            heartbeat_grace_sec: settings.heartbeat_grace_seconds,
            last_heartbeat_at: monitor.heartbeat_at,
            status,
            reason: condition.reason.filter(|_| is_noted),
            since: is_noted.then_some(condition.since),
            last_checked_at: monitor.last_checked_at,
            last_response_ms: monitor.last_response_ms,
            uptime,
            incidents,
        })
    }

    async fn uptime_shares(
        &self,
        scope: &WorkspaceScope,
        project: &Project,
    ) -> Result<UptimeShares> {
        let now = self.now();
        let since = [1, 7, 30, 90].map(|days| now.saturating_sub(DAY * days));
        let sums = self.store.sum_checks(scope, project.id, since).await?;
        let [h24, d7, d30, d90] = sums.map(|sum| share(sum.good, sum.total));
        Ok(UptimeShares { h24, d7, d30, d90 })
    }
}

/// Whether an address is at one of the project's own host names.
fn is_own_host(project: &Project, url: &Url, hosts: &[Hostname]) -> bool {
    let host = url.host_str().unwrap_or_default();
    matches!(url.scheme(), "http" | "https" | "tls")
        && project.kind != ProjectKind::Database
        && hosts.iter().any(|own| own.as_str() == host)
}

fn webhook_place(workspace_id: tose_api::WorkspaceId, project_id: ProjectId) -> Place<'static> {
    Place::UptimeWebhook {
        workspace_id,
        project_id,
    }
}

/// What is shown of a webhook; sent back, it changes nothing.
fn masked(settings: &MonitorSettings) -> Option<String> {
    let origin = settings.discord_origin.as_ref()?;
    Some(format!("{origin}/…"))
}

fn within(
    field: &'static str,
    input: Option<u32>,
    old: u32,
    range: RangeInclusive<u32>,
) -> Result<u32> {
    let number = input.unwrap_or(old);
    if range.contains(&number) {
        return Ok(number);
    }
    let (least, most) = range.into_inner();
    let problem = format!("must be a number from {least} to {most}");
    Err(Error::invalid_field(field, problem))
}

fn expected_status(input: Option<String>, old: &MonitorSettings) -> Result<String> {
    let Some(text) = input else {
        return Ok(old.expected_status.clone());
    };
    let expected: ExpectedStatus = text
        .parse()
        .map_err(|problem| Error::invalid_field("expected_status", problem))?;
    Ok(expected.to_string())
}

fn keyword(input: Option<String>, old: &MonitorSettings) -> Result<Option<String>> {
    let Some(text) = input else {
        return Ok(old.keyword.clone());
    };
    if text.chars().count() > MAX_KEYWORD || text.chars().any(char::is_control) {
        let problem = "must have at most 200 characters, none of them a control character";
        return Err(Error::invalid_field("keyword", problem));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

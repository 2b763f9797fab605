//! Configuration: flags, environment and file, parsed into types, unknown keys refused.
//!
//! The one place that reads them. `default.toml` documents every key; a test holds it to the
//! defaults below.

mod acme;
mod ai;
mod backups;
mod billing;
mod build;
mod databases;
mod drains;
mod github_app;
mod logs;
mod notifications;
mod payments;
mod proxy;
mod s3;
mod smtp;
mod telemetry;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;
use serde::Deserialize;
use tose_api::domain_settings::IpRange;
use tose_api::{Cpu, Hostname, Ram, Slug};
use tose_model::driver::LayerCache;
use tose_model::quota::Quota;
use tose_model::recipe::Images;
use tose_model::secret::SecretString;

pub use acme::AcmeConfig;
use acme::AcmeTable;
pub use ai::AiConfig;
use ai::AiTable;
use backups::BackupsTable;
use billing::BillingTable;
pub use billing::{BillingConfig, Seller};
use build::BuildTable;
use databases::DatabasesTable;
pub use databases::{DatabaseImage, DatabasesConfig};
pub use drains::DrainsConfig;
pub use github_app::GithubAppConfig;
use github_app::GithubAppTable;
pub use logs::LogTierConfig;
use logs::LogsTable;
pub use notifications::NotificationsConfig;
use payments::PaymentsTable;
pub use payments::{Payments, PayosConfig, SepayConfig, StripeConfig, VnpayConfig};
use proxy::ProxyTable;
pub use s3::S3Config;
use smtp::SmtpTable;
pub use smtp::{Smtp, SmtpTls};
use telemetry::TelemetryTable;
pub use telemetry::{OtlpConfig, TelemetryConfig};

/// The commented default file.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// What went wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration file {path} could not be read")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is no valid configuration.
    #[error("the configuration file {path} is not valid: {problem}")]
    Parse { path: PathBuf, problem: String },
    /// A value cannot be used.
    #[error("{key}: {problem}")]
    Value { key: &'static str, problem: String },
}

/// The flags that every command of `tosed` takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// A configuration file in TOML; `tosed config` prints one with every key
    #[arg(long, env = "TOSE_CONFIG", global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything is kept [default: /var/lib/tose]
    #[arg(long, env = "TOSE_DATA_DIR", global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the API listens [default: 127.0.0.1:8700]
    #[arg(long, env = "TOSE_API_ADDR", global = true, value_name = "ADDR")]
    pub api_addr: Option<SocketAddr>,
    /// Where the proxy listens for visitors, or "off" [default: 0.0.0.0:80]
    #[arg(long, env = "TOSE_HTTP_ADDR", global = true, value_name = "ADDR")]
    pub http_addr: Option<Listen>,
    /// Where the proxy listens for HTTPS, or "off"; this version serves none [default: off]
    #[arg(long, env = "TOSE_HTTPS_ADDR", global = true, value_name = "ADDR")]
    pub https_addr: Option<Listen>,
    /// Apps are reached at {workspace}-{project}.{base-domain} [default: localhost]
    #[arg(long, env = "TOSE_BASE_DOMAIN", global = true, value_name = "HOST")]
    pub base_domain: Option<Hostname>,
    /// The container engine: docker [default: docker]
    #[arg(long, env = "TOSE_ENGINE", global = true, value_name = "ENGINE")]
    pub engine: Option<Engine>,
    /// The API's address as users see it [default: made from the API's address]
    #[arg(long, env = "TOSE_PUBLIC_URL", global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// The database; this version keeps SQLite in the data directory and takes no other
    #[arg(
        long,
        env = "TOSE_DATABASE_URL",
        global = true,
        value_name = "URL",
        hide = true
    )]
    pub database_url: Option<String>,
    /// Let projects be built from file:// repositories on this machine
    #[arg(long, env = "TOSE_GIT_ALLOW_FILE_URLS", global = true, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub git_allow_file_urls: Option<bool>,
    /// How the daemon's own messages are written: text or json [default: text]
    #[arg(long, env = "TOSE_LOG_FORMAT", global = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Which of the daemon's own messages are written [default: info]
    #[arg(long, env = "TOSE_LOG_LEVEL", global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// The password of the mail server that [smtp] names
    #[arg(
        long,
        env = "TOSE_SMTP_PASSWORD",
        global = true,
        value_name = "PASSWORD",
        hide = true,
        hide_env_values = true
    )]
    pub smtp_password: Option<SecretString>,
    /// The container engine's socket [default: the engine's own]
    #[arg(long, env = "DOCKER_HOST", global = true, value_name = "URL")]
    pub docker_host: Option<String>,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Listen {
    /// On this address.
    On(SocketAddr),
    /// Not at all.
    Off,
}

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::On)
            .map_err(|_| "must be an address such as 0.0.0.0:80, or off".to_owned())
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Listen {
    /// The address, if there is one.
    pub fn addr(self) -> Option<SocketAddr> {
        match self {
            Self::On(addr) => Some(addr),
            Self::Off => None,
        }
    }
}

/// The engine that runs apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Docker Engine.
    Docker,
}

/// How the daemon's own messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where the API listens.
    pub api_addr: SocketAddr,
    /// Where the proxy listens for visitors.
    pub http_addr: Listen,
    /// Where HTTPS was asked for.
    pub https_addr: Listen,
    /// The domain below which apps get their host names.
    pub base_domain: Hostname,
    /// The engine.
    pub engine: Engine,
    /// The engine's socket, where it is not the default.
    pub docker_host: Option<String>,
    /// The API's address as users see it.
    pub public_url: String,
    /// How messages are written.
    pub log_format: LogFormat,
    /// Which messages are written.
    pub log_level: String,
    /// `[git]`.
    pub git: GitConfig,
    /// `[acme]`; absent: no certificates are ordered.
    pub acme: Option<AcmeConfig>,
    /// `[github_app]`; absent: the server has none.
    pub github_app: Option<GithubAppConfig>,
    /// `[ai]`; absent: no language model is asked.
    pub ai: Option<AiConfig>,
    /// `[limits]`.
    pub limits: Limits,
    /// How many built images of a project are kept.
    pub keep_images: u32,
    /// How full the engine's disk may get, in percent.
    pub disk: DiskLimits,
    /// What recipes build on.
    pub build_images: Images,
    /// Whose layers a build may use.
    pub layer_cache: LayerCache,
    /// What is kept of each project's log.
    pub log_retention: LogRetention,
    /// `[logs]`; absent: all lines are kept in the data directory.
    pub log_tier: Option<LogTierConfig>,
    /// The name of the place where apps run.
    pub region: Slug,
    /// Whether anybody can make an account.
    pub open_registration: bool,
    /// From whom `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Proxies in front of the one for visitors, whose word about them counts.
    pub visitor_proxies: Vec<IpRange>,
    /// Whether connections of those begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Whom to ask for DNS records; empty: whom the machine asks.
    pub name_servers: Vec<SocketAddr>,
    /// A folder with templates of the operator's own.
    pub templates_dir: Option<PathBuf>,
    /// Where backups of databases are kept, if not in the data directory.
    pub backup_bucket: Option<S3Config>,
    /// Which images managed databases run, and how long they may take.
    pub databases: DatabasesConfig,
    /// `[billing]`.
    pub billing: BillingConfig,
    /// `[drains]`.
    pub drains: DrainsConfig,
    /// `[notifications]`.
    pub notifications: NotificationsConfig,
    /// `[payments.*]`: what fills wallets.
    pub payments: Payments,
    /// How mail leaves; absent: none does.
    pub smtp: Option<Smtp>,
    /// `[telemetry]`: what operators are told.
    pub telemetry: TelemetryConfig,
}

/// How repositories are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitConfig {
    /// Whether `file://` repositories may be built.
    pub allow_file_urls: bool,
}

/// What may be asked for, and how long things may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Replicas of a project.
    pub max_replicas: u32,
    /// Cores of a replica.
    pub max_cpu: Cpu,
    /// Memory of a replica.
    pub max_ram: Ram,
    /// What all replicas of a workspace may have.
    pub workspace: Quota,
    /// Builds at the same time; 0: by the machine's memory.
    pub builds: u32,
    /// A build, cloning included.
    pub build_timeout: Duration,
    /// Memory of a build step in bytes.
    pub build_memory_bytes: u64,
    /// What a build step may write.
    pub build_disk_bytes: u64,
    /// What a build may write into its log.
    pub build_log: LogLimit,
    /// What a project's replicas may write into its log; 0: as much as they like.
    pub log_bytes_per_second: u64,
    /// A source tree that is fetched, with what Git keeps beside it, in bytes.
    pub max_source_bytes: u64,
    /// From a version's first start until it is ready.
    pub start_timeout: Duration,
    /// Requests on a version that was replaced.
    pub drain: Duration,
    /// Between two questions to a replica that serves.
    pub health_interval: Duration,
    /// From a version's promotion on, while a crash brings the version before it back; zero: never.
    pub watch: Duration,
    /// Calls a minute with one key or login; 0: as many as they like.
    pub calls_per_minute: u32,
    /// Calls that may come at once.
    pub call_burst: u32,
    /// Deployments a minute of one project; 0: as many as they like.
    pub deployments_per_minute: u32,
    /// Refused keys, logins and tokens a minute from one address; 0: as many as they like.
    pub failures_per_minute: u32,
    /// WebSockets of one workspace at the same time.
    pub max_sockets: usize,
    /// A source tree that is sent along, compressed, in bytes.
    pub max_upload_bytes: u64,
}

/// How full the disk that holds the engine's images may get, in percent; above 100: never too full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskLimits {
    /// From here on fewer images are kept.
    pub clean_percent: u64,
    /// From here on nothing is built.
    pub full_percent: u64,
}

/// What a build may write into its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimit {
    /// This many lines.
    pub lines: u64,
    /// This many bytes.
    pub bytes: u64,
}

/// What is kept of each project's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRetention {
    /// At most this much, in bytes.
    pub bytes: u64,
    /// At most this long.
    pub age: Duration,
}

/// The file as it is written. Every key may be absent.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data_dir: Option<PathBuf>,
    api_addr: Option<SocketAddr>,
    http_addr: Option<Listen>,
    https_addr: Option<Listen>,
    base_domain: Option<Hostname>,
    engine: Option<Engine>,
    docker_host: Option<String>,
    public_url: Option<String>,
    log: LogTable,
    git: GitTable,
    acme: Option<AcmeTable>,
    github_app: Option<GithubAppTable>,
    ai: Option<AiTable>,
    limits: LimitsTable,
    images: ImagesTable,
    disk: DiskTable,
    build: BuildTable,
    retention: RetentionTable,
    logs: LogsTable,
    region: Option<Slug>,
    trusted_proxies: Vec<IpNet>,
    proxy: ProxyTable,
    accounts: AccountsTable,
    templates: TemplatesTable,
    databases: DatabasesTable,
    backups: BackupsTable,
    billing: BillingTable,
    dns: DnsTable,
    drains: DrainsConfig,
    notifications: NotificationsConfig,
    payments: PaymentsTable,
    smtp: Option<SmtpTable>,
    telemetry: TelemetryTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AccountsTable {
    open_registration: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TemplatesTable {
    dir: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DnsTable {
    servers: Vec<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogTable {
    format: Option<LogFormat>,
    level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GitTable {
    allow_file_urls: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsTable {
    max_replicas: Option<u32>,
    max_cpu: Option<Cpu>,
    max_ram: Option<Ram>,
    workspace_cpu: Option<Cpu>,
    workspace_ram: Option<Ram>,
    builds: Option<u32>,
    build_timeout_seconds: Option<u32>,
    build_memory_mb: Option<u32>,
    build_disk_mb: Option<u32>,
    build_log_lines: Option<u32>,
    build_log_mb: Option<u32>,
    log_kb_per_second: Option<u32>,
    max_source_mb: Option<u32>,
    start_timeout_seconds: Option<u32>,
    drain_seconds: Option<u32>,
    health_interval_seconds: Option<u32>,
    watch_seconds: Option<u32>,
    calls_per_minute: Option<u32>,
    call_burst: Option<u32>,
    deployments_per_minute: Option<u32>,
    failures_per_minute: Option<u32>,
    max_sockets: Option<u32>,
    max_upload_mb: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ImagesTable {
    keep: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DiskTable {
    clean_percent: Option<u32>,
    full_percent: Option<u32>,
}

impl DiskTable {
    fn into_limits(self) -> DiskLimits {
        DiskLimits {
            clean_percent: u64::from(self.clean_percent.unwrap_or(80)),
            full_percent: u64::from(self.full_percent.unwrap_or(95)),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetentionTable {
    log_mb: Option<u32>,
    log_days: Option<u32>,
}

impl Config {
    /// Reads the file that the flags name, if any, and puts flags over it.
    ///
    /// # Errors
    /// When the file cannot be read or holds an unknown key, or a value cannot be used.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let file = match &flags.config {
            Some(path) => read_file(path)?,
            None => File::default(),
        };
        Self::merge(flags.clone(), file)
    }

    fn merge(flags: Flags, file: File) -> Result<Self, ConfigError> {
        let default_api = SocketAddr::from(([127, 0, 0, 1], 8700));
        let default_http = Listen::On(SocketAddr::from(([0, 0, 0, 0], 80)));
        let api_addr = flags.api_addr.or(file.api_addr).unwrap_or(default_api);
        let public_url = flags.public_url.or(file.public_url);
        if flags.database_url.is_some() {
            // The address is not repeated: it may hold a password.
            let problem = "cannot be used: this version keeps SQLite in the data directory";
            return Err(ConfigError::Value {
                key: "database_url",
                problem: problem.to_owned(),
            });
        }
        Ok(Self {
            data_dir: flags
                .data_dir
                .or(file.data_dir)
                .unwrap_or_else(|| "/var/lib/tose".into()),
            api_addr,
            http_addr: flags.http_addr.or(file.http_addr).unwrap_or(default_http),
            https_addr: flags.https_addr.or(file.https_addr).unwrap_or(Listen::Off),
            base_domain: match flags.base_domain.or(file.base_domain) {
                Some(domain) => domain,
                None => "localhost".parse().expect("localhost is a host name"),
            },
            engine: flags.engine.or(file.engine).unwrap_or(Engine::Docker),
            docker_host: flags.docker_host.or(file.docker_host),
            public_url: public_url.unwrap_or_else(|| format!("http://{api_addr}")),
            log_format: flags
                .log_format
                .or(file.log.format)
                .unwrap_or(LogFormat::Text),
            log_level: flags
                .log_level
                .or(file.log.level)
                .unwrap_or_else(|| "info".to_owned()),
            git: GitConfig {
                allow_file_urls: flags
                    .git_allow_file_urls
                    .or(file.git.allow_file_urls)
                    .unwrap_or(false),
            },
            acme: file.acme.map(AcmeTable::into_config).transpose()?,
            github_app: file
                .github_app
                .map(GithubAppTable::into_config)
                .transpose()?,
            ai: file.ai.map(AiTable::into_config).transpose()?,
            limits: file.limits.into_limits()?,
            keep_images: file.images.keep.unwrap_or(5).max(1),
            disk: file.disk.into_limits(),
            layer_cache: match file.build.shared_cache {
                Some(true) => LayerCache::Machine,
                _ => LayerCache::Project,
            },
            build_images: file.build.images.into_images(),
            log_retention: LogRetention {
                bytes: u64::from(file.retention.log_mb.unwrap_or(256)) << 20,
                age: Duration::from_secs(u64::from(file.retention.log_days.unwrap_or(30)) * 86_400),
            },
            log_tier: file.logs.into_config()?,
            region: match file.region {
                Some(region) => region,
                None => "local".parse().expect("local is a slug"),
            },
            open_registration: file.accounts.open_registration.unwrap_or(true),
            trusted_proxies: file.trusted_proxies,
            proxy_protocol: file.proxy.checked_protocol()?,
            visitor_proxies: file.proxy.trusted_proxies,
            name_servers: file.dns.servers,
            templates_dir: file.templates.dir,
            databases: file.databases.into_config()?,
            backup_bucket: file.backups.s3,
            billing: file.billing.into_config()?,
            drains: file.drains,
            notifications: file.notifications,
            payments: file.payments.into_config()?,
            smtp: file
                .smtp
                .map(|smtp| smtp.into_smtp(flags.smtp_password))
                .transpose()?,
            telemetry: file.telemetry.into_config()?,
        })
    }

    /// The address of a page or route of the API, as users see it.
    pub fn public_address(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.trim_end_matches('/'))
    }

    /// The URL of an app that has this host name; `has_https` says whether that has a certificate.
    pub fn app_url(&self, hostname: &Hostname, has_https: bool) -> String {
        match (self.https_addr.addr(), self.http_addr.addr()) {
            (Some(addr), _) if has_https && addr.port() == 443 => format!("https://{hostname}"),
            (Some(addr), _) if has_https => format!("https://{hostname}:{}", addr.port()),
            (_, Some(addr)) if addr.port() != 80 => format!("http://{hostname}:{}", addr.port()),
            _ => format!("http://{hostname}"),
        }
    }

    /// Whether a certificate authority would know the names below the base domain.
    pub fn has_public_base(&self) -> bool {
        let base = self.base_domain.as_str();
        base != "localhost" && !base.ends_with(".localhost")
    }

    /// Where a file of the data directory is.
    pub fn data_path(&self, name: &str) -> PathBuf {
        self.data_dir.join(name)
    }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|error| ConfigError::Parse {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

impl LimitsTable {
    fn into_limits(self) -> Result<Limits, ConfigError> {
        let at_least_one = |key: &'static str, value: u32| match value {
            0 => Err(ConfigError::Value {
                key,
                problem: "must be 1 or more".to_owned(),
            }),
            value => Ok(value),
        };
        let seconds = |value: u32| Duration::from_secs(u64::from(value));
        let cpu = |milli| Cpu::from_milli(milli).expect("the default is in range");
        let ram = |milli| Ram::from_milli(milli).expect("the default is in range");
        Ok(Limits {
            max_replicas: at_least_one("limits.max_replicas", self.max_replicas.unwrap_or(10))?,
            max_cpu: self.max_cpu.unwrap_or_else(|| cpu(4000)),
            max_ram: self.max_ram.unwrap_or_else(|| ram(8000)),
            workspace: Quota {
                cpu: self.workspace_cpu,
                ram: self.workspace_ram,
            },
            builds: self.builds.unwrap_or(0),
            build_timeout: seconds(at_least_one(
                "limits.build_timeout_seconds",
                self.build_timeout_seconds.unwrap_or(1800),
            )?),
            build_disk_bytes: u64::from(at_least_one(
                "limits.build_disk_mb",
                self.build_disk_mb.unwrap_or(10_240),
            )?) << 20,
            build_memory_bytes: u64::from(at_least_one(
                "limits.build_memory_mb",
                self.build_memory_mb.unwrap_or(2048),
            )?) << 20,
            build_log: LogLimit {
                lines: u64::from(at_least_one(
                    "limits.build_log_lines",
                    self.build_log_lines.unwrap_or(100_000),
                )?),
                bytes: u64::from(at_least_one(
                    "limits.build_log_mb",
                    self.build_log_mb.unwrap_or(16),
                )?) << 20,
            },
            log_bytes_per_second: u64::from(self.log_kb_per_second.unwrap_or(1024)) << 10,
            max_source_bytes: u64::from(at_least_one(
                "limits.max_source_mb",
                self.max_source_mb.unwrap_or(1024),
            )?) << 20,
            start_timeout: seconds(at_least_one(
                "limits.start_timeout_seconds",
                self.start_timeout_seconds.unwrap_or(60),
            )?),
            drain: seconds(self.drain_seconds.unwrap_or(30)),
            health_interval: seconds(at_least_one(
                "limits.health_interval_seconds",
                self.health_interval_seconds.unwrap_or(10),
            )?),
            watch: seconds(self.watch_seconds.unwrap_or(60)),
            calls_per_minute: self.calls_per_minute.unwrap_or(300),
            call_burst: at_least_one("limits.call_burst", self.call_burst.unwrap_or(60))?,
            deployments_per_minute: self.deployments_per_minute.unwrap_or(10),
            failures_per_minute: self.failures_per_minute.unwrap_or(20),
            max_sockets: usize::try_from(self.max_sockets.unwrap_or(100)).unwrap_or(usize::MAX),
            max_upload_bytes: u64::from(at_least_one(
                "limits.max_upload_mb",
                self.max_upload_mb.unwrap_or(256),
            )?) << 20,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_holds_the_defaults() {
        let file: File = toml::from_str(DEFAULT_FILE).expect("the default file is valid");
        let from_file = Config::merge(Flags::default(), file).expect("valid");
        let from_code = Config::merge(Flags::default(), File::default()).expect("valid");
        assert_eq!(format!("{from_file:?}"), format!("{from_code:?}"));
    }

    #[test]
    fn flags_win_over_the_file() {
        let file: File =
            toml::from_str("base_domain = \"a.example\"\nhttp_addr = \"off\"").expect("valid");
        let flags = Flags {
            base_domain: Some("b.example".parse().expect("a host")),
            ..Flags::default()
        };
        let config = Config::merge(flags, file).expect("valid");
        assert_eq!(config.base_domain.as_str(), "b.example");
        assert_eq!(config.http_addr, Listen::Off);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused() {
        for text in [
            "datadir = \"x\"",
            "[git]\nallow = true",
            "api_addr = \"nowhere\"",
            "[limits]\nmax_cpu = \"-1\"",
        ] {
            assert!(toml::from_str::<File>(text).is_err(), "accepted: {text}");
        }
        let app = |api_url: &str| {
            let text = format!(
                "[github_app]\napp_id = 1\nname = \"a\"\nclient_id = \"i\"\nprivate_key_file = \"k\"\n\
                 client_secret_file = \"s\"\nwebhook_secret_file = \"w\"\napi_url = \"{api_url}\""
            );
            let file: File = toml::from_str(&text).expect("a section");
            Config::merge(Flags::default(), file)
        };
        assert!(
            app("http://ghe.example/api/v3").is_err(),
            "secrets in plain text"
        );
        let config = app("https://ghe.example/api/v3/").expect("valid");
        let app = config.github_app.expect("an app");
        assert_eq!(app.api_url, "https://ghe.example/api/v3");
        assert_eq!(app.web_url, "https://github.com");
        let zero: File = toml::from_str("[limits]\nstart_timeout_seconds = 0").expect("a number");
        assert!(Config::merge(Flags::default(), zero).is_err());
    }
}

//! `tosed`: reads the command line, brings in time and randomness, and starts what was asked for.

mod admin;

use std::io::Write;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tose_api::domain_settings::IpRange;
use tose_api::{Slug, Timestamp};
use tose_driver_docker::DockerDriver;
use tose_model::driver::{EngineStep, InstallationId, ReplicaState, Scope};
use tose_model::meter::Uptime;
use tose_model::secret::ExposeSecret;
use tose_model::{Clock, Driver, IdGen};
use tose_server::config::{Config, DEFAULT_FILE, Flags, Listen, LogFormat};
use tose_server::proxy_process::ProxyProcess;
use tose_server::{DataDir, Parts};
use uuid::Uuid;

/// An open platform as a service: push code, get a URL.
#[derive(Parser)]
#[command(name = "tosed", version, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the control plane; starts the proxy beside it
    Serve,
    /// Run the proxy that answers visitors; `serve` starts it by itself
    Proxy(ProxyArgs),
    /// Look after an installation
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Print a configuration file with every key at its default
    Config,
}

#[derive(Args)]
struct ProxyArgs {
    /// Take the listeners over from a proxy that runs for the same data directory, then end it
    #[arg(long)]
    take_over: bool,
    /// Leave the session of the process that started it
    #[arg(long)]
    detach: bool,
    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// A proxy in front of this one, whose word about visitors counts; can be given more than once
    #[arg(long, value_name = "ADDRESS")]
    trusted_proxy: Vec<IpRange>,
    /// Connections of those begin with a PROXY protocol header
    #[arg(long)]
    proxy_protocol: bool,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// Make the first account, workspace and API key (or one more key) and print them as JSON
    Bootstrap {
        /// The account's e-mail address
        #[arg(long)]
        email: String,
        /// The workspace's slug
        #[arg(long)]
        workspace: Slug,
    },
    /// Give an account a fresh password, end its logins, and print the password
    ResetPassword {
        /// The account's e-mail address
        #[arg(long)]
        email: String,
    },
    /// Let an account do what concerns the whole installation, or not any more
    Operator {
        /// The account's e-mail address
        #[arg(long)]
        email: String,
        /// Take the right away
        #[arg(long)]
        revoke: bool,
    },
    /// Give a workspace credit, and print what its wallet has then as JSON; also while the server runs
    Credit(admin::CreditArgs),
    /// Write the whole ledger down, for accountants; also while the server runs
    Ledger(admin::LedgerArgs),
    /// Check the database: rows that break a rule are printed as JSON, and the exit code is 1
    Fsck,
    /// Stop the proxy and every app of this installation; their data stays
    Shutdown,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let config = Config::load(&cli.flags)?;
    match cli.command {
        Command::Serve => {
            start_tracing(&config)?;
            block_on(serve(config))
        }
        Command::Proxy(args) => {
            start_tracing(&config)?;
            proxy(&config, &args)
        }
        Command::Admin(AdminCommand::Bootstrap { email, workspace }) => {
            block_on(bootstrap(&config, &email, &workspace))
        }
        Command::Admin(AdminCommand::ResetPassword { email }) => {
            block_on(reset_password(&config, &email))
        }
        Command::Admin(AdminCommand::Operator { email, revoke }) => {
            block_on(set_operator(&config, &email, revoke))
        }
        Command::Admin(AdminCommand::Credit(args)) => block_on(admin::credit(&config, &args)),
        Command::Admin(AdminCommand::Ledger(args)) => block_on(admin::ledger(&config, &args)),
        Command::Admin(AdminCommand::Fsck) => block_on(fsck(&config)),
        Command::Admin(AdminCommand::Shutdown) => {
            start_tracing(&config)?;
            block_on(shutdown(config))
        }
        Command::Config => print(DEFAULT_FILE.trim_end()),
    }
}

/// What was asked for goes to standard output, all messages to standard error.
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}").context("standard output could not be written")?;
    stdout
        .flush()
        .context("standard output could not be written")
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .context("the runtime could not be started")?
        .block_on(work)
}

fn start_tracing(config: &Config) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log_level)
        .with_context(|| format!("log level {:?} is not valid", config.log_level))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => subscriber.with_ansi(false).try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("messages could not be set up: {error}"))
}

async fn serve(config: Config) -> Result<()> {
    let ids: Arc<dyn IdGen> = Arc::new(SystemIds);
    let data = DataDir::open(&config.data_dir, ids.as_ref()).await?;
    let driver = connect_driver(&config, data.installation.clone())?;
    let data_plane = Arc::new(ProxyProcess::new(&config, build_id()?));
    let parts = Parts {
        driver: Arc::clone(&driver),
        data_plane,
        clock: Arc::new(SystemClock),
        ids,
    };
    let (http_addr, https_addr) = (config.http_addr, config.https_addr);
    let start = tose_server::start(config, data, parts);
    let (server, ()) = tokio::join!(start, look_for_engine(driver.as_ref()));
    let server = server?;
    let shown = |scheme: &str, addr: Listen| match addr.addr() {
        Some(addr) => format!("{scheme}://{addr}"),
        None => "off".to_owned(),
    };
    let (http, https) = (shown("http", http_addr), shown("https", https_addr));
    print(&format!(
        "tosed ready api=http://{} http={http} https={https} engine=docker",
        server.api_addr
    ))?;
    wait_for_end().await?;
    tracing::info!("stopping; apps and the proxy go on");
    server.stop().await;
    Ok(())
}

async fn look_for_engine(driver: &dyn Driver) {
    match driver.info().await {
        Ok(info) => tracing::info!(
            version = info.version,
            api = info.api_version,
            "container engine found"
        ),
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the container engine does not answer; deployments wait for it"
        ),
    }
}

async fn wait_for_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be caught")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn connect_driver(config: &Config, installation: InstallationId) -> Result<Arc<dyn Driver>> {
    let mut options = tose_driver_docker::Options::new(installation);
    if let Some(host) = &config.docker_host {
        options.host.clone_from(host);
    }
    let driver =
        DockerDriver::connect(options).context("the container engine's address cannot be used")?;
    Ok(Arc::new(driver))
}

fn proxy(config: &Config, args: &ProxyArgs) -> Result<()> {
    if args.detach {
        // Fails only for the leader of a session, which has nothing to leave.
        let _ = rustix::process::setsid();
    }
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut seed = [0; 8];
    SystemIds.fill(&mut seed);
    tose_proxy::run(tose_proxy::Config {
        http_addr: config.http_addr.addr(),
        https_addr: config.https_addr.addr(),
        certificates: tose_proxy::certificates::Folder::of(&config.data_dir),
        keys: Arc::new(tose_server::open_vault(&config.data_dir, &SystemIds)?),
        routes_file: tose_proxy::routes_file(&config.data_dir),
        control_socket: tose_proxy::control_socket(&config.data_dir),
        workers: args.workers.unwrap_or(cores),
        take_over: args.take_over,
        version: build_id()?,
        request_id_seed: u64::from_ne_bytes(seed),
        trusted_proxies: args.trusted_proxy.clone(),
        proxy_protocol: args.proxy_protocol,
        limits: tose_proxy::Limits::default(),
    })
    .context("the proxy ended")
}

/// Names this build: another binary has another size or another time.
fn build_id() -> Result<String> {
    let metadata =
        std::fs::metadata("/proc/self/exe").context("the program's own file cannot be read")?;
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!(
        "{version}-{}-{}.{}",
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    ))
}

async fn bootstrap(config: &Config, email: &str, workspace: &Slug) -> Result<()> {
    let credit = config.billing.first_credit();
    tose_server::make_data_dir(&config.data_dir)?;
    let store = tose_server::open_store(&config.data_dir).await?;
    let made =
        tose_server::app::bootstrap(&store, &SystemClock, &SystemIds, email, workspace, credit)
            .await;
    store.close().await;
    let made = made?;
    let answer = serde_json::json!({
        "user_id": made.user_id,
        "workspace": made.workspace,
        "api_key": made.api_key.expose_secret(),
    });
    print(&answer.to_string())
}

/// Opens the database of an installation that is there; a server may be running on it.
async fn open_existing(config: &Config) -> Result<tose_store::Store> {
    if !config.data_dir.join("tose.db").exists() {
        bail!("there is no installation in {}", config.data_dir.display());
    }
    Ok(tose_server::open_store(&config.data_dir).await?)
}

async fn reset_password(config: &Config, email: &str) -> Result<()> {
    let store = open_existing(config).await?;
    let password = tose_server::app::reset_password(&store, &SystemIds, email).await;
    store.close().await;
    let answer = serde_json::json!({"email": email, "password": password?.expose_secret()});
    print(&answer.to_string())
}

async fn set_operator(config: &Config, email: &str, revoke: bool) -> Result<()> {
    let email = tose_api::Email::from_input(email)?;
    let is_operator = if revoke {
        tose_store::Operator::No
    } else {
        tose_store::Operator::Yes
    };
    let store = open_existing(config).await?;
    let outcome = store.set_operator(&email, is_operator).await;
    store.close().await;
    outcome?;
    print(&serde_json::json!({"email": email, "operator": !revoke}).to_string())
}

async fn fsck(config: &Config) -> Result<()> {
    let store = open_existing(config).await?;
    let findings = store.check().await;
    store.close().await;
    let findings = findings?;
    for finding in &findings {
        let line = serde_json::json!({"problem": finding.problem, "rows": finding.rows});
        print(&line.to_string())?;
    }
    if findings.is_empty() {
        return print("{\"problems\":0}");
    }
    bail!("{} rules are broken", findings.len())
}

/// How long the proxy may take to end its visitors' requests.
const PROXY_TIMEOUT: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(50);

async fn shutdown(config: Config) -> Result<()> {
    let store = open_existing(&config).await?;
    let _lock = tose_server::lock_data_dir(&config.data_dir)?;
    stop_proxy(&config).await?;
    let installation = tose_server::installation_id(&store, &SystemIds).await?;
    store.close().await;
    let driver = connect_driver(&config, installation)?;
    stop_apps(driver.as_ref())
        .await
        .context("the proxy is stopped, but apps may still run")
}

async fn stop_proxy(config: &Config) -> Result<()> {
    let socket = tose_proxy::control_socket(&config.data_dir);
    let Ok(mut client) = tose_proxy::control::Client::connect(&socket).await else {
        return Ok(());
    };
    client
        .finish()
        .await
        .context("the proxy could not be stopped")?;
    let ended = async {
        while tose_proxy::control::Client::connect(&socket).await.is_ok() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PROXY_TIMEOUT, ended)
        .await
        .context("the proxy did not end in time")
}

async fn stop_apps(driver: &dyn Driver) -> Result<()> {
    let is_alive = |state| {
        matches!(
            state,
            ReplicaState::Running | ReplicaState::Restarting { .. }
        )
    };
    for replica in driver.observe(Scope::Installation).await? {
        if is_alive(replica.state) {
            driver
                .apply(&EngineStep::TerminateReplica { name: replica.name })
                .await?;
        }
    }
    let ended = async {
        while driver
            .observe(Scope::Installation)
            .await?
            .iter()
            .any(|replica| is_alive(replica.state))
        {
            tokio::time::sleep(POLL).await;
        }
        Ok::<_, tose_model::driver::DriverError>(())
    };
    if let Ok(answer) = tokio::time::timeout(tose_model::driver::TERMINATION_GRACE, ended).await {
        return Ok(answer?);
    }
    for replica in driver.observe(Scope::Installation).await? {
        if is_alive(replica.state) {
            driver
                .apply(&EngineStep::RemoveReplica { name: replica.name })
                .await?;
        }
    }
    Ok(())
}

/// The machine's clock.
struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where time comes in"
    )]
    fn now(&self) -> Timestamp {
        let since_1970 = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let millis = i64::try_from(since_1970.as_millis()).unwrap_or(0);
        Timestamp::from_nanos(millis.saturating_mul(1_000_000))
    }

    fn uptime(&self) -> Uptime {
        // The kernel's own files: which start of the machine it is, and the seconds since, time asleep included.
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let boot = read("/proc/sys/kernel/random/boot_id");
        let seconds = read("/proc/uptime");
        let seconds = seconds.split_whitespace().next().unwrap_or_default();
        Uptime {
            boot: boot.trim().into(),
            elapsed: parse_seconds(seconds).unwrap_or_default(),
        }
    }
}

/// Seconds with two decimals, as the kernel writes them.
fn parse_seconds(text: &str) -> Option<Duration> {
    let (seconds, hundredths) = text.split_once('.')?;
    let whole = Duration::from_secs(seconds.parse().ok()?);
    let hundredths: u32 = hundredths.parse().ok()?;
    Some(whole + Duration::from_millis(10) * hundredths)
}

/// Ids and randomness from the operating system.
struct SystemIds;

impl IdGen for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "the one place where ids come in")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where randomness comes in"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

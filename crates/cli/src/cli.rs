//! What can be typed: the global options and the list of commands. Each command's own options
//! stand in its file under `commands/`.

use clap::{Args, Parser, Subcommand};
use tose_api::Slug;
use tose_api::client::ServerUrl;

use crate::commands::{
    alert, autoscale, completions, db, deploy, deployments, domains, down, drains, env, events,
    exec, explain, generate, git, github, init, jobs, keys, login, logs, maintenance, members,
    metrics, notify, open, registry, rollback, scale, schedules, status_page, template, up, uptime,
    usage, wallet,
};
use crate::exit;

/// Deploy apps to a TOSE server, and look after them.
#[derive(Parser)]
#[command(name = "tose", version, max_term_width = 100, after_help = exit::HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Print the API's data as JSON, and errors as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The project; otherwise the one that tose.json here or above names
    #[arg(long, global = true, value_name = "SLUG")]
    pub(crate) project: Option<Slug>,
    /// The workspace; otherwise that of tose.json, then the key's own
    #[arg(long, global = true, value_name = "SLUG")]
    pub(crate) workspace: Option<Slug>,
    /// The server; otherwise TOSE_API_URL, then the one of the last login
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) api_url: Option<ServerUrl>,
    /// Print results and errors only, no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Print without colours; NO_COLOR does the same
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Keep an API key for a server
    Login(login::LoginArgs),
    /// Forget the kept API key
    Logout,
    /// Show whom the API key stands for
    Whoami,
    /// Make a project for this folder, or link the folder to one
    Init(init::InitArgs),
    /// Make or update this folder's project, then deploy it
    Up(up::UpArgs),
    /// Deploy the project and follow it until it is live
    Deploy(deploy::DeployArgs),
    /// List the project's deployments, newest first
    Deployments(deployments::DeploymentsArgs),
    /// Deploy an earlier version again
    Rollback(rollback::RollbackArgs),
    /// Show what the project is doing
    Status,
    /// Show what the project's replicas write, or how a build went
    Logs(logs::LogsArgs),
    /// Plot what the project used and served over time
    Metrics(metrics::MetricsArgs),
    /// Show whether the project answers and how it has been, and have it checked
    Uptime(uptime::UptimeArgs),
    /// Say why a deployment failed, or what is wrong by what was written
    Explain(explain::ExplainArgs),
    /// List the services that get the project's log lines, add, test or remove one
    Drains(drains::DrainsArgs),
    /// Run a command, or a shell, in one of the project's replicas
    Exec(exec::ExecArgs),
    /// Run a command once, in a container of its own
    Run(jobs::RunArgs),
    /// List the project's jobs, show what one wrote, or stop one
    Jobs(jobs::JobsArgs),
    /// List the project's schedules, set one, or remove one
    Schedules(schedules::SchedulesArgs),
    /// List and change the workspace's databases, and their backups
    Db(db::DbArgs),
    /// Deploy well-known applications that need no set-up
    Template(template::TemplateArgs),
    /// Read and change the project's environment variables
    #[command(subcommand)]
    Env(env::EnvCommand),
    /// List and change the host names that lead to the project
    Domains(domains::DomainsArgs),
    /// Show the repository, and how its pushes deploy
    Git(git::GitArgs),
    /// Connect accounts on GitHub through the server's GitHub App
    Github(github::GithubArgs),
    /// List the pull requests that run as previews
    Previews,
    /// Show and change what the project's image is pulled with
    Registry(registry::RegistryArgs),
    /// Save the Dockerfile by which the server would build this folder
    Generate(generate::GenerateArgs),
    /// Open the project's address in a browser
    Open(open::OpenArgs),
    /// Stop the project, or delete it
    Down(down::DownArgs),
    /// Replace the project's replicas one after the other
    Restart,
    /// Start a stopped project
    Start,
    /// Set how many replicas run, and how large they are
    Scale(scale::ScaleArgs),
    /// Show how the project gets more or fewer replicas by itself, and have it do so
    Autoscale(autoscale::AutoscaleArgs),
    /// List and change the workspace's API keys
    Keys(keys::KeysArgs),
    /// List and change the workspace's members
    Members(members::MembersArgs),
    /// List who did what in the workspace, newest first
    Events(events::EventsArgs),
    /// List and change rules about what projects use and serve
    Alert(alert::AlertArgs),
    /// List and change whom the workspace tells of what happens
    Notify(notify::NotifyArgs),
    /// List and plan times in which failures are expected
    Maintenance(maintenance::MaintenanceArgs),
    /// Show and change what the workspace shows everybody of its projects
    StatusPage(status_page::StatusPageArgs),
    /// Show what the workspace's wallet has, and fill it
    Wallet(wallet::WalletArgs),
    /// Show what each project and database used, and was charged
    Usage(usage::UsageArgs),
    /// Print a script that completes commands in a shell
    Completions(completions::CompletionsArgs),
    /// Show the version of this tool and of the server
    Version,
}

//! Failures of the tool's own. Those of the server are [`tose_api::client::Error`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use tose_api::analysis::CauseView;
use tose_api::client::ServerUrl;
use tose_api::deployment::DeploymentStatus;
use tose_api::template::RequiredEnv;
use tose_api::{DeploymentId, Hostname, Slug};

use crate::dotenv::ParseError;

/// What a person did, or has to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(String),
    #[error("not logged in to {server}: run `tose login --api-url {server}`, or set TOSE_API_KEY")]
    NotLoggedIn { server: ServerUrl },
    #[error("no project is linked to this folder: run `tose init`, or name one with --project")]
    NotLinked,
    #[error("the key belongs to no workspace: name one with --workspace")]
    NoWorkspace,
    #[error("the project has no deployment so far: run `tose deploy`")]
    NoDeployment,
    #[error(
        "no deployment was live before the current one: see with `tose deployments` what there is"
    )]
    NoEarlierDeployment,
    #[error("there is no {what}: see with `{list}` what there is")]
    Missing { what: String, list: &'static str },
    #[error("the project has no domain `{name}`: see with `tose domains` what it has")]
    NoDomain { name: Hostname },
    #[error(
        "no repository is connected, and this folder has no remote `origin`: send the folder itself with `tose up --upload`, or connect a repository with `tose up --repo URL`"
    )]
    NoRepository,
    #[error(
        "there is a project `{slug}` in `{workspace}` already: link this folder to it with `tose init --slug {slug}`, or make another with --name"
    )]
    ProjectExists { workspace: Slug, slug: Slug },
    #[error("{name} cannot be read as variables")]
    Dotenv {
        name: String,
        #[source]
        source: ParseError,
    },
    #[error("{} exists: overwrite it with --force", path.display())]
    FileExists { path: PathBuf },
    #[error("deployment {id} {}: {reason}", outcome(*status))]
    Deployment {
        id: DeploymentId,
        status: DeploymentStatus,
        reason: String,
        /// What its output says of it.
        cause: Option<Box<CauseView>>,
    },
    #[error(
        "interrupted: deployment {id} goes on; follow it with `tose logs --build -f --deployment {id}{option}` and `tose deployments{option}`"
    )]
    Interrupted {
        id: DeploymentId,
        /// What these commands need besides.
        option: String,
    },
    #[error("{what} failed: {reason}")]
    Failed {
        what: String,
        reason: String,
        /// The failure for a program.
        code: &'static str,
    },
    #[error(
        "{template} needs variables: give them with --env KEY=VALUE, or with --secret KEY=VALUE"
    )]
    MissingVariables {
        template: String,
        variables: Vec<RequiredEnv>,
    },
    #[error("the log stream ended before it was complete: run the command again")]
    StreamCutShort,
    #[error("the command ended with the exit code {code}")]
    CommandEnded { code: i64 },
    #[error("the drain {name} took no line: {said}")]
    NotTaken { name: Slug, said: String },
    #[error("nobody reads the output any more")]
    OutputClosed,
}

impl Error {
    /// The failure for a program that reads `--json`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::NotLoggedIn { .. } => "not_logged_in",
            Self::NotLinked => "not_linked",
            Self::NoWorkspace => "no_workspace",
            Self::NoDeployment => "no_deployment",
            Self::NoEarlierDeployment => "no_earlier_deployment",
            Self::Missing { .. } => "not_found",
            Self::NoDomain { .. } => "no_domain",
            Self::NoRepository => "no_repository",
            Self::ProjectExists { .. } => "project_exists",
            Self::Dotenv { .. } => "invalid_file",
            Self::FileExists { .. } => "file_exists",
            Self::Deployment { status, .. } => match status {
                DeploymentStatus::Cancelled => "deployment_cancelled",
                DeploymentStatus::Superseded => "deployment_superseded",
                DeploymentStatus::Stopped => "deployment_stopped",
                _ => "deployment_failed",
            },
            Self::Interrupted { .. } => "interrupted",
            Self::Failed { code, .. } => code,
            Self::MissingVariables { .. } => "missing_variables",
            Self::StreamCutShort => "stream_cut_short",
            Self::CommandEnded { .. } => "command_ended",
            Self::NotTaken { .. } => "not_taken",
            Self::OutputClosed => "output_closed",
        }
    }

    /// Which inputs are wrong, and why.
    pub(crate) fn fields(&self) -> BTreeMap<String, String> {
        let Self::MissingVariables { variables, .. } = self else {
            return BTreeMap::new();
        };
        let field = |variable: &RequiredEnv| {
            let mut why = format!("such as {}", variable.placeholder);
            if let Some(description) = &variable.description {
                why.push_str(&format!(" ({description})"));
            }
            (variable.key.to_string(), why)
        };
        variables.iter().map(field).collect()
    }

    /// Whether the exit code says all there is to say.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Self::OutputClosed | Self::CommandEnded { .. })
    }
}

fn outcome(status: DeploymentStatus) -> &'static str {
    match status {
        DeploymentStatus::Cancelled => "was cancelled",
        DeploymentStatus::Superseded => "was superseded",
        DeploymentStatus::Stopped => "was stopped",
        _ => "failed",
    }
}

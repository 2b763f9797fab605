//! What every command gets: where to print, whom to call, which project is meant.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tose_api::Slug;
use tose_api::client::{ApiKey, Client, ServerUrl};

use crate::cli::GlobalArgs;
use crate::config::{Config, Environment};
use crate::error::Error;
use crate::link::{FoundLink, find_link};
use crate::output::Output;

/// The surroundings of one command.
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) config: Config,
    /// The folder that the command was started in.
    pub(crate) directory: PathBuf,
    /// The project that `--project` names.
    pub(crate) project: Option<Slug>,
    workspace: Option<Slug>,
}

/// A project, or a database or an instance of a template, as its address has it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) workspace: Slug,
    pub(crate) project: Slug,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.project)
    }
}

impl Context {
    pub(crate) fn new(
        output: Output,
        global: GlobalArgs,
        environment: Environment,
    ) -> Result<Self> {
        let directory =
            std::env::current_dir().context("cannot tell which folder this command runs in")?;
        Ok(Self {
            output,
            config: Config::new(global.api_url, environment),
            directory,
            project: global.project,
            workspace: global.workspace,
        })
    }

    /// A client for the server and the key that are to be used.
    pub(crate) fn client(&self) -> Result<Client> {
        let server = self.config.server()?;
        let key = self.config.api_key(&server)?;
        self.client_with(server, key)
    }

    /// A client for another key.
    pub(crate) fn client_with(&self, server: ServerUrl, key: ApiKey) -> Result<Client> {
        let user_agent = concat!("tose/", env!("CARGO_PKG_VERSION"));
        Ok(Client::new(server, key, user_agent)?)
    }

    /// The link of this folder.
    pub(crate) fn link(&self) -> Result<Option<FoundLink>> {
        find_link(&self.directory)
    }

    /// The workspace that is meant.
    pub(crate) async fn workspace(&self, client: &Client) -> Result<Slug> {
        if let Some(workspace) = &self.workspace {
            return Ok(workspace.clone());
        }
        if let Some(found) = self.link()? {
            return Ok(found.link.workspace);
        }
        match self.config.workspace(client.server_url())? {
            Some(workspace) => Ok(workspace),
            None => Ok(client.get_me().await?.workspace.ok_or(Error::NoWorkspace)?),
        }
    }

    /// What commands need that are to be about `target`, unless this folder is linked to it.
    pub(crate) fn project_option(&self, target: &Target) -> String {
        let found = self.link().ok().flatten();
        match found.is_some_and(|found| found.link.project == target.project) {
            true => String::new(),
            false => format!(" --project {}", target.project),
        }
    }

    /// The project that is meant.
    pub(crate) async fn target(&self, client: &Client) -> Result<Target> {
        let project = match (&self.project, self.link()?) {
            (Some(project), _) => project.clone(),
            (None, Some(found)) => found.link.project,
            (None, None) => return Err(Error::NotLinked.into()),
        };
        Ok(Target {
            workspace: self.workspace(client).await?,
            project,
        })
    }
}

//! The typed client: one method per endpoint.
//!
//! Guarantees: the key travels in the header `X-API-Key` only, and only to the server that it was
//! made for (redirects are reported, not followed). Every request ends within a time limit, and an
//! answer is read up to a size limit. A `GET` is sent again, twice at most, when no connection came
//! about; nothing else is repeated.
//!
//! Not here: what becomes of an answer, and whether a failed call is worth another try later.

mod error;
mod key;
mod server_url;
mod stream;
mod transport;

use reqwest::{Method, Url};

use crate::deployment::{CreateDeployment, DeploymentView};
use crate::domain::DomainView;
use crate::env_var::{EnvVarView, EnvVarsChanged, SetEnvVar, SetEnvVars};
use crate::git::{ConnectGit, GitConnectionView};
use crate::project::{CreateProject, ProjectView, StatusView, UpdateProject};
use crate::workspace::{
    CreateWorkspace, Deleted, MeView, UpdateWorkspace, VersionView, WorkspaceView,
};
use crate::{DeploymentId, EnvKey, Meta, Slug, Timestamp};

pub use crate::envelope::Paging;
pub use error::{Error, Refusal, Result};
pub use key::{ApiKey, InvalidApiKey};
pub use server_url::{InvalidServerUrl, ServerUrl};
pub use stream::{LogEvent, LogStream};

use transport::{Transport, json};

/// A server, as the holder of one key sees it.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The page's rows, newest first.
    pub items: Vec<T>,
    /// Where the page stands in its list.
    pub meta: Meta,
}

/// How a stream writes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `TIMESTAMP TEXT`.
    Text,
    /// A [`crate::log::LogLineView`] as JSON.
    Json,
}

/// Which lines a stream carries.
#[derive(Debug, Clone, Copy)]
pub struct LogQuery {
    /// How many of the lines that there are come first, 5000 at most; the server's default when
    /// absent. Without meaning where `since` is given, and for a build, which is always whole.
    pub tail: Option<u32>,
    /// Leaves out lines from before this time. Without meaning for a build.
    pub since: Option<Timestamp>,
    /// Whether lines follow as they are written; otherwise the stream ends after those there are.
    pub follow: bool,
    /// How a line is written.
    pub format: LogFormat,
}

impl LogQuery {
    fn add_to(self, url: &mut Url) {
        let mut query = url.query_pairs_mut();
        if let Some(tail) = self.tail {
            query.append_pair("tail", &tail.to_string());
        }
        if let Some(since) = self.since {
            query.append_pair("since", &since.to_string());
        }
        query.append_pair("follow", if self.follow { "true" } else { "false" });
        query.append_pair(
            "format",
            match self.format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            },
        );
    }
}

/// The caller, the server and workspaces.
impl Client {
    /// Makes a client; nothing is sent.
    pub fn new(server: ServerUrl, key: ApiKey, user_agent: &str) -> Result<Self> {
        Transport::new(server, key, user_agent).map(|transport| Self { transport })
    }

    /// The server that this client talks to.
    pub fn server_url(&self) -> &ServerUrl {
        self.transport.server()
    }

    /// `GET /api/me`: whom the key stands for.
    pub async fn get_me(&self) -> Result<MeView> {
        self.transport.get(self.transport.url(&["me"])).await
    }

    /// `GET /api/version`.
    pub async fn get_version(&self) -> Result<VersionView> {
        self.transport.get(self.transport.url(&["version"])).await
    }

    /// `POST /api/workspaces`.
    pub async fn create_workspace(&self, body: &CreateWorkspace) -> Result<WorkspaceView> {
        let url = self.transport.url(&["workspaces"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET /api/workspaces`.
    pub async fn list_workspaces(&self) -> Result<Vec<WorkspaceView>> {
        self.transport
            .get(self.transport.url(&["workspaces"]))
            .await
    }

    /// `GET W`.
    pub async fn get_workspace(&self, workspace: &Slug) -> Result<WorkspaceView> {
        self.transport.get(self.workspace_url(workspace, &[])).await
    }

    /// `PUT W`.
    pub async fn update_workspace(
        &self,
        workspace: &Slug,
        body: &UpdateWorkspace,
    ) -> Result<WorkspaceView> {
        let url = self.workspace_url(workspace, &[]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE W`, with all that is in it.
    pub async fn delete_workspace(&self, workspace: &Slug) -> Result<Deleted> {
        let url = self.workspace_url(workspace, &[]);
        self.transport.send(Method::DELETE, url, None).await
    }

    fn workspace_url(&self, workspace: &Slug, rest: &[&str]) -> Url {
        let path = [&["workspaces", workspace.as_str()][..], rest].concat();
        self.transport.url(&path)
    }
}

/// Projects.
impl Client {
    /// `POST W/projects`.
    pub async fn create_project(
        &self,
        workspace: &Slug,
        body: &CreateProject,
    ) -> Result<ProjectView> {
        let url = self.workspace_url(workspace, &["projects"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET W/projects`.
    pub async fn list_projects(
        &self,
        workspace: &Slug,
        paging: Paging,
    ) -> Result<Page<ProjectView>> {
        let url = self.workspace_url(workspace, &["projects"]);
        self.transport.get_page(url, paging).await
    }

    /// `GET P`.
    pub async fn get_project(&self, workspace: &Slug, project: &Slug) -> Result<ProjectView> {
        self.transport
            .get(self.project_url(workspace, project, &[]))
            .await
    }

    /// `PUT P`.
    pub async fn update_project(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &UpdateProject,
    ) -> Result<ProjectView> {
        let url = self.project_url(workspace, project, &[]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE P`, with all that is in it.
    pub async fn delete_project(&self, workspace: &Slug, project: &Slug) -> Result<Deleted> {
        let url = self.project_url(workspace, project, &[]);
        self.transport.send(Method::DELETE, url, None).await
    }

    /// `GET P/status`.
    pub async fn get_status(&self, workspace: &Slug, project: &Slug) -> Result<StatusView> {
        self.transport
            .get(self.project_url(workspace, project, &["status"]))
            .await
    }

    /// `POST P/start`.
    pub async fn start_project(&self, workspace: &Slug, project: &Slug) -> Result<ProjectView> {
        let url = self.project_url(workspace, project, &["start"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `POST P/stop`.
    pub async fn stop_project(&self, workspace: &Slug, project: &Slug) -> Result<ProjectView> {
        let url = self.project_url(workspace, project, &["stop"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `POST P/restart`.
    pub async fn restart_project(&self, workspace: &Slug, project: &Slug) -> Result<ProjectView> {
        let url = self.project_url(workspace, project, &["restart"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET P/domains`.
    pub async fn list_domains(&self, workspace: &Slug, project: &Slug) -> Result<Vec<DomainView>> {
        self.transport
            .get(self.project_url(workspace, project, &["domains"]))
            .await
    }

    /// `WS P/live-logs`: what the project's replicas write.
    pub async fn stream_live_logs(
        &self,
        workspace: &Slug,
        project: &Slug,
        query: LogQuery,
    ) -> Result<LogStream> {
        let mut url = self.project_url(workspace, project, &["live-logs"]);
        query.add_to(&mut url);
        self.transport.open_stream(url).await
    }

    fn project_url(&self, workspace: &Slug, project: &Slug, rest: &[&str]) -> Url {
        let path = [&["projects", project.as_str()][..], rest].concat();
        self.workspace_url(workspace, &path)
    }
}

/// A project's repository.
impl Client {
    /// `POST P/git`.
    pub async fn connect_git(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &ConnectGit,
    ) -> Result<GitConnectionView> {
        let url = self.project_url(workspace, project, &["git"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `GET P/git`.
    pub async fn get_git(&self, workspace: &Slug, project: &Slug) -> Result<GitConnectionView> {
        self.transport
            .get(self.project_url(workspace, project, &["git"]))
            .await
    }

    /// `PUT P/git`: what is not sent keeps its value.
    pub async fn update_git(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &ConnectGit,
    ) -> Result<GitConnectionView> {
        let url = self.project_url(workspace, project, &["git"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE P/git`.
    pub async fn disconnect_git(&self, workspace: &Slug, project: &Slug) -> Result<Deleted> {
        let url = self.project_url(workspace, project, &["git"]);
        self.transport.send(Method::DELETE, url, None).await
    }
}

/// A project's environment variables.
impl Client {
    /// `GET P/env`, with secrets masked.
    pub async fn list_env_vars(&self, workspace: &Slug, project: &Slug) -> Result<Vec<EnvVarView>> {
        self.transport
            .get(self.project_url(workspace, project, &["env"]))
            .await
    }

    /// `POST P/env`.
    pub async fn set_env_var(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &SetEnvVar,
    ) -> Result<EnvVarView> {
        let url = self.project_url(workspace, project, &["env"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `PUT P/env/bulk`: all of them, or none.
    pub async fn set_env_vars(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &SetEnvVars,
    ) -> Result<EnvVarsChanged> {
        let url = self.project_url(workspace, project, &["env", "bulk"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `GET P/env/:key?reveal=true`: a variable with its value, secret or not.
    pub async fn reveal_env_var(
        &self,
        workspace: &Slug,
        project: &Slug,
        key: &EnvKey,
    ) -> Result<EnvVarView> {
        let mut url = self.project_url(workspace, project, &["env", key.as_str()]);
        url.set_query(Some("reveal=true"));
        self.transport.get(url).await
    }

    /// `DELETE P/env/:key`.
    pub async fn delete_env_var(
        &self,
        workspace: &Slug,
        project: &Slug,
        key: &EnvKey,
    ) -> Result<Deleted> {
        let url = self.project_url(workspace, project, &["env", key.as_str()]);
        self.transport.send(Method::DELETE, url, None).await
    }
}

/// A project's deployments.
impl Client {
    /// `POST P/deployments`: builds and deploys.
    pub async fn create_deployment(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &CreateDeployment,
    ) -> Result<DeploymentView> {
        let url = self.project_url(workspace, project, &["deployments"]);
        self.transport.send(Method::POST, url, json(body)).await
    }

    /// `POST P/deployments/redeploy`: the current image again, with the variables as they are.
    pub async fn redeploy(&self, workspace: &Slug, project: &Slug) -> Result<DeploymentView> {
        let url = self.project_url(workspace, project, &["deployments", "redeploy"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET P/deployments`.
    pub async fn list_deployments(
        &self,
        workspace: &Slug,
        project: &Slug,
        paging: Paging,
    ) -> Result<Page<DeploymentView>> {
        let url = self.project_url(workspace, project, &["deployments"]);
        self.transport.get_page(url, paging).await
    }

    /// `GET P/deployments/:id`.
    pub async fn get_deployment(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DeploymentId,
    ) -> Result<DeploymentView> {
        self.transport
            .get(self.deployment_url(workspace, project, id, &[]))
            .await
    }

    /// `POST P/deployments/:id/stop`.
    pub async fn stop_deployment(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DeploymentId,
    ) -> Result<DeploymentView> {
        let url = self.deployment_url(workspace, project, id, &["stop"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `WS P/deployments/:id/build-logs`: what is said about a deployment, from its first line.
    pub async fn stream_build_logs(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DeploymentId,
        query: LogQuery,
    ) -> Result<LogStream> {
        let mut url = self.deployment_url(workspace, project, id, &["build-logs"]);
        query.add_to(&mut url);
        self.transport.open_stream(url).await
    }

    fn deployment_url(
        &self,
        workspace: &Slug,
        project: &Slug,
        id: DeploymentId,
        rest: &[&str],
    ) -> Url {
        let id = id.to_string();
        let path = [&["deployments", id.as_str()][..], rest].concat();
        self.project_url(workspace, project, &path)
    }
}

#[cfg(test)]
mod tests;

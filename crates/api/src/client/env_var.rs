//! A project's environment variables.

use reqwest::{Method, Url};

use super::transport::json;
use super::{Client, Result};
use crate::env_var::{ChangeEnvVar, EnvVarView, EnvVarsChanged, SetEnvVar, SetEnvVars};
use crate::workspace::Deleted;
use crate::{EnvKey, Slug};

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

    /// `PUT P/env/:key`.
    pub async fn change_env_var(
        &self,
        workspace: &Slug,
        project: &Slug,
        key: &EnvKey,
        body: &ChangeEnvVar,
    ) -> Result<EnvVarView> {
        let url = self.env_var_url(workspace, project, key);
        self.transport.send(Method::PUT, url, json(body)).await
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
        let mut url = self.env_var_url(workspace, project, key);
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
        let url = self.env_var_url(workspace, project, key);
        self.transport.send(Method::DELETE, url, None).await
    }

    fn env_var_url(&self, workspace: &Slug, project: &Slug, key: &EnvKey) -> Url {
        self.project_url(workspace, project, &["env", key.as_str()])
    }
}

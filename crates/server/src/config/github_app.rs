//! `[github_app]`: the server's GitHub App.

use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;

/// The server's GitHub App.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubAppConfig {
    /// Its number.
    pub app_id: u64,
    /// Its name in addresses.
    pub name: String,
    /// The id by which people are asked who they are.
    pub client_id: String,
    /// A file with the key that it signs with, in PEM.
    pub private_key_file: PathBuf,
    /// A file with the secret that belongs to `client_id`.
    pub client_secret_file: PathBuf,
    /// A file with the secret that its events are signed with.
    pub webhook_secret_file: PathBuf,
    /// GitHub's API, without a slash at the end.
    pub api_url: String,
    /// GitHub's pages and repositories, without a slash at the end.
    pub web_url: String,
}

impl GithubAppConfig {
    /// Where GitHub has repositories: they are read over https alone.
    pub fn repositories_url(&self) -> String {
        let rest = self.web_url.split_once("://");
        format!("https://{}", rest.map_or("", |(_, rest)| rest))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GithubAppTable {
    app_id: u64,
    name: String,
    client_id: String,
    private_key_file: PathBuf,
    client_secret_file: PathBuf,
    webhook_secret_file: PathBuf,
    api_url: Option<String>,
    web_url: Option<String>,
}

impl GithubAppTable {
    pub(super) fn into_config(self) -> Result<GithubAppConfig, ConfigError> {
        let is_slug = |text: &str| {
            let mut characters = text.chars();
            !text.is_empty() && characters.all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        if !is_slug(&self.name) {
            return Err(ConfigError::Value {
                key: "github_app.name",
                problem: "must be the app's name as it stands in its address".to_owned(),
            });
        }
        let api_url = self.api_url.as_deref().unwrap_or("https://api.github.com");
        let web_url = self.web_url.as_deref().unwrap_or("https://github.com");
        Ok(GithubAppConfig {
            app_id: self.app_id,
            client_id: self.client_id,
            private_key_file: self.private_key_file,
            client_secret_file: self.client_secret_file,
            webhook_secret_file: self.webhook_secret_file,
            api_url: https_base("github_app.api_url", api_url)?,
            web_url: https_base("github_app.web_url", web_url)?,
            name: self.name,
        })
    }
}

/// An address that secrets may be sent to, without a slash at the end.
fn https_base(key: &'static str, url: &str) -> Result<String, ConfigError> {
    if url.starts_with("https://") {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    Err(ConfigError::Value {
        key,
        problem: "must begin with https://".to_owned(),
    })
}

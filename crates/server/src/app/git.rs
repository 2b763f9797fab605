//! A project's link to a repository.

use tose_api::git::{ConnectGit, GitConnectionView};
use tose_api::workspace::Deleted;
use tose_api::{BranchName, RepoUrl};
use tose_model::access::Access;
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_store::GitConnection;

use crate::app::Platform;
use crate::secrets::Place;

/// The most that a deploy key may have, in bytes.
const MAX_DEPLOY_KEY: usize = 16 * 1024;

impl Platform {
    /// Connects a project, in place of what it was connected to.
    pub(crate) async fn connect_git(
        &self,
        access: &Access,
        slug: &str,
        input: ConnectGit,
    ) -> Result<GitConnectionView> {
        let project = self.find_project(access, slug).await?;
        let repo_url = self.pick_repo_url(&input)?;
        let connection = GitConnection {
            repo_full_name: input.repo_full_name,
            branch: match input.branch {
                Some(branch) => branch,
                None => default_branch(),
            },
            auto_deploy: input.auto_deploy.unwrap_or(true),
            root_directory: input.root_directory,
            dockerfile_path: input.dockerfile_path,
            deploy_key: self.seal_deploy_key(&project, &repo_url, input.deploy_key.as_deref())?,
            repo_url,
            created_at: self.now(),
        };
        let event = self.event(access, "git.connect", &project.slug);
        self.store
            .put_git_connection(access.scope(), project.id, &connection, &event)
            .await?;
        Ok(view(connection))
    }

    pub(crate) async fn get_git(&self, access: &Access, slug: &str) -> Result<GitConnectionView> {
        let project = self.find_project(access, slug).await?;
        let found = self
            .store
            .find_git_connection(access.scope(), project.id)
            .await?;
        found.map(view).ok_or(Error::NotFound("git connection"))
    }

    /// Changes what was sent and keeps the rest.
    pub(crate) async fn update_git(
        &self,
        access: &Access,
        slug: &str,
        input: ConnectGit,
    ) -> Result<GitConnectionView> {
        let project = self.find_project(access, slug).await?;
        let found = self
            .store
            .find_git_connection(access.scope(), project.id)
            .await?;
        let mut connection = found.ok_or(Error::NotFound("git connection"))?;
        if input.repo_url.is_some()
            || input.repo_full_name.is_some()
            || input.installation_id.is_some()
        {
            connection.repo_url = self.pick_repo_url(&input)?;
            connection.repo_full_name = input.repo_full_name;
        }
        if let Some(key) = &input.deploy_key {
            connection.deploy_key =
                self.seal_deploy_key(&project, &connection.repo_url, Some(key))?;
        }
        connection.branch = input.branch.unwrap_or(connection.branch);
        connection.auto_deploy = input.auto_deploy.unwrap_or(connection.auto_deploy);
        connection.root_directory = input.root_directory.or(connection.root_directory);
        connection.dockerfile_path = input.dockerfile_path.or(connection.dockerfile_path);
        let event = self.event(access, "git.update", &project.slug);
        self.store
            .put_git_connection(access.scope(), project.id, &connection, &event)
            .await?;
        Ok(view(connection))
    }

    pub(crate) async fn disconnect_git(&self, access: &Access, slug: &str) -> Result<Deleted> {
        let project = self.find_project(access, slug).await?;
        let event = self.event(access, "git.disconnect", &project.slug);
        self.store
            .delete_git_connection(access.scope(), project.id, &event)
            .await?;
        Ok(Deleted {
            deleted: project.slug.to_string(),
        })
    }

    fn pick_repo_url(&self, input: &ConnectGit) -> Result<RepoUrl> {
        if input.installation_id.is_some() {
            return Err(Error::invalid_field(
                "installation_id",
                "this server has no GitHub App; leave it out for a public repository, or send repo_url with a deploy_key",
            ));
        }
        let url = match (&input.repo_url, &input.repo_full_name) {
            (Some(url), _) => url.clone(),
            (None, Some(name)) => github_url(name)?,
            (None, None) => {
                return Err(Error::invalid_field(
                    "repo_url",
                    "is needed: the repository's address, or repo_full_name",
                ));
            }
        };
        if url.is_local_file() && !self.config.git.allow_file_urls {
            return Err(Error::invalid_field(
                "repo_url",
                "this server does not build from file:// repositories; its operator can allow it with TOSE_GIT_ALLOW_FILE_URLS=true",
            ));
        }
        Ok(url)
    }

    fn seal_deploy_key(
        &self,
        project: &Project,
        url: &RepoUrl,
        key: Option<&str>,
    ) -> Result<Option<tose_model::secret::Sealed>> {
        let Some(key) = key else { return Ok(None) };
        if !url.is_ssh() {
            return Err(Error::invalid_field(
                "deploy_key",
                "is for ssh addresses, such as git@host:owner/name.git",
            ));
        }
        if key.len() > MAX_DEPLOY_KEY || !key.trim_start().starts_with("-----BEGIN ") {
            return Err(Error::invalid_field(
                "deploy_key",
                "must be a private key in OpenSSH's format",
            ));
        }
        let place = Place::DeployKey {
            workspace_id: project.workspace_id,
            project_id: project.id,
        };
        Ok(Some(self.vault.seal(place, key, self.ids.as_ref())))
    }
}

fn default_branch() -> BranchName {
    "main".parse().expect("main is a branch name")
}

fn github_url(full_name: &str) -> Result<RepoUrl> {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.len() <= 100
            && !part.starts_with(['.', '-'])
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    match full_name.split_once('/') {
        Some((owner, name)) if is_part(owner) && is_part(name) => {
            let url = format!("https://github.com/{owner}/{name}.git");
            url.parse()
                .map_err(|_| Error::invalid_field("repo_full_name", "must be owner/name"))
        }
        _ => Err(Error::invalid_field("repo_full_name", "must be owner/name")),
    }
}

/// How a link is shown: without its key.
pub(crate) fn view(connection: GitConnection) -> GitConnectionView {
    GitConnectionView {
        has_deploy_key: connection.deploy_key.is_some(),
        repo_full_name: connection.repo_full_name,
        repo_url: connection.repo_url,
        branch: connection.branch,
        auto_deploy: connection.auto_deploy,
        root_directory: connection.root_directory,
        dockerfile_path: connection.dockerfile_path,
        created_at: connection.created_at,
    }
}

//! A project's link to a repository.

use tose_api::git::{CommitReportView, ConnectGit, GitConnectionView, GitProvider, GitWebhookView};
use tose_api::workspace::Deleted;
use tose_api::{BranchName, RepoUrl};
use tose_model::access::Access;
use tose_model::commit_status::https_authority;
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_model::secret::{ExposeSecret, Sealed, SecretString};
use tose_store::GitConnection;

use crate::app::{Platform, vault_error};
use crate::build::ssh;
use crate::secrets::{self, Place};

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
        if project.preview.is_some() {
            return Err(Error::conflict(
                "is_preview",
                "a preview is built from its project's repository",
            ));
        }
        let repo_url = self.pick_repo_url(&input)?;
        if let Some(id) = input.installation_id {
            refuse_other_access(&input)?;
            self.check_github_repository(access.scope(), id, &repo_url)
                .await?;
        }
        let key = self
            .take_deploy_key(&project, &repo_url, input.deploy_key)
            .await?;
        let (deploy_key, deploy_key_public) = key.unzip();
        let connection = GitConnection {
            access_token: self.seal_access_token(&project, &repo_url, input.access_token)?,
            webhook_secret: Some(self.fresh_webhook_secret(&project)),
            watch_paths: check_watch_paths(input.watch_paths.unwrap_or_default())?,
            repo_full_name: input.repo_full_name,
            branch: match input.branch {
                Some(branch) => branch,
                None => default_branch(),
            },
            auto_deploy: input.auto_deploy.unwrap_or(true),
            root_directory: input.root_directory,
            dockerfile_path: input.dockerfile_path,
            deploy_key,
            deploy_key_public,
            repo_url,
            provider: input
                .installation_id
                .map_or(input.provider, |_| Some(GitProvider::Github)),
            installation_id: input.installation_id,
            previews: input.previews.unwrap_or(false),
            preview_limit: check_preview_limit(input.preview_limit)?.unwrap_or(DEFAULT_PREVIEWS),
            last_report: None,
            created_at: self.now(),
        };
        let event = self.event(access, "git.connect", &project.slug);
        self.store
            .put_git_connection(access.scope(), project.id, &connection, &event)
            .await?;
        if !connection.previews {
            self.delete_previews(access, &project).await?;
        }
        Ok(view(connection))
    }

    pub(crate) async fn get_git(&self, access: &Access, slug: &str) -> Result<GitConnectionView> {
        let (_, connection) = self.find_connection(access, slug).await?;
        Ok(view(connection))
    }

    /// Changes what was sent and keeps the rest.
    pub(crate) async fn update_git(
        &self,
        access: &Access,
        slug: &str,
        input: ConnectGit,
    ) -> Result<GitConnectionView> {
        let (project, mut connection) = self.find_connection(access, slug).await?;
        if input.repo_url.is_some()
            || input.repo_full_name.is_some()
            || input.installation_id.is_some()
        {
            let repo_url = match (&input.repo_url, &input.repo_full_name) {
                (None, None) => connection.repo_url.clone(),
                _ => self.pick_repo_url(&input)?,
            };
            let brings_other = input.access_token.is_some() || input.deploy_key.is_some();
            let kept = connection.installation_id.filter(|_| !brings_other);
            let installation_id = input.installation_id.or(kept);
            if let Some(id) = installation_id {
                refuse_other_access(&input)?;
                self.check_github_repository(access.scope(), id, &repo_url)
                    .await?;
                (connection.access_token, connection.deploy_key) = (None, None);
                connection.deploy_key_public = None;
                connection.provider = Some(GitProvider::Github);
            }
            connection.installation_id = installation_id;
            if https_authority(&repo_url) != https_authority(&connection.repo_url) {
                // Nobody gets to see a token by naming a server of their own.
                connection.access_token = None;
                connection.provider = None;
            }
            connection.repo_url = repo_url;
            connection.repo_full_name = input.repo_full_name.clone();
        }
        if input.deploy_key.is_some() {
            let url = &connection.repo_url;
            let key = self
                .take_deploy_key(&project, url, input.deploy_key)
                .await?;
            (connection.deploy_key, connection.deploy_key_public) = key.unzip();
        }
        if input.access_token.is_some() {
            connection.installation_id = None;
            connection.access_token =
                self.seal_access_token(&project, &connection.repo_url, input.access_token)?;
        }
        if let Some(patterns) = input.watch_paths {
            connection.watch_paths = check_watch_paths(patterns)?;
        }
        connection.provider = input.provider.or(connection.provider);
        connection.previews = input.previews.unwrap_or(connection.previews);
        let limit = check_preview_limit(input.preview_limit)?;
        connection.preview_limit = limit.unwrap_or(connection.preview_limit);
        connection.last_report = None;
        connection.branch = input.branch.unwrap_or(connection.branch);
        connection.auto_deploy = input.auto_deploy.unwrap_or(connection.auto_deploy);
        connection.root_directory = input.root_directory.or(connection.root_directory);
        connection.dockerfile_path = input.dockerfile_path.or(connection.dockerfile_path);
        let event = self.event(access, "git.update", &project.slug);
        self.store
            .put_git_connection(access.scope(), project.id, &connection, &event)
            .await?;
        // Afterwards: none is made any more once it is written that there are to be none.
        if !connection.previews {
            self.delete_previews(access, &project).await?;
        }
        Ok(view(connection))
    }

    pub(crate) async fn disconnect_git(&self, access: &Access, slug: &str) -> Result<Deleted> {
        let project = self.find_project(access, slug).await?;
        let event = self.event(access, "git.disconnect", &project.slug);
        self.store
            .delete_git_connection(access.scope(), project.id, &event)
            .await?;
        self.delete_previews(access, &project).await?;
        Ok(Deleted {
            deleted: project.slug.to_string(),
        })
    }

    fn pick_repo_url(&self, input: &ConnectGit) -> Result<RepoUrl> {
        let github = match (&self.github, input.installation_id) {
            (Some(app), Some(_)) => app.config.repositories_url(),
            _ => "https://github.com".to_owned(),
        };
        let url = match (&input.repo_url, &input.repo_full_name) {
            (Some(url), _) => url.clone(),
            (None, Some(name)) => github_url(&github, name)?,
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

    /// Checks a private key and seals it; answers its public half beside it.
    async fn take_deploy_key(
        &self,
        project: &Project,
        url: &RepoUrl,
        key: Option<String>,
    ) -> Result<Option<(Sealed, String)>> {
        let Some(key) = key else { return Ok(None) };
        check_ssh(url)?;
        if key.len() > MAX_DEPLOY_KEY || !key.trim_start().starts_with("-----BEGIN ") {
            return Err(bad_deploy_key());
        }
        let key = SecretString::from(key);
        let public = ssh::public_half(&self.config.data_path("scratch"), &key).await;
        let public = public
            .map_err(|error| Error::internal("ssh-keygen failed", error))?
            .ok_or_else(bad_deploy_key)?;
        Ok(Some((self.seal_deploy_key(project, &key), public)))
    }

    fn seal_deploy_key(&self, project: &Project, key: &SecretString) -> Sealed {
        let place = Place::DeployKey {
            workspace_id: project.workspace_id,
            project_id: project.id,
        };
        self.vault
            .seal(place, key.expose_secret(), self.ids.as_ref())
    }

    fn seal_access_token(
        &self,
        project: &Project,
        url: &RepoUrl,
        token: Option<String>,
    ) -> Result<Option<Sealed>> {
        let Some(token) = token else { return Ok(None) };
        if url.is_ssh() || url.is_local_file() {
            return Err(Error::invalid_field(
                "access_token",
                "is for https addresses; one over ssh takes a deploy_key",
            ));
        }
        if token.is_empty()
            || token.len() > 1000
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(Error::invalid_field(
                "access_token",
                "must have 1 to 1000 visible characters",
            ));
        }
        let place = Place::AccessToken {
            workspace_id: project.workspace_id,
            project_id: project.id,
        };
        Ok(Some(self.vault.seal(place, &token, self.ids.as_ref())))
    }

    fn fresh_webhook_secret(&self, project: &Project) -> Sealed {
        let secret = secrets::fresh_token(self.ids.as_ref());
        let place = webhook_place(project);
        self.vault
            .seal(place, secret.expose_secret(), self.ids.as_ref())
    }

    /// Makes a deploy key, in place of the one there is; its public half is in the answer.
    pub(crate) async fn create_deploy_key(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<GitConnectionView> {
        let (project, mut connection) = self.find_connection(access, slug).await?;
        check_ssh(&connection.repo_url)?;
        let comment = format!("tose-{}-{}", project.workspace, project.slug);
        let made = ssh::make_key(&self.config.data_path("scratch"), &comment).await;
        let pair = made.map_err(|error| Error::internal("ssh-keygen failed", error))?;
        connection.deploy_key = Some(self.seal_deploy_key(&project, &pair.private));
        connection.deploy_key_public = Some(pair.public);
        let event = self.event(access, "git.deploy_key", &project.slug);
        self.store
            .put_git_connection(access.scope(), project.id, &connection, &event)
            .await?;
        Ok(view(connection))
    }

    /// What to enter at the Git server.
    pub(crate) async fn get_git_webhook(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<GitWebhookView> {
        let (project, connection) = self.find_connection(access, slug).await?;
        let sealed = connection
            .webhook_secret
            .ok_or(Error::NotFound("webhook secret"))?;
        let secret = self
            .vault
            .open(webhook_place(&project), &sealed)
            .map_err(vault_error)?;
        let url = |provider: &str| {
            self.config
                .public_address(&format!("/api/webhooks/{provider}"))
        };
        Ok(GitWebhookView {
            github_url: url("github"),
            gitlab_url: url("gitlab"),
            gitea_url: url("gitea"),
            secret: secret.expose_secret().to_owned(),
        })
    }

    /// Makes another secret: what is signed with the one before is refused from now on.
    pub(crate) async fn renew_git_webhook(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<GitWebhookView> {
        let (project, mut connection) = self.find_connection(access, slug).await?;
        connection.webhook_secret = Some(self.fresh_webhook_secret(&project));
        let event = self.event(access, "git.webhook", &project.slug);
        self.store
            .put_git_connection(access.scope(), project.id, &connection, &event)
            .await?;
        self.get_git_webhook(access, slug).await
    }

    async fn find_connection(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<(Project, GitConnection)> {
        let project = self.find_project(access, slug).await?;
        let found = self
            .store
            .find_git_connection(access.scope(), project.id)
            .await?;
        Ok((project, found.ok_or(Error::NotFound("git connection"))?))
    }
}

/// What an installation reads needs nothing else to be read with.
fn refuse_other_access(input: &ConnectGit) -> Result<()> {
    if input.access_token.is_none() && input.deploy_key.is_none() {
        return Ok(());
    }
    Err(Error::invalid_field(
        "installation_id",
        "comes without an access_token or a deploy_key",
    ))
}

fn webhook_place(project: &Project) -> Place<'static> {
    Place::WebhookSecret {
        workspace_id: project.workspace_id,
        project_id: project.id,
    }
}

fn check_ssh(url: &RepoUrl) -> Result<()> {
    if url.is_ssh() {
        return Ok(());
    }
    Err(Error::invalid_field(
        "deploy_key",
        "is for ssh addresses, such as git@host:owner/name.git",
    ))
}

fn bad_deploy_key() -> Error {
    Error::invalid_field(
        "deploy_key",
        "must be a private key in OpenSSH's format, without a passphrase",
    )
}

/// How many previews there may be unless somebody says otherwise, and the most that they may say.
const DEFAULT_PREVIEWS: u32 = 5;
const MAX_PREVIEWS: u32 = 50;

fn check_preview_limit(limit: Option<u32>) -> Result<Option<u32>> {
    if limit.is_some_and(|limit| !(1..=MAX_PREVIEWS).contains(&limit)) {
        return Err(Error::invalid_field(
            "preview_limit",
            format!("must be between 1 and {MAX_PREVIEWS}"),
        ));
    }
    Ok(limit)
}

/// The most patterns, and the most characters that one may have.
const MAX_WATCH_PATHS: usize = 50;
const MAX_PATTERN: usize = 200;

fn check_watch_paths(patterns: Vec<String>) -> Result<Vec<String>> {
    let is_fine = |pattern: &String| {
        let length = pattern.chars().count();
        (1..=MAX_PATTERN).contains(&length) && !pattern.chars().any(char::is_control)
    };
    if patterns.len() > MAX_WATCH_PATHS || !patterns.iter().all(is_fine) {
        return Err(Error::invalid_field(
            "watch_paths",
            "must be at most 50 patterns of 1 to 200 characters each",
        ));
    }
    crate::app::push::watcher(&patterns).map_err(|problem| {
        Error::invalid_field("watch_paths", format!("holds no valid pattern: {problem}"))
    })?;
    Ok(patterns)
}

fn default_branch() -> BranchName {
    "main".parse().expect("main is a branch name")
}

fn github_url(github: &str, full_name: &str) -> Result<RepoUrl> {
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
            let url = format!("{github}/{owner}/{name}.git");
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
        deploy_key_public: connection.deploy_key_public,
        has_access_token: connection.access_token.is_some(),
        installation_id: connection.installation_id,
        watch_paths: connection.watch_paths,
        repo_full_name: connection.repo_full_name,
        repo_url: connection.repo_url,
        branch: connection.branch,
        auto_deploy: connection.auto_deploy,
        root_directory: connection.root_directory,
        dockerfile_path: connection.dockerfile_path,
        provider: connection.provider,
        previews: connection.previews,
        preview_limit: connection.preview_limit,
        last_commit_status: connection.last_report.map(|report| CommitReportView {
            reported_at: report.at,
            error: report.error,
        }),
        created_at: connection.created_at,
    }
}

//! `git push` to this server: what a push leads to once Git has taken it.

use tose_api::deployment::{CommitView, DeploymentView, Trigger};
use tose_api::project::Source;
use tose_api::{BranchName, DeploymentId, ProjectId};
use tose_logs::{FollowFrom, Follower, StreamId};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::deployment::Deployment;
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_store::GitConnection;

use crate::app::Platform;
use crate::app::deployment::Recipe;
use crate::build::hosted::{self, Branch, Hosted};

/// Where the repositories lie in the data directory.
pub(crate) const FOLDER: &str = "git";

/// What a push did to the branch that is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// The branch.
    pub(crate) branch: String,
    /// The commit that it was at.
    pub(crate) before: Option<String>,
    /// The commit that it is at.
    pub(crate) after: String,
}

impl Platform {
    /// The repository of a project.
    pub(crate) fn hosted(&self, project: &Project) -> Hosted {
        Hosted::of(&self.config.data_path(FOLDER), project.id)
    }

    /// The repository that a push goes to, made if need be.
    ///
    /// # Errors
    /// `Conflict` for a project that runs an image.
    pub(crate) async fn open_hosted(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<(Project, Hosted)> {
        let project = self.find_project(access, slug).await?;
        if project.source != Source::Git {
            return Err(Error::conflict(
                "not_git",
                "this project runs an image; set its source to git (PUT with {\"source\": \"git\"}) and push again",
            ));
        }
        let hosted = self.hosted(&project);
        hosted.ensure().await.map_err(git_broke)?;
        Ok((project, hosted))
    }

    /// What changed on the branch that is deployed: the one that the connection names, else the first
    /// that was ever pushed.
    pub(crate) async fn find_pushed(
        &self,
        access: &Access,
        project: &Project,
        hosted: &Hosted,
        before: &[Branch],
    ) -> Result<Option<Pushed>> {
        let after = hosted.branches().await.map_err(git_broke)?;
        let connection = self
            .store
            .find_git_connection(access.scope(), project.id)
            .await?;
        let mut wanted = match connection {
            Some(connection) => connection.branch.to_string(),
            None => hosted.default_branch().await.map_err(git_broke)?,
        };
        if before.is_empty() && !after.iter().any(|branch| branch.name == wanted) {
            let usual = |branch: &&Branch| matches!(branch.name.as_str(), "main" | "master");
            if let Some(first) = after.iter().find(usual).or(after.first()) {
                wanted.clone_from(&first.name);
            }
        }
        hosted
            .set_default_branch(&wanted)
            .await
            .map_err(git_broke)?;
        let at = |branches: &[Branch]| {
            let found = branches.iter().find(|branch| branch.name == wanted);
            found.map(|branch| branch.sha.clone())
        };
        let (before, after) = (at(before), at(&after));
        Ok(after
            .filter(|after| Some(after) != before.as_ref())
            .map(|after| Pushed {
                branch: wanted,
                before,
                after,
            }))
    }

    /// Deploys what was pushed.
    pub(crate) async fn deploy_pushed(
        &self,
        access: &Access,
        project: &Project,
        hosted: &Hosted,
        pushed: &Pushed,
    ) -> Result<DeploymentView> {
        let commit: CommitView = hosted.commit(&pushed.after).await.map_err(git_broke)?;
        let branch: BranchName = pushed.branch.parse().map_err(|_| {
            Error::invalid_field(
                "branch",
                "the branch's name cannot be deployed; choose another",
            )
        })?;
        let recipe = Recipe {
            commit: Some(commit),
            branch: Some(branch),
            ..Recipe::new(Trigger::GitPush)
        };
        self.queue(access, project, recipe, "deployment.git_push")
            .await
    }

    /// Where a deployment is built from: what was pushed here if a push asked for it or nothing else is
    /// connected, else the connected repository.
    pub(crate) async fn find_source(
        &self,
        scope: &WorkspaceScope,
        project: &Project,
        deployment: &Deployment,
    ) -> Result<Option<GitConnection>> {
        let connected = self
            .store
            .find_git_connection(scope, project.connected_id())
            .await?;
        let hosted = self.hosted(project);
        let is_pushed = deployment.trigger == Trigger::GitPush || connected.is_none();
        if !is_pushed || !hosted.has_branches() {
            return Ok(connected);
        }
        let branch = hosted.default_branch().await.map_err(git_broke)?;
        let unusable = |_| {
            Error::internal(
                "what was pushed cannot be built",
                "the data directory's path, or the branch's name, has characters that Git's addresses cannot have",
            )
        };
        let (root_directory, dockerfile_path) = connected
            .map(|connection| (connection.root_directory, connection.dockerfile_path))
            .unwrap_or_default();
        Ok(Some(GitConnection {
            repo_full_name: None,
            repo_url: hosted.url().parse().map_err(unusable)?,
            branch: branch.parse().map_err(unusable)?,
            auto_deploy: true,
            root_directory,
            dockerfile_path,
            deploy_key: None,
            deploy_key_public: None,
            access_token: None,
            installation_id: None,
            webhook_secret: None,
            watch_paths: Vec::new(),
            provider: None,
            previews: false,
            preview_limit: 0,
            last_report: None,
            created_at: project.created_at,
        }))
    }

    /// Removes what was pushed to a project.
    pub(crate) fn remove_hosted(&self, project_id: ProjectId) -> Result<()> {
        let folder = self.config.data_path(FOLDER);
        Hosted::of(&folder, project_id).remove().map_err(git_broke)
    }

    /// Removes what was pushed to projects that the store does not know.
    pub(crate) async fn sweep_hosted(&self) -> Result<()> {
        let folder = self.config.data_path(FOLDER);
        for id in hosted::list(&folder) {
            if self.store.find_project_ref_for_task(id).await?.is_none() {
                tracing::info!(project_id = %id, "removing a repository: no project owns it");
                self.remove_hosted(id)?;
            }
        }
        Ok(())
    }

    /// A reader of a deployment's log, from its first line.
    pub(crate) fn follow_build(&self, id: DeploymentId) -> Follower {
        self.logs.follow(StreamId::Build(id), FollowFrom::Start)
    }
}

fn git_broke(error: std::io::Error) -> Error {
    Error::internal("git failed on a repository that lives here", error)
}

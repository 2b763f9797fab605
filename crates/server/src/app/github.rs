//! Installations of the server's GitHub App: a workspace proves one, and its projects read repositories
//! through it.
//!
//! Whoever asks gets a link with a state; GitHub brings that back to the callback together with a code by which
//! the server asks GitHub what that person may use. The callback itself changes nothing: its page names the
//! workspace and the account, and its button binds them. So nobody binds an installation by being sent a link.
//!
//! Guarantees: a workspace uses an installation only after somebody who may use it at GitHub agreed, and of it
//! only the repositories that this person could read; a state works once, within ten minutes, for the workspace
//! it was made for and while who asked for it is an admin there.

use std::net::IpAddr;
use std::time::Duration;

use tose_api::RepoUrl;
use tose_api::envelope::{Meta, Paging};
use tose_api::event::Via;
use tose_api::github::{
    ConnectGithub, GithubConnectView, GithubInstallationView, GithubRepositoryView,
};
use tose_api::workspace::{Deleted, Role};
use tose_model::access::{Access, Actor, WorkspaceScope};
use tose_model::commit_status::full_name_below;
use tose_model::error::{Error, Result};
use tose_model::secret::{ExposeSecret, SecretString};
use tose_store::{GithubFound, GithubState, NewGithubState};

use crate::app::Platform;
use crate::git_api::Answer;
use crate::github_app::GithubApp;
use crate::secrets;

/// How long a link works, and the page that it leads to.
const STATE_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// What GitHub brings back.
#[derive(Default)]
pub(crate) struct GithubCallback {
    pub(crate) state: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) installation_id: Option<u64>,
}

/// What somebody is asked to agree to.
pub(crate) struct GithubOffer {
    /// Brings their consent; works once.
    pub(crate) token: SecretString,
    pub(crate) workspace: String,
    /// Who asked for the link.
    pub(crate) asked_by: String,
    pub(crate) found: GithubFound,
}

/// Why a token of an installation is not there.
pub(crate) enum NoToken {
    /// Somebody has to connect something.
    Missing(String),
    /// GitHub gave none.
    Refused(Answer),
    /// A fault of ours.
    Broken(Error),
}

impl Platform {
    /// Begins a proof.
    pub(crate) async fn connect_github(
        &self,
        access: &Access,
        input: ConnectGithub,
    ) -> Result<GithubConnectView> {
        let app = self.github_app()?;
        let user_id = access
            .actor()
            .user_id
            .ok_or_else(|| Error::Forbidden("only an account can connect GitHub".to_owned()))?;
        let now = self.now();
        let expires_at = now.saturating_add(STATE_LIFETIME);
        let state = secrets::fresh_token(self.ids.as_ref());
        let new = NewGithubState {
            token_hash: secrets::hash_api_key(state.expose_secret()),
            user_id,
            installation_id: input.installation_id,
            found: None,
            expires_at,
        };
        self.store
            .create_github_state(access.scope(), &new, now)
            .await?;
        Ok(GithubConnectView {
            install_url: app.install_url(input.installation_id, &state),
            state: state.expose_secret().to_owned(),
            created_at: now,
            expires_at,
        })
    }

    /// Asks GitHub what the person who came from there may use.
    ///
    /// # Errors
    /// When the state is not good any more, or GitHub does not show them the installation.
    pub(crate) async fn check_github(&self, input: GithubCallback) -> Result<GithubOffer> {
        let app = self.github_app()?;
        let state = self.take_github_state(input.state.as_deref()).await?;
        if state.found.is_some() {
            return Err(bad_state());
        }
        let code = input.code.ok_or_else(|| {
            Error::invalid_field(
                "code",
                "GitHub sent none: an owner of the organisation may have to agree first, or the app does not ask for authorization during installation",
            )
        })?;
        let id = match (state.installation_id, input.installation_id) {
            (Some(asked), Some(named)) if asked != named => None,
            (asked, named) => asked.or(named),
        };
        let id = id.ok_or_else(|| {
            Error::invalid_field("installation_id", "is not the one that was asked for")
        })?;
        let found = app.find(&self.git_api, &code, id).await?.ok_or_else(|| {
            Error::Forbidden(format!(
                "GitHub does not show installation {id} to this account; log in at GitHub as somebody who may use it"
            ))
        })?;
        let token = secrets::fresh_token(self.ids.as_ref());
        let now = self.now();
        let new = NewGithubState {
            token_hash: secrets::hash_api_key(token.expose_secret()),
            user_id: state.user_id,
            installation_id: None,
            found: Some(&found),
            expires_at: now.saturating_add(STATE_LIFETIME),
        };
        self.store
            .create_github_state(&state.membership.scope(), &new, now)
            .await?;
        Ok(GithubOffer {
            token,
            workspace: state.membership.workspace.to_string(),
            asked_by: state.email,
            found,
        })
    }

    /// Binds what was offered; the workspace, and the account at GitHub.
    pub(crate) async fn accept_github(
        &self,
        token: Option<&str>,
        ip: Option<IpAddr>,
    ) -> Result<(String, String)> {
        self.github_app()?;
        let state = self.take_github_state(token).await?;
        let found = state.found.ok_or_else(bad_state)?;
        let actor = Actor {
            user_id: Some(state.user_id),
            name: state.email,
            via: Via::Session,
            ip,
            idempotency: None,
        };
        let event = self.event_by(actor, "github.connect", found.installation_id);
        self.store
            .put_github_installation(&state.membership.scope(), &found, &event)
            .await?;
        Ok((state.membership.workspace.to_string(), found.account))
    }

    async fn take_github_state(&self, token: Option<&str>) -> Result<GithubState> {
        let token = token.filter(|token| secrets::is_token_shaped(token));
        let hash = secrets::hash_api_key(token.ok_or_else(bad_state)?);
        let state = self.store.take_github_state(&hash, self.now()).await?;
        state
            .filter(|state| state.membership.role >= Role::Admin)
            .ok_or_else(bad_state)
    }

    pub(crate) async fn list_github_installations(
        &self,
        access: &Access,
    ) -> Result<Vec<GithubInstallationView>> {
        Ok(self.store.list_github_installations(access.scope()).await?)
    }

    pub(crate) async fn delete_github_installation(
        &self,
        access: &Access,
        id: &str,
    ) -> Result<Deleted> {
        let number = parse_id(id)?;
        let event = self.event(access, "github.disconnect", number);
        self.store
            .delete_github_installation(access.scope(), number, &event)
            .await?;
        if let Some(app) = &self.github {
            app.forget(number);
        }
        Ok(Deleted {
            deleted: number.to_string(),
        })
    }

    pub(crate) async fn list_github_repositories(
        &self,
        access: &Access,
        id: &str,
        paging: Paging,
    ) -> Result<(Vec<GithubRepositoryView>, Meta)> {
        let (repositories, total) = self
            .store
            .list_github_repositories(access.scope(), parse_id(id)?, paging)
            .await?;
        Ok((repositories, paging.meta(total)))
    }

    /// The app says that an installation is gone: no workspace has it any more.
    pub(super) async fn drop_github_installation(&self, id: u64, ip: Option<IpAddr>) -> Result<()> {
        for membership in self.store.list_github_workspaces_for_task(id).await? {
            let access = Access::for_push(membership, ip);
            let event = self.event(&access, "github.removed", id);
            let done = self
                .store
                .delete_github_installation(access.scope(), id, &event)
                .await;
            match done {
                Ok(()) | Err(tose_store::Error::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(app) = &self.github {
            app.forget(id);
        }
        Ok(())
    }

    /// Checks that the workspace may read a repository through an installation.
    ///
    /// # Errors
    /// The same for an installation that nobody has and for one of another workspace.
    pub(super) async fn check_github_repository(
        &self,
        scope: &WorkspaceScope,
        id: u64,
        url: &RepoUrl,
    ) -> Result<()> {
        let app = self.github.as_ref().ok_or_else(|| {
            Error::invalid_field("installation_id", "this server has no GitHub App; leave it out for a public repository, or send repo_url with a deploy_key")
        })?;
        let bound = self.store.list_github_installations(scope).await?;
        if !bound.iter().any(|installation| installation.id == id) {
            return Err(Error::invalid_field(
                "installation_id",
                "is no installation that this workspace has connected; POST …/github/installations connects one",
            ));
        }
        match self.find_github_repository(app, scope, id, url).await? {
            Some(_) => Ok(()),
            None => Err(Error::invalid_field(
                "repo_url",
                "is no repository that could be read through this installation when it was connected; give the app access to it, then connect the installation again",
            )),
        }
    }

    async fn find_github_repository(
        &self,
        app: &GithubApp,
        scope: &WorkspaceScope,
        id: u64,
        url: &RepoUrl,
    ) -> Result<Option<GithubRepositoryView>> {
        let Some(name) = full_name_below(url, &app.config.repositories_url()) else {
            return Ok(None);
        };
        Ok(self.store.find_github_repository(scope, id, name).await?)
    }

    /// A token for a repository of an installation that the workspace has connected.
    pub(crate) async fn github_token(
        &self,
        scope: &WorkspaceScope,
        id: u64,
        url: &RepoUrl,
    ) -> std::result::Result<SecretString, NoToken> {
        let missing = |what: &str| {
            NoToken::Missing(format!(
                "{what}; connect it with `tose github connect --installation {id}`, or connect the repository in another way"
            ))
        };
        let app = self.github.as_ref().ok_or_else(|| {
            NoToken::Missing("this server has no GitHub App any more; connect the repository with an access_token or a deploy key".to_owned())
        })?;
        let found = self.find_github_repository(app, scope, id, url).await;
        let Some(repository) = found.map_err(NoToken::Broken)? else {
            let text = format!(
                "{url} cannot be read through GitHub installation {id}, which this workspace has not connected, or not with this repository"
            );
            return Err(missing(&text));
        };
        let minted = app.token(&self.git_api, id, repository.id, self.now());
        minted.await.map_err(|answer| match answer {
            // The installation is gone, or the repository is none of its any more.
            Answer::Refused(403 | 404 | 422) => missing(&format!(
                "GitHub does not let its App read {url} through installation {id}"
            )),
            answer => NoToken::Refused(answer),
        })
    }

    fn github_app(&self) -> Result<&GithubApp> {
        self.github.as_ref().ok_or_else(|| {
            Error::conflict(
                "no_github_app",
                "this server has no GitHub App; its operator can give it one, see [github_app] in the configuration",
            )
        })
    }
}

/// One error for every reason: what was wrong with it is nobody's business who has no good one.
fn bad_state() -> Error {
    Error::invalid_field(
        "state",
        "this link was used, is too old, or is none of this server's; ask for another one with `tose github connect`",
    )
}

fn parse_id(id: &str) -> Result<u64> {
    id.parse()
        .map_err(|_| Error::NotFound("GitHub installation"))
}

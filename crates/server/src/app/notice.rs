//! What happens in a workspace, put into the outbox for those who want to know.
//!
//! Guarantee: what was noted is told, also when the server is killed meanwhile. Whoever notes the same thing twice (by
//! its key) changes nothing.
//! Not here: channels and rules (`notification.rs`), and sending (`tasks/notices.rs`).

use std::time::Duration;

use reqwest::Url;
use tose_api::deployment::Trigger;
use tose_api::notification::{ChannelKind, NoticeEvent};
use tose_api::{NoticeId, ProjectId, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::deployment::Deployment;
use tose_model::deployment::state::Event;
use tose_model::error::{Error, Result};
use tose_model::notice::{MAX_TEXT, MAX_TITLE, Outlet, shortened, visible};
use tose_model::secret::SecretString;
use tose_store::{Notice, NotificationChannel};

use crate::app::Platform;
use crate::notice::Way;

/// How long after a message to an outlet the next one comes at the earliest: what happens meanwhile comes together.
pub(crate) const PACE: Duration = Duration::from_secs(10);

/// Something that people may want to know.
#[derive(Debug, Clone)]
pub(crate) struct NewNotice {
    /// The workspace.
    pub(crate) workspace_id: WorkspaceId,
    /// The project, if it is of one.
    pub(crate) project_id: Option<ProjectId>,
    /// What kind of event it is.
    pub(crate) event: NoticeEvent,
    /// What makes two notices of the workspace the same one, such as `deploy/ID`. It is told of once.
    pub(crate) key: String,
    /// What happened, in a line that names workspace and project.
    pub(crate) title: String,
    /// What else there is to say; may be empty.
    pub(crate) text: String,
}

impl Platform {
    /// Has those told who want to know. It is tried later if nobody can be reached now; a store that fails is reported
    /// to the operator only, so that nothing else stops for it.
    pub(crate) async fn notify(&self, notice: NewNotice) {
        self.notify_also(notice, &[]).await;
    }

    /// The same, and tells these besides.
    pub(crate) async fn notify_also(&self, notice: NewNotice, outlets: &[Outlet]) {
        let workspace_id = Some(notice.workspace_id);
        let noted = self.note(workspace_id, notice.project_id, notice, outlets);
        if let Err(error) = noted.await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "an event could not be noted for notifications"
            );
        }
    }

    /// Tells of a deployment that failed, and of the first one after it that is live. Nothing waits for it.
    pub(crate) async fn tell_of_deployment(
        &self,
        scope: &WorkspaceScope,
        deployment: &Deployment,
        event: Event,
        error: Option<&str>,
    ) {
        match self
            .deployment_notice(scope, deployment, event, error)
            .await
        {
            Ok(Some(notice)) => self.notify(notice).await,
            Ok(None) => {}
            Err(error) => tracing::error!(
                deployment_id = %deployment.id,
                error = &error as &dyn std::error::Error,
                "a deployment could not be told of"
            ),
        }
    }

    async fn deployment_notice(
        &self,
        scope: &WorkspaceScope,
        deployment: &Deployment,
        event: Event,
        error: Option<&str>,
    ) -> Result<Option<NewNotice>> {
        let (event, word) = match event {
            Event::Failure => (NoticeEvent::DeployFailed, "a deployment failed"),
            Event::Promoted if deployment.trigger == Trigger::AutoRollback => (
                NoticeEvent::DeployFailed,
                "a version that went live did worse than the one before, which is live again",
            ),
            Event::Promoted if self.store.follows_failure(scope, deployment).await? => (
                NoticeEvent::DeployRecovered,
                "a deployment is live again after one that failed",
            ),
            _ => return Ok(None),
        };
        let id = deployment.project_id;
        let Some((project, _)) = self.store.find_project(scope, id).await? else {
            return Ok(None);
        };
        let commit = deployment.commit.as_ref().map(|commit| {
            let short: String = commit.sha.chars().take(8).collect();
            format!("Commit {short}.")
        });
        let lines: Vec<String> = error.map(str::to_owned).into_iter().chain(commit).collect();
        Ok(Some(NewNotice {
            workspace_id: scope.id(),
            project_id: Some(id),
            event,
            key: format!("{}/{}", event.as_str(), deployment.id),
            title: format!("{}/{}: {word}", project.workspace, project.slug),
            text: lines.join("\n"),
        }))
    }

    /// Has operators told by mail of what is of no workspace.
    pub(crate) async fn notify_operators(
        &self,
        event: NoticeEvent,
        key: String,
        title: String,
        text: String,
    ) -> Result<()> {
        if !self.mailer.is_on() || self.store.is_noted(None, &key).await? {
            return Ok(());
        }
        let operators = self.store.list_operator_emails_for_task().await?;
        let outlets: Vec<Outlet> = operators.into_iter().map(Outlet::Mail).collect();
        let notice = self.new_notice(None, None, (event, key, &title, &text));
        self.put(&notice, &outlets).await
    }

    async fn note(
        &self,
        workspace_id: Option<WorkspaceId>,
        project_id: Option<ProjectId>,
        new: NewNotice,
        outlets: &[Outlet],
    ) -> Result<()> {
        if self.store.is_noted(workspace_id, &new.key).await? {
            return Ok(());
        }
        let what = (new.event, new.key, new.title.as_str(), new.text.as_str());
        let notice = self.new_notice(workspace_id, project_id, what);
        self.put(&notice, outlets).await
    }

    /// The notice of something in a workspace, for who notes it together with what it tells of.
    pub(crate) fn draft_notice(&self, new: &NewNotice) -> Notice {
        let what = (
            new.event,
            new.key.clone(),
            new.title.as_str(),
            new.text.as_str(),
        );
        self.new_notice(Some(new.workspace_id), new.project_id, what)
    }

    fn new_notice(
        &self,
        workspace_id: Option<WorkspaceId>,
        project_id: Option<ProjectId>,
        (event, key, title, text): (NoticeEvent, String, &str, &str),
    ) -> Notice {
        Notice {
            id: NoticeId::from_uuid(self.ids.uuid()),
            workspace_id,
            project_id,
            event,
            key,
            title: shortened(&visible(title), MAX_TITLE),
            text: shortened(text, MAX_TEXT),
            at: self.now(),
        }
    }

    async fn put(&self, notice: &Notice, outlets: &[Outlet]) -> Result<()> {
        if self.store.note_notice(notice, outlets, PACE).await? {
            self.signals.notices();
        }
        Ok(())
    }

    /// The way to a channel, whether it is switched on or not.
    pub(crate) fn way_of(&self, channel: &NotificationChannel) -> Result<Way> {
        let secrets = self.open_channel_secrets(channel)?;
        let url = || parse(secrets.url.as_deref().unwrap_or_default());
        Ok(match channel.kind {
            ChannelKind::Email => Way::Mail(channel.target.clone()),
            ChannelKind::Discord => Way::Discord(url()?),
            ChannelKind::Slack => Way::Slack(url()?),
            ChannelKind::Telegram => {
                let api = &self.config.notifications.telegram_api;
                let token = secrets.bot_token.unwrap_or_default();
                let url = parse(&format!("{api}/bot{token}/sendMessage"))?;
                Way::Telegram(url, channel.target.clone())
            }
            ChannelKind::Webhook => {
                let secret = SecretString::from(secrets.secret.clone().unwrap_or_default());
                Way::Webhook(url()?, secret)
            }
        })
    }
}

/// Reads an address that was checked when it was set.
pub(crate) fn parse(text: &str) -> Result<Url> {
    text.parse()
        .map_err(|error| Error::internal("the address of a channel is broken", error))
}

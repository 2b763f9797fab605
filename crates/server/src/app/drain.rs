//! Log drains: which outside services get a project's lines.

use std::time::Duration;

use tose_api::drain::{DrainState, DrainStatus, DrainTest, DrainView, SetDrain};
use tose_api::log::LogSource;
use tose_api::workspace::Deleted;
use tose_api::{DrainId, ProjectId, WorkspaceId};
use tose_logs::StreamId;
use tose_model::access::Access;
use tose_model::drain::{DrainLine, Origin};
use tose_model::error::{Error, Result};
use tose_model::log::LogLine;
use tose_model::project::Project;
use tose_model::secret::{ExposeSecret, SecretString};
use tose_store::{Drain, DrainSettings};

use crate::app::{PLATFORM_POD, Platform, vault_error};
use crate::drain::{Address, Receiver, Secrets};
use crate::outgoing::Unreachable;
use crate::secrets::Place;

/// The most drains of a project.
const MOST: u32 = 5;
/// The most headers of a drain.
const MOST_HEADERS: usize = 10;
/// The most characters of a token, or of a header's value.
const MAX_SECRET: usize = 4096;
/// The most characters of a header's name.
const MAX_HEADER_NAME: usize = 100;
/// How long the answer to a test line is waited for.
const TEST_PATIENCE: Duration = Duration::from_secs(20);

impl Platform {
    pub(crate) async fn list_drains(&self, access: &Access, slug: &str) -> Result<Vec<DrainView>> {
        let project = self.find_project(access, slug).await?;
        let drains = self.store.list_drains(access.scope(), project.id).await?;
        let last = match drains.is_empty() {
            true => 0,
            false => self.last_line(project.id).await?,
        };
        Ok(drains.into_iter().map(|drain| view(drain, last)).collect())
    }

    /// Forwards what is logged from now on.
    pub(crate) async fn create_drain(
        &self,
        access: &Access,
        slug: &str,
        input: SetDrain,
    ) -> Result<DrainView> {
        let project = self.find_project(access, slug).await?;
        let id = DrainId::from_uuid(self.ids.uuid());
        let settings = self
            .drain_settings(project.workspace_id, id, input, None)
            .await?;
        let now = self.now();
        let drain = Drain {
            id,
            workspace_id: project.workspace_id,
            project_id: project.id,
            settings,
            revision: 1,
            position: self.last_line(project.id).await?,
            state: DrainState::Ok,
            last_error: None,
            refused_since: None,
            last_delivered_at: None,
            delivered_lines: 0,
            dropped_lines: 0,
            created_at: now,
            updated_at: now,
        };
        let event = self.event(access, "drain.create", target(&project, &drain));
        let made = self
            .store
            .create_drain(access.scope(), &drain, MOST, &event)
            .await;
        if let Err(tose_store::Error::Conflict(_)) = made {
            let text = format!("a project has at most {MOST} drains; remove one first");
            return Err(Error::conflict("too_many_drains", text));
        }
        made?;
        self.signals.drains();
        self.drain_view(access, &project, id).await
    }

    /// Puts other settings in place of those that there are. It goes on where it stands.
    pub(crate) async fn update_drain(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
        input: SetDrain,
    ) -> Result<DrainView> {
        let (project, mut drain) = self.find_drain(access, slug, id).await?;
        drain.settings = self
            .drain_settings(project.workspace_id, drain.id, input, Some(&drain))
            .await?;
        drain.updated_at = self.now();
        let event = self.event(access, "drain.update", target(&project, &drain));
        self.store
            .update_drain(access.scope(), &drain, &event)
            .await?;
        self.signals.drains();
        self.drain_view(access, &project, drain.id).await
    }

    pub(crate) async fn delete_drain(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<Deleted> {
        let (project, drain) = self.find_drain(access, slug, id).await?;
        let event = self.event(access, "drain.delete", target(&project, &drain));
        self.store
            .delete_drain(access.scope(), project.id, drain.id, &event)
            .await?;
        self.signals.drains();
        Ok(Deleted {
            deleted: drain.id.to_string(),
        })
    }

    /// Sends one line now. If it is taken, a paused drain is set going again.
    pub(crate) async fn test_drain(
        &self,
        access: &Access,
        slug: &str,
        id: &str,
    ) -> Result<DrainTest> {
        let (project, drain) = self.find_drain(access, slug, id).await?;
        let event = self.event(access, "drain.test", target(&project, &drain));
        self.store.add_event(access.scope(), &event).await?;
        let origin = Origin {
            workspace: access.workspace().clone(),
            project: project.slug.clone(),
        };
        let mut receiver = self.open_receiver(&drain)?;
        let line = DrainLine {
            seq: 0,
            level: None,
            line: self.drain_note(format!("a test of the drain {}", drain.settings.name)),
        };
        let batch = receiver.batch(&origin, vec![line]).await?;
        let sending = receiver.deliver(&self.outgoing, &batch, self.now());
        let (taken, said) = match tokio::time::timeout(TEST_PATIENCE, sending).await {
            Err(_) => (false, Unreachable::Silent.to_string()),
            Ok(Err(failure)) => (false, failure.problem),
            Ok(Ok(said)) => (true, said),
        };
        if taken && drain.state == DrainState::Paused {
            self.store.resume_drain(access.scope(), drain.id).await?;
            self.signals.drains();
        }
        Ok(DrainTest { taken, said })
    }

    /// A line of the platform's own for a drain.
    pub(crate) fn drain_note(&self, text: String) -> LogLine {
        LogLine {
            time: self.now(),
            source: LogSource::System,
            pod: PLATFORM_POD.into(),
            text: text.into_bytes(),
        }
    }

    /// The service of a drain, with what opens it.
    pub(crate) fn open_receiver(&self, drain: &Drain) -> Result<Receiver> {
        let settings = &drain.settings;
        let broken = |problem: &str| Error::internal("a drain's settings are broken", problem);
        let address = Address::parse(settings.kind, &settings.url).map_err(broken)?;
        let secrets = self.open_drain_secrets(drain)?;
        Receiver::new(address, secrets).map_err(|(_, problem)| broken(problem))
    }

    fn open_drain_secrets(&self, drain: &Drain) -> Result<Secrets> {
        let Some(sealed) = &drain.settings.secrets else {
            return Ok(Secrets::default());
        };
        let place = place(drain.workspace_id, drain.id);
        let opened = self.vault.open(place, sealed).map_err(vault_error)?;
        serde_json::from_str(opened.expose_secret())
            .map_err(|error| Error::internal("a drain's secrets are broken", error))
    }

    /// Checks what somebody wants of a drain; secrets that are not sent stay as they are in `old`.
    async fn drain_settings(
        &self,
        workspace_id: WorkspaceId,
        id: DrainId,
        input: SetDrain,
        old: Option<&Drain>,
    ) -> Result<DrainSettings> {
        let refuse_url = |problem: String| Error::invalid_field("url", problem);
        let address = Address::parse(input.kind, &input.url)
            .map_err(|problem| refuse_url(problem.to_owned()))?;
        let secrets = self.merge_secrets(&address, input.token, input.headers, old)?;
        if !secrets.is_empty() && !address.is_secure() && !self.outgoing.allows_private() {
            let text = "must be https:// or syslog+tls:// when a token or headers go along: nobody may read them on the way";
            return Err(refuse_url(text.to_owned()));
        }
        let checked = self.outgoing.check(address.host(), address.port()).await;
        // A name may be there later.
        if let Err(problem @ Unreachable::NotPublic) = checked {
            return Err(refuse_url(format!("cannot be used: {problem}")));
        }
        let has_token = secrets.token.is_some();
        let headers = secrets.headers.keys().cloned().collect();
        let sealed = match secrets.is_empty() {
            true => None,
            false => {
                let text = serde_json::to_string(&secrets)
                    .map(SecretString::from)
                    .map_err(|error| Error::internal("a drain's secrets cannot be kept", error))?;
                let place = place(workspace_id, id);
                let ids = self.ids.as_ref();
                Some(self.vault.seal(place, text.expose_secret(), ids))
            }
        };
        Receiver::new(address, secrets)
            .map_err(|(field, problem)| Error::invalid_field(field, problem))?;
        Ok(DrainSettings {
            name: input.name,
            kind: input.kind,
            url: input.url,
            secrets: sealed,
            has_token,
            headers,
            is_enabled: input.enabled.unwrap_or(true),
        })
    }

    /// What opens the service at `address`. What was kept for one service is not sent to another one.
    fn merge_secrets(
        &self,
        address: &Address,
        token: Option<String>,
        headers: Option<std::collections::BTreeMap<String, String>>,
        old: Option<&Drain>,
    ) -> Result<Secrets> {
        let kept = match old {
            Some(drain) => self.open_drain_secrets(drain)?,
            None => Secrets::default(),
        };
        let keeps_token = token.is_none() && kept.token.is_some();
        let keeps_headers = headers.is_none() && !kept.headers.is_empty();
        if keeps_token || keeps_headers {
            let before = old.map(|drain| Address::parse(drain.settings.kind, &drain.settings.url));
            if !matches!(before, Some(Ok(before)) if before.is_same_service(address)) {
                let field = if keeps_token { "token" } else { "headers" };
                let problem = "must be sent again, because the address leads to another service";
                return Err(Error::invalid_field(field, problem));
            }
        }
        let secrets = Secrets {
            token: token.or(kept.token).filter(|token| !token.is_empty()),
            headers: headers.unwrap_or(kept.headers),
        };
        check_sizes(&secrets)?;
        Ok(secrets)
    }

    async fn find_drain(&self, access: &Access, slug: &str, id: &str) -> Result<(Project, Drain)> {
        let project = self.find_project(access, slug).await?;
        let id: DrainId = id.parse().map_err(|_| Error::NotFound("drain"))?;
        let drain = self.store.get_drain(access.scope(), project.id, id).await?;
        Ok((project, drain))
    }

    async fn drain_view(
        &self,
        access: &Access,
        project: &Project,
        id: DrainId,
    ) -> Result<DrainView> {
        let drain = self.store.get_drain(access.scope(), project.id, id).await?;
        Ok(view(drain, self.last_line(project.id).await?))
    }

    /// The number of the last line in a project's log; 0 if there is none.
    async fn last_line(&self, project_id: ProjectId) -> Result<u64> {
        let last = self.logs.tail(StreamId::Project(project_id), 1).await;
        let last = last.map_err(crate::app::log::log_error)?;
        Ok(last.last().map_or(0, |record| record.seq))
    }
}

fn place(workspace_id: WorkspaceId, drain_id: DrainId) -> Place<'static> {
    Place::DrainSecrets {
        workspace_id,
        drain_id,
    }
}

fn target(project: &Project, drain: &Drain) -> String {
    format!("{}/{}", project.slug, drain.settings.name)
}

fn check_sizes(secrets: &Secrets) -> Result<()> {
    let is_secret = |text: &String| {
        let is_visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        text.len() <= MAX_SECRET && text.trim() == text && text.bytes().all(is_visible)
    };
    let problem = "must have at most 4096 visible characters";
    if !secrets.token.iter().all(is_secret) {
        return Err(Error::invalid_field("token", problem));
    }
    if !secrets.headers.values().all(is_secret) {
        return Err(Error::invalid_field("headers", problem));
    }
    let is_name = |name: &String| name.len() <= MAX_HEADER_NAME;
    if secrets.headers.len() > MOST_HEADERS || !secrets.headers.keys().all(is_name) {
        let problem = "must be ten at most, with names of at most 100 characters";
        return Err(Error::invalid_field("headers", problem));
    }
    Ok(())
}

fn view(drain: Drain, last_line: u64) -> DrainView {
    DrainView {
        id: drain.id,
        name: drain.settings.name,
        kind: drain.settings.kind,
        url: drain.settings.url,
        has_token: drain.settings.has_token,
        headers: drain.settings.headers,
        enabled: drain.settings.is_enabled,
        status: DrainStatus {
            state: drain.state,
            last_error: drain.last_error,
            last_delivered_at: drain.last_delivered_at,
            delivered_lines: drain.delivered_lines,
            dropped_lines: drain.dropped_lines,
            lag_lines: last_line.saturating_sub(drain.position),
        },
        created_at: drain.created_at,
        updated_at: drain.updated_at,
    }
}

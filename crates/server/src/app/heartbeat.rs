//! Heartbeats: an address that a job calls when it has done its work, so that its absence is noticed.
//!
//! Not here: what follows from one that is missing (`tasks/uptime.rs`).

use std::net::IpAddr;

use tose_api::uptime::{HeartbeatReceived, HeartbeatUrl, MonitorKind};
use tose_model::access::Access;
use tose_model::error::{Error, Result};
use tose_model::secret::ExposeSecret;

use crate::app::{Beat, Platform, UptimeCall};
use crate::secrets;

/// What a job says of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Done,
    Failed,
}

impl Platform {
    /// Makes the address that a project's job calls, in place of the one there is. It is in this answer only.
    ///
    /// # Errors
    /// `Conflict` when the project's monitor waits for no heartbeats.
    pub(crate) async fn create_heartbeat(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<HeartbeatUrl> {
        let project = self.find_project(access, slug).await?;
        let monitor = self.monitor(access, &project).await?;
        if monitor.settings.kind != MonitorKind::Heartbeat {
            return Err(Error::conflict(
                "not_heartbeat",
                "the monitor waits for no heartbeats; set its kind to heartbeat first",
            ));
        }
        let token = secrets::fresh_token(self.ids.as_ref());
        let hash = secrets::hash_api_key(token.expose_secret());
        let event = self.event(access, "heartbeat.create", &project.slug);
        self.store
            .set_heartbeat_token(access.scope(), project.id, &hash, &event)
            .await?;
        let path = format!("/api/heartbeats/{}", token.expose_secret());
        Ok(HeartbeatUrl {
            url: self.config.public_address(&path),
        })
    }

    /// Takes a heartbeat.
    ///
    /// # Errors
    /// `NotFound` for a token that nobody has.
    pub(crate) async fn take_heartbeat(
        &self,
        token: &str,
        work: Work,
        ip: Option<IpAddr>,
    ) -> Result<HeartbeatReceived> {
        let hash = secrets::hash_api_key(token);
        let Some(project_id) = self.store.find_heartbeat(&hash).await? else {
            if let Some(ip) = ip {
                self.limits.failures.count(&ip)?;
            }
            return Err(Error::NotFound("heartbeat"));
        };
        self.limits.heartbeats.count(&project_id)?;
        let at = self.now();
        let has_failed = work == Work::Failed;
        if !has_failed && !self.store.note_heartbeat(&hash, at).await? {
            return Err(Error::NotFound("heartbeat"));
        }
        self.signals.uptime(UptimeCall::Beat(Beat {
            project_id,
            at,
            has_failed,
        }));
        Ok(HeartbeatReceived { received_at: at })
    }
}

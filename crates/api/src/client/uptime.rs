//! Whether a project or a database answers.

use reqwest::{Method, Url};

use super::transport::json;
use super::{Client, Page, Paging, Result};
use crate::uptime::{CheckView, HeartbeatUrl, SetUptime, UptimeView};
use crate::{Slug, Timestamp};

/// Which checks are wanted: all that are kept, where neither end is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChecksQuery {
    /// From this time on.
    pub start: Option<Timestamp>,
    /// Before this time.
    pub end: Option<Timestamp>,
}

impl ChecksQuery {
    fn add_to(self, url: &mut Url) {
        for (name, time) in [("start", self.start), ("end", self.end)] {
            if let Some(time) = time {
                url.query_pairs_mut().append_pair(name, &time.to_string());
            }
        }
    }
}

/// Projects.
impl Client {
    /// `GET P/uptime`.
    pub async fn get_uptime(&self, workspace: &Slug, project: &Slug) -> Result<UptimeView> {
        self.transport
            .get(self.project_url(workspace, project, &["uptime"]))
            .await
    }

    /// `PUT P/uptime`: what is not sent keeps its value.
    pub async fn set_uptime(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &SetUptime,
    ) -> Result<UptimeView> {
        let url = self.project_url(workspace, project, &["uptime"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `POST P/uptime/heartbeat`.
    pub async fn create_heartbeat(&self, workspace: &Slug, project: &Slug) -> Result<HeartbeatUrl> {
        let url = self.project_url(workspace, project, &["uptime", "heartbeat"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET P/uptime/checks`: newest first.
    pub async fn list_checks(
        &self,
        workspace: &Slug,
        project: &Slug,
        query: ChecksQuery,
        paging: Paging,
    ) -> Result<Page<CheckView>> {
        let mut url = self.project_url(workspace, project, &["uptime", "checks"]);
        query.add_to(&mut url);
        self.transport.get_page(url, paging).await
    }
}

/// Databases.
impl Client {
    /// `GET D/uptime`.
    pub async fn get_database_uptime(
        &self,
        workspace: &Slug,
        database: &Slug,
    ) -> Result<UptimeView> {
        self.transport
            .get(self.database_url(workspace, database, &["uptime"]))
            .await
    }

    /// `PUT D/uptime`: what is not sent keeps its value.
    pub async fn set_database_uptime(
        &self,
        workspace: &Slug,
        database: &Slug,
        body: &SetUptime,
    ) -> Result<UptimeView> {
        let url = self.database_url(workspace, database, &["uptime"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `POST D/uptime/heartbeat`.
    pub async fn create_database_heartbeat(
        &self,
        workspace: &Slug,
        database: &Slug,
    ) -> Result<HeartbeatUrl> {
        let url = self.database_url(workspace, database, &["uptime", "heartbeat"]);
        self.transport.send(Method::POST, url, None).await
    }

    /// `GET D/uptime/checks`: newest first.
    pub async fn list_database_checks(
        &self,
        workspace: &Slug,
        database: &Slug,
        query: ChecksQuery,
        paging: Paging,
    ) -> Result<Page<CheckView>> {
        let mut url = self.database_url(workspace, database, &["uptime", "checks"]);
        query.add_to(&mut url);
        self.transport.get_page(url, paging).await
    }
}

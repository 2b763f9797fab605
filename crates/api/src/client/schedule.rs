//! A project's schedules.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::Slug;
use crate::schedule::{ScheduleView, SetSchedule};
use crate::workspace::Deleted;

impl Client {
    /// `GET P/schedules`: by their names.
    pub async fn list_schedules(
        &self,
        workspace: &Slug,
        project: &Slug,
    ) -> Result<Vec<ScheduleView>> {
        self.transport
            .get(self.project_url(workspace, project, &["schedules"]))
            .await
    }

    /// `PUT P/schedules/:name`: in place of what was set.
    pub async fn set_schedule(
        &self,
        workspace: &Slug,
        project: &Slug,
        name: &Slug,
        body: &SetSchedule,
    ) -> Result<ScheduleView> {
        let url = self.project_url(workspace, project, &["schedules", name.as_str()]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE P/schedules/:name`.
    pub async fn delete_schedule(
        &self,
        workspace: &Slug,
        project: &Slug,
        name: &Slug,
    ) -> Result<Deleted> {
        let url = self.project_url(workspace, project, &["schedules", name.as_str()]);
        self.transport.send(Method::DELETE, url, None).await
    }
}

//! How many replicas a project has by itself.

use reqwest::Method;

use super::transport::json;
use super::{Client, Result};
use crate::Slug;
use crate::autoscaling::{AutoscalingView, SetAutoscaling};

impl Client {
    /// `GET P/autoscaling`.
    pub async fn get_autoscaling(
        &self,
        workspace: &Slug,
        project: &Slug,
    ) -> Result<AutoscalingView> {
        self.transport
            .get(self.project_url(workspace, project, &["autoscaling"]))
            .await
    }

    /// `PUT P/autoscaling`: what is not sent keeps its value.
    pub async fn set_autoscaling(
        &self,
        workspace: &Slug,
        project: &Slug,
        body: &SetAutoscaling,
    ) -> Result<AutoscalingView> {
        let url = self.project_url(workspace, project, &["autoscaling"]);
        self.transport.send(Method::PUT, url, json(body)).await
    }

    /// `DELETE P/autoscaling`.
    pub async fn delete_autoscaling(
        &self,
        workspace: &Slug,
        project: &Slug,
    ) -> Result<AutoscalingView> {
        let url = self.project_url(workspace, project, &["autoscaling"]);
        self.transport.send(Method::DELETE, url, None).await
    }
}

//! A project's deploy hook: the address that deploys it when it is called.

use reqwest::{Method, Url};

use super::{Client, Result};
use crate::Slug;
use crate::deployment::DeployHookView;
use crate::workspace::Deleted;

impl Client {
    /// `GET P/webhooks/deploy`: the hook without its address; "not found" where there is none.
    pub async fn get_deploy_hook(
        &self,
        workspace: &Slug,
        project: &Slug,
    ) -> Result<DeployHookView> {
        self.transport
            .get(self.deploy_hook_url(workspace, project))
            .await
    }

    /// `POST P/webhooks/deploy`: makes a hook in place of the one there is; its address is in this
    /// answer only.
    pub async fn create_deploy_hook(
        &self,
        workspace: &Slug,
        project: &Slug,
    ) -> Result<DeployHookView> {
        let url = self.deploy_hook_url(workspace, project);
        self.transport.send(Method::POST, url, None).await
    }

    /// `DELETE P/webhooks/deploy`.
    pub async fn delete_deploy_hook(&self, workspace: &Slug, project: &Slug) -> Result<Deleted> {
        let url = self.deploy_hook_url(workspace, project);
        self.transport.send(Method::DELETE, url, None).await
    }

    fn deploy_hook_url(&self, workspace: &Slug, project: &Slug) -> Url {
        self.project_url(workspace, project, &["webhooks", "deploy"])
    }
}

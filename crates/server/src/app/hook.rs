//! Deploy hooks: an address that deploys a project when it is called, for CI systems.

use std::net::IpAddr;

use tose_api::deployment::{CreateDeployment, DeployHookView, DeploymentView, Trigger};
use tose_api::workspace::Deleted;
use tose_model::access::Access;
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_model::secret::ExposeSecret;

use crate::app::Platform;
use crate::secrets;

impl Platform {
    pub(crate) async fn get_deploy_hook(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<DeployHookView> {
        let project = self.find_project(access, slug).await?;
        self.check_deploy_hook(access, &project).await?;
        Ok(DeployHookView {
            project: project.slug,
            url: None,
        })
    }

    /// Makes a hook, in place of the one there is. Its address is in this answer only.
    pub(crate) async fn create_deploy_hook(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<DeployHookView> {
        let project = self.find_project(access, slug).await?;
        let token = secrets::fresh_token(self.ids.as_ref());
        let hash = secrets::hash_api_key(token.expose_secret());
        let event = self.event(access, "deploy_hook.create", &project.slug);
        self.store
            .set_deploy_hook(access.scope(), project.id, Some(&hash), &event)
            .await?;
        let path = format!(
            "/api/workspaces/{}/projects/{}/webhooks/deploy/{}",
            access.workspace(),
            project.slug,
            token.expose_secret()
        );
        Ok(DeployHookView {
            project: project.slug,
            url: Some(self.config.public_address(&path)),
        })
    }

    pub(crate) async fn delete_deploy_hook(&self, access: &Access, slug: &str) -> Result<Deleted> {
        let project = self.find_project(access, slug).await?;
        self.check_deploy_hook(access, &project).await?;
        let event = self.event(access, "deploy_hook.delete", &project.slug);
        self.store
            .set_deploy_hook(access.scope(), project.id, None, &event)
            .await?;
        Ok(Deleted {
            deleted: project.slug.to_string(),
        })
    }

    async fn check_deploy_hook(&self, access: &Access, project: &Project) -> Result<()> {
        let is_there = self
            .store
            .has_deploy_hook(access.scope(), project.id)
            .await?;
        if is_there {
            Ok(())
        } else {
            Err(Error::NotFound("deploy hook"))
        }
    }

    /// Deploys the project whose hook has this token.
    ///
    /// # Errors
    /// `NotFound`, the same for a wrong workspace, project or token.
    pub(crate) async fn call_deploy_hook(
        &self,
        workspace: &str,
        project: &str,
        token: &str,
        ip: Option<IpAddr>,
    ) -> Result<DeploymentView> {
        let hash = secrets::hash_api_key(token);
        let found = self
            .store
            .find_hook_workspace(workspace, project, &hash)
            .await?;
        let membership = found.ok_or(Error::NotFound("deploy hook"))?;
        let access = Access::for_hook(membership, ip);
        self.deploy(&access, project, CreateDeployment::default(), Trigger::Hook)
            .await
    }
}

//! Workspaces.

use tose_api::WorkspaceId;
use tose_api::workspace::{CreateWorkspace, Deleted, Role, UpdateWorkspace, WorkspaceView};
use tose_model::access::{Access, Caller, Credential};
use tose_model::error::Result;
use tose_model::slug;
use tose_store::{NewWorkspace, Workspace};

use crate::app::wallet::signup_credit;
use crate::app::{Platform, check_name};

impl Platform {
    pub(crate) async fn create_workspace(
        &self,
        caller: &Caller,
        input: CreateWorkspace,
    ) -> Result<WorkspaceView> {
        let name = check_name(&input.name)?;
        let id = WorkspaceId::from_uuid(self.ids.uuid());
        let now = self.now();
        let new = NewWorkspace {
            id,
            slug: input
                .slug
                .unwrap_or_else(|| slug::from_name(&name, id.as_uuid())),
            name,
            now,
            credit: signup_credit(self.ids.as_ref(), self.config.billing.first_credit()),
        };
        let event = self.event_by(caller.clone().into(), "workspace.create", &new.slug);
        self.store
            .create_workspace(&new, caller.user_id, &event)
            .await?;
        let workspace = Workspace {
            id: new.id,
            slug: new.slug,
            name: new.name,
            created_at: now,
        };
        Ok(view(workspace, Role::Owner))
    }

    /// The workspaces that what the caller showed opens: a key its own, a login all of theirs.
    pub(crate) async fn list_workspaces(&self, caller: &Caller) -> Result<Vec<WorkspaceView>> {
        let memberships = match &caller.credential {
            Credential::ApiKey { membership, .. } => vec![membership.clone()],
            Credential::Session { .. } => self.store.list_memberships(caller.user_id).await?,
        };
        let mut views = Vec::with_capacity(memberships.len());
        for membership in memberships {
            let workspace = self.store.get_workspace(&membership.scope()).await?;
            views.push(view(workspace, membership.role));
        }
        Ok(views)
    }

    pub(crate) async fn get_workspace(&self, access: &Access) -> Result<WorkspaceView> {
        let workspace = self.store.get_workspace(access.scope()).await?;
        Ok(view(workspace, access.role()))
    }

    pub(crate) async fn update_workspace(
        &self,
        access: &Access,
        input: UpdateWorkspace,
    ) -> Result<WorkspaceView> {
        if let Some(name) = input.name {
            let name = check_name(&name)?;
            let event = self.event(access, "workspace.update", access.workspace());
            self.store
                .rename_workspace(access.scope(), &name, &event)
                .await?;
        }
        self.get_workspace(access).await
    }

    pub(crate) async fn delete_workspace(&self, access: &Access) -> Result<Deleted> {
        let slug = access.workspace().clone();
        self.try_meter().await;
        let event = self.event(access, "workspace.delete", &slug);
        self.store
            .delete_workspace(access.scope(), self.now(), &event)
            .await?;
        for project in self.store.list_projects_for_task().await? {
            if project.workspace_id == access.scope().id() {
                self.signals.project(project.id);
            }
        }
        self.signals.builder();
        Ok(Deleted {
            deleted: slug.to_string(),
        })
    }
}

fn view(workspace: Workspace, role: Role) -> WorkspaceView {
    WorkspaceView {
        id: workspace.id,
        name: workspace.name,
        namespace: format!("tose-{}", workspace.slug),
        slug: workspace.slug,
        role,
        created_at: workspace.created_at,
    }
}

//! Workspaces.

use tose_api::WorkspaceId;
use tose_api::workspace::{CreateWorkspace, Deleted, Role, UpdateWorkspace, WorkspaceView};
use tose_model::access::{Access, Caller};
use tose_model::error::Result;
use tose_model::slug;
use tose_store::{NewEvent, NewWorkspace, Workspace};

use crate::app::{Platform, check_name};

impl Platform {
    pub(crate) async fn create_workspace(
        &self,
        caller: &Caller,
        input: CreateWorkspace,
    ) -> Result<WorkspaceView> {
        let name = check_name(&input.name)?;
        let slug = match input.slug {
            Some(slug) => slug,
            None => slug::from_name(&name)?,
        };
        let now = self.now();
        let new = NewWorkspace {
            id: WorkspaceId::from_uuid(self.ids.uuid()),
            slug,
            name,
            now,
        };
        let event = NewEvent {
            id: tose_api::EventId::from_uuid(self.ids.uuid()),
            actor: caller.email.clone(),
            action: "workspace.create",
            target: new.slug.to_string(),
            at: now,
        };
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

    pub(crate) async fn get_workspace(&self, access: &Access) -> Result<WorkspaceView> {
        let workspace = self.store.get_workspace(access.scope()).await?;
        Ok(view(workspace, access.caller().role))
    }

    pub(crate) async fn update_workspace(
        &self,
        access: &Access,
        input: UpdateWorkspace,
    ) -> Result<WorkspaceView> {
        if let Some(name) = input.name {
            let name = check_name(&name)?;
            let event = self.event(access, "workspace.update", &access.caller().workspace);
            self.store
                .rename_workspace(access.scope(), &name, &event)
                .await?;
        }
        self.get_workspace(access).await
    }

    pub(crate) async fn delete_workspace(&self, access: &Access) -> Result<Deleted> {
        let slug = access.caller().workspace.clone();
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

//! What a project pulls its image with.

use tose_api::registry::{RegistryView, SetRegistry};
use tose_api::workspace::Deleted;
use tose_api::{ImageRef, RegistryHost};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::driver::RegistryCredentials;
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_store::RegistryLogin;

use crate::app::{Platform, vault_error};
use crate::secrets::Place;

/// The most that a user name may have, in characters.
const MAX_USERNAME: usize = 255;
/// The most that a password may have, in characters. Some are whole files of JSON.
const MAX_PASSWORD: usize = 16 * 1024;

impl Platform {
    pub(crate) async fn get_registry(&self, access: &Access, slug: &str) -> Result<RegistryView> {
        let project = self.find_project(access, slug).await?;
        let found = self
            .store
            .find_registry_login(access.scope(), project.id)
            .await?;
        Ok(view(found.ok_or(Error::NotFound("registry credentials"))?))
    }

    /// Keeps credentials, in place of those before. The next deployment pulls with them.
    pub(crate) async fn set_registry(
        &self,
        access: &Access,
        slug: &str,
        input: SetRegistry,
    ) -> Result<RegistryView> {
        let project = self.find_project(access, slug).await?;
        let registry = pick_registry(input.registry, project.image.as_ref())?;
        check_login(&input.username, &input.password)?;
        let password = self
            .vault
            .seal(place(&project), &input.password, self.ids.as_ref());
        let login = RegistryLogin {
            registry,
            username: input.username,
            password,
            updated_at: self.now(),
        };
        let event = self.event(access, "registry.set", &project.slug);
        self.store
            .put_registry_login(access.scope(), project.id, &login, &event)
            .await?;
        Ok(view(login))
    }

    pub(crate) async fn delete_registry(&self, access: &Access, slug: &str) -> Result<Deleted> {
        let project = self.find_project(access, slug).await?;
        let event = self.event(access, "registry.delete", &project.slug);
        self.store
            .delete_registry_login(access.scope(), project.id, &event)
            .await?;
        Ok(Deleted {
            deleted: project.slug.to_string(),
        })
    }

    /// What `image` is pulled with; none if the project has no credentials for its registry.
    pub(crate) async fn open_registry(
        &self,
        scope: &WorkspaceScope,
        project: &Project,
        image: &ImageRef,
    ) -> Result<Option<RegistryCredentials>> {
        let found = self.store.find_registry_login(scope, project.id).await?;
        let Some(login) = found.filter(|login| login.registry == image.registry()) else {
            return Ok(None);
        };
        let password = self
            .vault
            .open(place(project), &login.password)
            .map_err(vault_error)?;
        Ok(Some(RegistryCredentials {
            username: login.username,
            password,
        }))
    }
}

fn place(project: &Project) -> Place<'static> {
    Place::RegistryPassword {
        workspace_id: project.workspace_id,
        project_id: project.id,
    }
}

fn pick_registry(given: Option<RegistryHost>, image: Option<&ImageRef>) -> Result<RegistryHost> {
    given
        .or_else(|| image.map(ImageRef::registry))
        .ok_or_else(|| {
            Error::invalid_field(
                "registry",
                "is needed while the project has no image: the registry's host, such as ghcr.io",
            )
        })
}

fn check_login(username: &str, password: &str) -> Result<()> {
    let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if username.is_empty() || username.len() > MAX_USERNAME || !username.bytes().all(is_name) {
        return Err(Error::invalid_field(
            "username",
            "must have 1 to 255 visible characters, none of them a colon",
        ));
    }
    if !(1..=MAX_PASSWORD).contains(&password.chars().count()) {
        return Err(Error::invalid_field(
            "password",
            "must have 1 to 16384 characters",
        ));
    }
    Ok(())
}

fn view(login: RegistryLogin) -> RegistryView {
    RegistryView {
        registry: login.registry,
        username: login.username,
        has_password: true,
        updated_at: login.updated_at,
    }
}

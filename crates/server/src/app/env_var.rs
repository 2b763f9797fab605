//! Environment variables of a project.

use std::collections::BTreeMap;

use tose_api::env_var::{ChangeEnvVar, EnvVarView, EnvVarsChanged, MASK, SetEnvVar, SetEnvVars};
use tose_api::workspace::{Deleted, Role};
use tose_api::{EnvKey, ProjectId};
use tose_model::access::{Access, WorkspaceScope};
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_model::secret::{ExposeSecret, SecretString};
use tose_store::{EnvVar, KeepOthers, NewEnvVar};

use crate::app::{Platform, vault_error};
use crate::secrets::Place;

/// The most that one value may have, in bytes.
const MAX_VALUE: usize = 64 * 1024;
/// The most variables that a project may have.
const MAX_VARIABLES: usize = 500;

/// Whether a secret's value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reveal {
    /// Masked.
    No,
    /// In plain text, for admins.
    Yes,
}

impl Platform {
    pub(crate) async fn list_env_vars(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<Vec<EnvVarView>> {
        let project = self.find_project(access, slug).await?;
        let variables = self.store.list_env_vars(access.scope(), project.id).await?;
        variables
            .iter()
            .map(|variable| self.env_var_view(access, &project, variable, Reveal::No))
            .collect()
    }

    pub(crate) async fn get_env_var(
        &self,
        access: &Access,
        slug: &str,
        key: &str,
        reveal: Reveal,
    ) -> Result<EnvVarView> {
        if reveal == Reveal::Yes && access.role() < Role::Admin {
            return Err(Error::Forbidden(
                "revealing a secret needs the role admin".to_owned(),
            ));
        }
        let project = self.find_project(access, slug).await?;
        let variables = self.store.list_env_vars(access.scope(), project.id).await?;
        let variable = variables
            .iter()
            .find(|variable| variable.key.as_str() == key)
            .ok_or(Error::NotFound("variable"))?;
        self.env_var_view(access, &project, variable, reveal)
    }

    pub(crate) async fn set_env_var(
        &self,
        access: &Access,
        slug: &str,
        input: SetEnvVar,
    ) -> Result<EnvVarView> {
        self.write_env_var(access, slug, input.key, input.value, Some(input.is_secret))
            .await
    }

    /// Sets one variable and keeps whether it is secret, unless the caller says.
    pub(crate) async fn change_env_var(
        &self,
        access: &Access,
        slug: &str,
        key: &str,
        input: ChangeEnvVar,
    ) -> Result<EnvVarView> {
        let key: EnvKey = key.parse().map_err(|error: tose_api::name::InvalidName| {
            Error::invalid_field("key", error.to_string())
        })?;
        self.write_env_var(access, slug, key, input.value, input.is_secret)
            .await
    }

    async fn write_env_var(
        &self,
        access: &Access,
        slug: &str,
        key: EnvKey,
        value: String,
        is_secret: Option<bool>,
    ) -> Result<EnvVarView> {
        check_value(&key, &value)?;
        let project_id = self.store.get_project_id(access.scope(), slug).await?;
        let place = place(access.scope(), project_id, &key);
        let variable = NewEnvVar {
            value: self.vault.seal(place, &value, self.ids.as_ref()),
            is_secret,
        };
        let event = self.event(access, "env.set", slug);
        let is_secret = self
            .store
            .set_env_var(
                access.scope(),
                project_id,
                &key,
                &variable,
                event.at,
                &event,
            )
            .await?;
        Ok(EnvVarView {
            key,
            value: if is_secret { MASK.to_owned() } else { value },
            is_secret,
            updated_at: event.at,
        })
    }

    pub(crate) async fn set_env_vars(
        &self,
        access: &Access,
        slug: &str,
        input: SetEnvVars,
    ) -> Result<EnvVarsChanged> {
        let keep = if input.merge {
            KeepOthers::Yes
        } else {
            KeepOthers::No
        };
        let variables = input
            .variables
            .into_iter()
            .map(|(key, value)| (key, (value, None)))
            .collect();
        self.write_env_vars(access, slug, variables, keep).await
    }

    pub(crate) async fn delete_env_var(
        &self,
        access: &Access,
        slug: &str,
        key: &str,
    ) -> Result<Deleted> {
        let project = self.find_project(access, slug).await?;
        let event = self.event(access, "env.delete", format!("{}/{key}", project.slug));
        self.store
            .delete_env_var(access.scope(), project.id, key, &event)
            .await?;
        Ok(Deleted {
            deleted: key.to_owned(),
        })
    }

    pub(super) async fn write_env_vars(
        &self,
        access: &Access,
        slug: &str,
        variables: BTreeMap<EnvKey, (String, Option<bool>)>,
        keep: KeepOthers,
    ) -> Result<EnvVarsChanged> {
        check_variables(&variables)?;
        let project = self.find_project(access, slug).await?;
        let seal = |key: &EnvKey, value: &str| {
            let place = place(access.scope(), project.id, key);
            self.vault.seal(place, value, self.ids.as_ref())
        };
        let sealed = variables
            .iter()
            .map(|(key, (value, is_secret))| {
                (
                    key.clone(),
                    NewEnvVar {
                        value: seal(key, value),
                        is_secret: *is_secret,
                    },
                )
            })
            .collect();
        let event = self.event(access, "env.set", &project.slug);
        Ok(self
            .store
            .set_env_vars(
                access.scope(),
                project.id,
                &sealed,
                keep,
                self.now(),
                &event,
            )
            .await?)
    }

    /// The project's variables in plain text, with whether each is secret.
    pub(crate) async fn open_env(
        &self,
        project: &Project,
        scope: &WorkspaceScope,
    ) -> Result<BTreeMap<EnvKey, (SecretString, bool)>> {
        let variables = self.store.list_env_vars(scope, project.id).await?;
        variables
            .into_iter()
            .map(|variable| {
                let value = self
                    .vault
                    .open(place(scope, project.id, &variable.key), &variable.value)
                    .map_err(vault_error)?;
                Ok((variable.key, (value, variable.is_secret)))
            })
            .collect()
    }

    fn env_var_view(
        &self,
        access: &Access,
        project: &Project,
        variable: &EnvVar,
        reveal: Reveal,
    ) -> Result<EnvVarView> {
        let value = if variable.is_secret && reveal == Reveal::No {
            MASK.to_owned()
        } else {
            let place = place(access.scope(), project.id, &variable.key);
            let value = self
                .vault
                .open(place, &variable.value)
                .map_err(vault_error)?;
            value.expose_secret().to_owned()
        };
        Ok(EnvVarView {
            key: variable.key.clone(),
            value,
            is_secret: variable.is_secret,
            updated_at: variable.updated_at,
        })
    }
}

fn place<'a>(scope: &WorkspaceScope, project_id: ProjectId, key: &'a EnvKey) -> Place<'a> {
    Place::EnvVar {
        workspace_id: scope.id(),
        project_id,
        key,
    }
}

fn check_variables(variables: &BTreeMap<EnvKey, (String, Option<bool>)>) -> Result<()> {
    if variables.len() > MAX_VARIABLES {
        return Err(Error::invalid_field(
            "variables",
            format!("at most {MAX_VARIABLES} at once"),
        ));
    }
    variables
        .iter()
        .try_for_each(|(key, (value, _))| check_value(key, value))
}

fn check_value(key: &EnvKey, value: &str) -> Result<()> {
    if value.len() > MAX_VALUE {
        return Err(Error::invalid_field(
            key.as_str(),
            format!("a value has at most {MAX_VALUE} bytes"),
        ));
    }
    if value.contains('\0') {
        return Err(Error::invalid_field(
            key.as_str(),
            "a value holds no NUL byte",
        ));
    }
    Ok(())
}

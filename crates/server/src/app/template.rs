//! Templates, and instances of them: projects that come with their variables, folders and databases.

use std::collections::BTreeMap;

use tose_api::database::CreateDatabase;
use tose_api::deployment::{DeploymentView, Trigger};
use tose_api::env_var::{EnvVarsChanged, SetEnvVar};
use tose_api::envelope::{Meta, Paging};
use tose_api::git::ConnectGit;
use tose_api::project::{ProjectView, Source};
use tose_api::template::{CreateInstance, DeployInstance, DeployMode, RequiredEnv, TemplateView};
use tose_api::{DeploymentId, DomainId, ProjectId, Slug};
use tose_model::access::{Access, Among};
use tose_model::error::{Error, Result};
use tose_model::process::Processes;
use tose_model::project::{Project, ProjectKind, RunSpec};
use tose_model::quota::Load;
use tose_model::slug;
use tose_model::template::Template;
use tose_store::{KeepOthers, Listed, NewKind, NewProject};

use crate::app::deployment::Recipe;
use crate::app::{Platform, check_name};
use crate::build::archive;
use crate::catalogue::Entry;

impl Platform {
    /// The catalogue.
    pub(crate) fn list_templates(&self) -> Vec<TemplateView> {
        self.catalogue.entries().map(view).collect()
    }

    pub(crate) async fn list_instances(
        &self,
        access: &Access,
        paging: Paging,
    ) -> Result<(Vec<ProjectView>, Meta)> {
        self.list_records(access, Listed::Templates, paging).await
    }

    /// Makes an instance with all that it needs, and does not deploy it so far.
    pub(crate) async fn create_instance(
        &self,
        access: &Access,
        input: CreateInstance,
    ) -> Result<ProjectView> {
        let access = &access.clone().within(Among::Templates);
        let name = check_name(&input.name)?;
        let entry = self.catalogue.find(&input.template_name).ok_or_else(|| {
            Error::invalid_field(
                "template_name",
                "names no template; GET /api/templates lists them",
            )
        })?;
        let template = &entry.template;
        let id = ProjectId::from_uuid(self.ids.uuid());
        let slug = input
            .slug
            .unwrap_or_else(|| slug::from_name(&name, id.as_uuid()));
        let databases = databases(template, &slug)?;
        let run = RunSpec {
            port: template.port,
            cpu: input.cpu.unwrap_or(template.cpu),
            ram: input.ram.unwrap_or(template.ram),
            health_check_path: template.health_check_path.clone(),
            start_command: template.start_command.clone(),
            release_command: None,
            processes: Processes::new(),
            volumes: template.volumes.clone(),
            file: None,
        };
        let repository = template
            .build
            .as_ref()
            .and_then(|build| build.repository.clone());
        let source = match (&repository, &template.image) {
            (Some(_), _) | (None, None) => Source::Git,
            (None, Some(_)) => Source::Image,
        };
        self.check_project(source, template.image.as_ref(), &run, 1, None)?;
        let load = Load::of(&run, 1);
        self.check_quota(access.scope(), id, load).await?;
        self.hold_funds(access.scope(), id, load, 0).await?;
        let new = NewProject {
            id,
            name,
            domain_id: DomainId::from_uuid(self.ids.uuid()),
            hostnames: self.hostnames(access.workspace(), &slug),
            slug,
            source,
            image: template.image.clone(),
            run,
            build: None,
            region: self.config.region.clone(),
            replicas: 1,
            preview: None,
            kind: NewKind::Template(entry.key.clone()),
            now: self.now(),
        };
        let event = self.event(access, "template.create", &new.slug);
        self.store
            .create_project(access.scope(), &new, &event)
            .await?;
        let furnished = self.furnish(access, entry, &new.slug, databases).await;
        if let Err(error) = furnished {
            // Nothing is left half made.
            self.delete_project(access, new.slug.as_str()).await?;
            return Err(error);
        }
        self.signals.project(id);
        self.get_project(access, new.slug.as_str()).await
    }

    /// Gives an instance its variables, its repository, and its databases.
    async fn furnish(
        &self,
        access: &Access,
        entry: &Entry,
        slug: &Slug,
        databases: Vec<CreateDatabase>,
    ) -> Result<()> {
        let template = &entry.template;
        let env = template.instance_env(slug, self.ids.as_ref());
        let variables: BTreeMap<_, _> = env
            .into_iter()
            .map(|env| (env.key, (env.value, Some(env.is_secret))))
            .collect();
        self.write_env_vars(access, slug.as_str(), variables, KeepOthers::Yes)
            .await?;
        let build = template.build.as_ref();
        if let Some(repository) = build.and_then(|build| build.repository.clone()) {
            let connection = ConnectGit {
                repo_url: Some(repository),
                branch: build.and_then(|build| build.branch.clone()),
                auto_deploy: Some(false),
                ..ConnectGit::default()
            };
            self.connect_git(access, slug.as_str(), connection).await?;
        }
        let mut made: Vec<Slug> = Vec::new();
        for database in databases {
            let name = database.slug.clone();
            if let Err(error) = self.create_database(access, database).await {
                let among = access.clone().within(Among::Databases);
                for slug in made {
                    self.delete_project(&among, slug.as_str()).await?;
                }
                return Err(error);
            }
            made.extend(name);
        }
        Ok(())
    }

    /// Deploys an instance.
    pub(crate) async fn deploy_instance(
        &self,
        access: &Access,
        slug: &str,
        input: DeployInstance,
    ) -> Result<DeploymentView> {
        let project = self.find_project(access, slug).await?;
        let ProjectKind::Template(key) = &project.kind else {
            return Err(Error::NotFound(Among::Templates.noun()));
        };
        let entry = self.catalogue.find(key).ok_or_else(|| {
            Error::conflict(
                "template_gone",
                format!("the server has no template {key} any more"),
            )
        })?;
        self.check_required(access, &project, &entry.template)
            .await?;
        let modes = modes(&entry.template);
        let mode = input.mode.unwrap_or(modes[0]);
        if !modes.contains(&mode) {
            let problem = format!("this template is deployed by {}", modes[0].as_str());
            return Err(Error::invalid_field("mode", problem));
        }
        let recipe = match mode {
            DeployMode::Image => Recipe {
                // A project whose source is an image has its own, which may have been changed.
                image: match (project.source, &entry.template.image) {
                    (Source::Git, Some(image)) => Some(image.to_string()),
                    _ => None,
                },
                ..Recipe::new(Trigger::Manual)
            },
            DeployMode::Build if entry.files.is_empty() => Recipe::new(Trigger::Manual),
            DeployMode::Build => Recipe {
                id: Some(self.keep_files(entry).await?),
                ..Recipe::new(Trigger::Upload)
            },
        };
        let upload = recipe.id;
        let queued = self
            .queue(access, &project, recipe, "template.deploy")
            .await;
        if let (Err(_), Some(id)) = (&queued, upload) {
            self.remove_upload(id);
        }
        queued
    }

    /// Keeps the files that a template is built from for a deployment; its id.
    async fn keep_files(&self, entry: &Entry) -> Result<DeploymentId> {
        let id = DeploymentId::from_uuid(self.ids.uuid());
        let path = self.upload_path(id);
        let files = entry.files.clone();
        tokio::task::spawn_blocking(move || archive::write(&path, &files))
            .await
            .map_err(|error| Error::internal("a template's files could not be kept", error))?
            .map_err(|error| Error::internal("a template's files could not be kept", error))?;
        Ok(id)
    }

    async fn check_required(
        &self,
        access: &Access,
        project: &Project,
        template: &Template,
    ) -> Result<()> {
        let set = self.store.list_env_vars(access.scope(), project.id).await?;
        let missing: BTreeMap<_, _> = template
            .env
            .iter()
            .filter(|env| env.required && !set.iter().any(|one| one.key == env.key))
            .map(|env| {
                let placeholder = env.placeholder.as_deref().unwrap_or("a value");
                (
                    env.key.to_string(),
                    format!("is needed, such as {placeholder}"),
                )
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = missing.keys().map(String::as_str).collect();
        Err(Error::Invalid {
            message: format!(
                "set {} before the first deployment, with PUT …/env",
                names.join(", ")
            ),
            fields: missing,
        })
    }

    /// Sets variables that are sent as a list.
    pub(crate) async fn set_env_list(
        &self,
        access: &Access,
        slug: &str,
        input: Vec<SetEnvVar>,
    ) -> Result<EnvVarsChanged> {
        let variables = input
            .into_iter()
            .map(|one| (one.key, (one.value, Some(one.is_secret))))
            .collect();
        self.write_env_vars(access, slug, variables, KeepOthers::Yes)
            .await
    }
}

/// The databases of an instance.
fn databases(template: &Template, slug: &Slug) -> Result<Vec<CreateDatabase>> {
    template
        .databases
        .iter()
        .map(|database| {
            let slug = Template::database_slug(slug, &database.name).ok_or_else(|| {
                let problem = format!(
                    "is too long: its database is called {slug}-{}, which may have 40 characters",
                    database.name
                );
                Error::invalid_field("slug", problem)
            })?;
            Ok(CreateDatabase {
                name: slug.to_string(),
                kind: database.kind,
                slug: Some(slug),
                version: database.version.clone(),
                cpu: None,
                ram: None,
                storage_gb: None,
            })
        })
        .collect()
}

/// How a template can be deployed, the usual way first.
fn modes(template: &Template) -> Vec<DeployMode> {
    let image = template.image.iter().map(|_| DeployMode::Image);
    let build = template.build.iter().map(|_| DeployMode::Build);
    image.chain(build).collect()
}

fn view(entry: &Entry) -> TemplateView {
    let template = &entry.template;
    let required = template.env.iter().filter(|env| env.required);
    TemplateView {
        name: template.name.clone(),
        key: entry.key.clone(),
        description: template.description.clone(),
        category: template.category.as_str().to_owned(),
        documentation: template.documentation.clone(),
        icon: template.icon.clone(),
        default_port: template.port.to_string(),
        default_cpu: template.cpu,
        default_ram: template.ram,
        modes: modes(template),
        databases: template.databases.iter().map(|one| one.kind).collect(),
        required_envs: required
            .map(|env| RequiredEnv {
                key: env.key.clone(),
                placeholder: env.placeholder.clone().unwrap_or_default(),
                description: env.description.clone(),
            })
            .collect(),
    }
}

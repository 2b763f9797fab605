//! Projects: configuration and intent.

use tose_api::envelope::{Meta, Paging};
use tose_api::project::{CreateProject, ProjectView, Source, UpdateProject};
use tose_api::workspace::Deleted;
use tose_api::{Cpu, DomainId, ImageRef, Port, ProjectId, Ram};
use tose_model::access::Access;
use tose_model::deployment::Deployment;
use tose_model::error::{Error, Result};
use tose_model::project::{DesiredState, Project, RunSpec, StatusFacts, status};
use tose_model::slug;
use tose_store::{NewProject, ProjectChanges, ProjectFacts};

use crate::app::{Platform, check_name};

const DEFAULT_PORT: u64 = 3000;
const DEFAULT_CPU_MILLI: u32 = 500;
const DEFAULT_RAM_MILLI: u32 = 500;
/// How many host names are tried before a project's is called taken.
const HOSTNAME_ATTEMPTS: u32 = 5;

impl Platform {
    pub(crate) async fn create_project(
        &self,
        access: &Access,
        input: CreateProject,
    ) -> Result<ProjectView> {
        let name = check_name(&input.name)?;
        let slug = match input.slug {
            Some(slug) => slug,
            None => slug::from_name(&name)?,
        };
        let inferred = if input.image.is_some() {
            Source::Image
        } else {
            Source::Git
        };
        let source = input.source.unwrap_or(inferred);
        let run = RunSpec {
            port: input
                .port
                .unwrap_or(Port::try_from(DEFAULT_PORT).expect("3000 is a port")),
            cpu: input
                .cpu
                .unwrap_or(Cpu::from_milli(DEFAULT_CPU_MILLI).expect("in range")),
            ram: input
                .ram
                .unwrap_or(Ram::from_milli(DEFAULT_RAM_MILLI).expect("in range")),
            health_check_path: input.health_check_path,
        };
        let replicas = input.replicas.unwrap_or(1);
        self.check_project(source, input.image.as_ref(), &run, replicas)?;
        let base = &self.config.base_domain;
        let workspace = &access.caller().workspace;
        let hostnames = (0..HOSTNAME_ATTEMPTS)
            .map(|attempt| slug::default_hostname(workspace, &slug, base, attempt))
            .collect();
        let new = NewProject {
            id: ProjectId::from_uuid(self.ids.uuid()),
            name,
            slug,
            source,
            image: input.image,
            run,
            replicas,
            domain_id: DomainId::from_uuid(self.ids.uuid()),
            hostnames,
            now: self.now(),
        };
        let event = self.event(access, "project.create", &new.slug);
        self.store
            .create_project(access.scope(), &new, &event)
            .await?;
        self.signals.project(new.id);
        self.get_project(access, new.slug.as_str()).await
    }

    pub(crate) async fn get_project(&self, access: &Access, slug: &str) -> Result<ProjectView> {
        let (project, facts) = self.store.get_project(access.scope(), slug).await?;
        self.project_view(access, project, facts).await
    }

    pub(crate) async fn list_projects(
        &self,
        access: &Access,
        paging: Paging,
    ) -> Result<(Vec<ProjectView>, Meta)> {
        let (projects, total) = self.store.list_projects(access.scope(), paging).await?;
        let mut views = Vec::with_capacity(projects.len());
        for (project, facts) in projects {
            views.push(self.project_view(access, project, facts).await?);
        }
        Ok((views, paging.meta(total)))
    }

    /// Changes what was sent and keeps the rest.
    pub(crate) async fn update_project(
        &self,
        access: &Access,
        slug: &str,
        input: UpdateProject,
    ) -> Result<ProjectView> {
        let (project, _) = self.store.get_project(access.scope(), slug).await?;
        let name = match &input.name {
            Some(name) => check_name(name)?,
            None => project.name.clone(),
        };
        let changes = ProjectChanges {
            name,
            source: input.source.unwrap_or(project.source),
            image: input.image.unwrap_or(project.image),
            run: RunSpec {
                port: input.port.unwrap_or(project.run.port),
                cpu: input.cpu.unwrap_or(project.run.cpu),
                ram: input.ram.unwrap_or(project.run.ram),
                health_check_path: input
                    .health_check_path
                    .unwrap_or(project.run.health_check_path),
            },
            replicas: input.replicas.unwrap_or(project.replicas),
        };
        self.check_project(
            changes.source,
            changes.image.as_ref(),
            &changes.run,
            changes.replicas,
        )?;
        let event = self.event(access, "project.update", &project.slug);
        self.store
            .update_project(
                access.scope(),
                project.id,
                project.generation,
                &changes,
                self.now(),
                &event,
            )
            .await?;
        self.signals.project(project.id);
        self.get_project(access, slug).await
    }

    pub(crate) async fn delete_project(&self, access: &Access, slug: &str) -> Result<Deleted> {
        let (project, _) = self.store.get_project(access.scope(), slug).await?;
        let current = self
            .store
            .list_current_deployments(access.scope(), project.id)
            .await?;
        let event = self.event(access, "project.delete", &project.slug);
        self.store
            .delete_project(access.scope(), project.id, self.now(), &event)
            .await?;
        self.close_logs(&current).await;
        self.signals.project(project.id);
        self.signals.builder();
        Ok(Deleted {
            deleted: project.slug.to_string(),
        })
    }

    /// Wants the project at zero replicas, whatever it does at the moment.
    pub(crate) async fn stop_project(&self, access: &Access, slug: &str) -> Result<ProjectView> {
        let (project, _) = self.store.get_project(access.scope(), slug).await?;
        let current = self
            .store
            .list_current_deployments(access.scope(), project.id)
            .await?;
        let event = self.event(access, "project.stop", &project.slug);
        self.store
            .stop_project(access.scope(), project.id, self.now(), &event)
            .await?;
        self.close_logs(&current).await;
        self.signals.project(project.id);
        self.signals.builder();
        self.get_project(access, slug).await
    }

    /// Completes the logs of deployments that have just been ended; one that is being built says its
    /// last lines itself.
    async fn close_logs(&self, deployments: &[Deployment]) {
        for deployment in deployments {
            use tose_api::deployment::DeploymentStatus::{Deploying, Queued};
            if matches!(deployment.status, Queued | Deploying) {
                self.say(deployment.id, "cancelled: the project was stopped")
                    .await;
                self.finish_build_log(deployment.id).await;
            }
        }
    }

    /// The project, as the path names it.
    pub(crate) async fn find_project(&self, access: &Access, slug: &str) -> Result<Project> {
        Ok(self.store.get_project(access.scope(), slug).await?.0)
    }

    fn check_project(
        &self,
        source: Source,
        image: Option<&ImageRef>,
        run: &RunSpec,
        replicas: u32,
    ) -> Result<()> {
        let limits = &self.config.limits;
        let mut problems = std::collections::BTreeMap::new();
        let mut note = |field: &str, problem: String| {
            problems.insert(field.to_owned(), problem);
        };
        if source == Source::Image && image.is_none() {
            note("image", "is needed when source is \"image\"".to_owned());
        }
        if image.is_some_and(is_reserved) {
            note(
                "image",
                "this name is reserved for images that the platform builds".to_owned(),
            );
        }
        if !(1..=limits.max_replicas).contains(&replicas) {
            note(
                "replicas",
                format!("must be between 1 and {}", limits.max_replicas),
            );
        }
        if run.cpu > limits.max_cpu {
            note(
                "cpu",
                format!("must be between 0.001 and {}", limits.max_cpu),
            );
        }
        if run.ram > limits.max_ram || run.ram.bytes() < MIN_RAM_BYTES {
            note(
                "ram",
                format!("must be between 0.01 and {} GB", limits.max_ram),
            );
        }
        if run
            .health_check_path
            .as_deref()
            .is_some_and(|path| !is_health_path(path))
        {
            note(
                "health_check_path",
                "must begin with / and hold no spaces, 200 characters at most".to_owned(),
            );
        }
        if problems.is_empty() {
            return Ok(());
        }
        let listed: Vec<_> = problems
            .iter()
            .map(|(field, problem)| format!("{field} {problem}"))
            .collect();
        Err(Error::Invalid {
            message: listed.join("; "),
            fields: problems,
        })
    }

    async fn project_view(
        &self,
        access: &Access,
        project: Project,
        facts: ProjectFacts,
    ) -> Result<ProjectView> {
        let connection = self
            .store
            .find_git_connection(access.scope(), project.id)
            .await?;
        let live = if facts.live {
            let current = self
                .store
                .list_current_deployments(access.scope(), project.id)
                .await?;
            current
                .into_iter()
                .find(|deployment| deployment.live_at.is_some())
        } else {
            None
        };
        Ok(ProjectView {
            id: project.id,
            name: project.name.clone(),
            slug: project.slug.clone(),
            workspace: project.workspace.clone(),
            status: status(&status_facts(&project, facts)),
            url: self.config.app_url(&project.hostname),
            source: project.source,
            image: project.image,
            port: project.run.port,
            replicas: project.replicas,
            cpu: project.run.cpu,
            ram: project.run.ram,
            health_check_path: project.run.health_check_path,
            git_connection: connection.map(crate::app::git::view),
            live_deployment: live.map(|deployment| crate::app::deployment::view(&deployment)),
            created_at: project.created_at,
            updated_at: project.updated_at,
        })
    }
}

/// The engine refuses to start a container with less.
const MIN_RAM_BYTES: u64 = 10 << 20;

/// What the project's status is read from.
pub(crate) fn status_facts(project: &Project, facts: ProjectFacts) -> StatusFacts {
    StatusFacts {
        desired: project.desired,
        in_progress: facts.in_progress && project.desired == DesiredState::Running,
        live: facts.live,
        newest_failed: facts.newest_failed,
        ready: facts.ready,
        wanted: project.replicas,
    }
}

/// Built images of all tenants lie on one engine: nobody runs another's by naming it.
fn is_reserved(image: &ImageRef) -> bool {
    let first = image.as_str().split('/').next().unwrap_or_default();
    image.as_str().contains('/') && (first == "tose" || first.starts_with("tose-"))
}

fn is_health_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= 200
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

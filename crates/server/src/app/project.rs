//! Projects: configuration and intent.

use tose_api::envelope::{Meta, Paging};
use tose_api::project::{
    BuildOptions, CreateProject, PreviewView, ProjectView, ScaleProject, Source, UpdateProject,
    Volume,
};
use tose_api::workspace::Deleted;
use tose_api::{Cpu, DomainId, Hostname, ImageRef, Port, ProjectId, Ram, Slug};
use tose_model::access::{Access, Among};
use tose_model::command;
use tose_model::deployment::Deployment;
use tose_model::error::{Error, Result};
use tose_model::process::{Processes, Scale, total};
use tose_model::project::{
    DEFAULT_PORT, DesiredState, Project, ProjectKind, RunSpec, StatusFacts, is_health_path, status,
};
use tose_model::quota::Load;
use tose_model::slug;
use tose_store::{Listed, NewKind, NewProject, ProjectChanges, ProjectFacts, ProjectRecord};

use crate::app::UptimeCall;
use crate::app::{Platform, check_name};

const DEFAULT_CPU_MILLI: u32 = 500;
const DEFAULT_RAM_MILLI: u32 = 500;
/// How many host names are tried before a project's is called taken.
pub(super) const HOSTNAME_ATTEMPTS: u32 = 5;

impl Platform {
    pub(crate) async fn create_project(
        &self,
        access: &Access,
        input: CreateProject,
    ) -> Result<ProjectView> {
        let name = check_name(&input.name)?;
        let id = ProjectId::from_uuid(self.ids.uuid());
        let slug = input
            .slug
            .unwrap_or_else(|| slug::from_name(&name, id.as_uuid()));
        let region = self.check_region(input.region)?;
        let inferred = if input.image.is_some() {
            Source::Image
        } else {
            Source::Git
        };
        let source = input.source.unwrap_or(inferred);
        let run = RunSpec {
            port: input
                .port
                .unwrap_or(Port::try_from(u64::from(DEFAULT_PORT)).expect("3000 is a port")),
            cpu: input
                .cpu
                .unwrap_or(Cpu::from_milli(DEFAULT_CPU_MILLI).expect("in range")),
            ram: input
                .ram
                .unwrap_or(Ram::from_milli(DEFAULT_RAM_MILLI).expect("in range")),
            health_check_path: input.health_check_path,
            start_command: input.start_command,
            release_command: None,
            processes: Processes::new(),
            volumes: input.volumes.unwrap_or_default(),
            file: None,
        };
        let replicas = input.replicas.unwrap_or(1);
        let image = input.image.as_ref();
        self.check_project(source, image, &run, replicas, input.build.as_ref())?;
        let hostnames = self.hostnames(access.workspace(), &slug);
        let new = NewProject {
            id,
            name,
            slug,
            source,
            image: input.image,
            run,
            build: input.build,
            region,
            replicas,
            domain_id: DomainId::from_uuid(self.ids.uuid()),
            hostnames,
            preview: None,
            kind: NewKind::App,
            now: self.now(),
        };
        let load = Load::of(&new.run, new.replicas);
        self.hold_funds(access.scope(), id, load, 0).await?;
        let event = self.event(access, "project.create", &new.slug);
        let created = self
            .store
            .create_project(access.scope(), &new, &event)
            .await;
        if created.is_err() {
            self.release_funds(access.scope(), id).await?;
        }
        created?;
        self.signals.project(new.id);
        self.get_project(access, new.slug.as_str()).await
    }

    /// Host names for a project, best first; the first that is free is taken.
    pub(super) fn hostnames(&self, workspace: &Slug, slug: &Slug) -> Vec<Hostname> {
        let base = &self.config.base_domain;
        (0..HOSTNAME_ATTEMPTS)
            .map(|attempt| slug::default_hostname(workspace, slug, base, attempt))
            .collect()
    }

    pub(crate) async fn get_project(&self, access: &Access, slug: &str) -> Result<ProjectView> {
        let record = self.store.get_project_record(access.scope(), slug).await?;
        if !access.among().includes(&record.project.kind) {
            return Err(Error::NotFound(access.among().noun()));
        }
        Ok(self.project_view(record))
    }

    pub(crate) async fn list_projects(
        &self,
        access: &Access,
        paging: Paging,
    ) -> Result<(Vec<ProjectView>, Meta)> {
        self.list_records(access, Listed::Apps, paging).await
    }

    pub(super) async fn list_records(
        &self,
        access: &Access,
        listed: Listed,
        paging: Paging,
    ) -> Result<(Vec<ProjectView>, Meta)> {
        let (records, total) = self
            .store
            .list_project_records(access.scope(), listed, paging)
            .await?;
        let views = records
            .into_iter()
            .map(|record| self.project_view(record))
            .collect();
        Ok((views, paging.meta(total)))
    }

    /// Changes what was sent and keeps the rest.
    pub(crate) async fn update_project(
        &self,
        access: &Access,
        slug: &str,
        input: UpdateProject,
    ) -> Result<ProjectView> {
        self.change_project(access, slug, input, Scale::new()).await
    }

    async fn change_project(
        &self,
        access: &Access,
        slug: &str,
        input: UpdateProject,
        scale: Scale,
    ) -> Result<ProjectView> {
        let project = self.find_project(access, slug).await?;
        let name = match &input.name {
            Some(name) => check_name(name)?,
            None => project.name.clone(),
        };
        let before = project.clone();
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
                start_command: input.start_command.unwrap_or(project.run.start_command),
                release_command: None,
                processes: Processes::new(),
                volumes: input.volumes.unwrap_or(project.run.volumes),
                file: None,
            },
            build: input.build.unwrap_or(project.build),
            replicas: input.replicas.unwrap_or(project.replicas),
            scale: project.scale.clone().into_iter().chain(scale).collect(),
        };
        self.check_region(input.region)?;
        self.check_project(
            changes.source,
            changes.image.as_ref(),
            &changes.run,
            changes.replicas,
            changes.build.as_ref(),
        )?;
        self.check_against_autoscaling(access, &before, &changes)
            .await?;
        if before.desired == DesiredState::Running {
            self.check_growth(access, &before, &changes).await?;
        }
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

    /// Deletes a project, whatever kind it is, with all that is in it.
    pub(crate) async fn delete_project(&self, access: &Access, slug: &str) -> Result<Deleted> {
        let project = self.find_project(access, slug).await?;
        let mut current = self
            .store
            .list_current_deployments(access.scope(), project.id)
            .await?;
        let (previews, of_previews) = self.list_ending(access, &project).await?;
        current.extend(of_previews);
        let action = match access.among() {
            Among::Databases => "database.delete",
            Among::Projects | Among::Templates => "project.delete",
        };
        let event = self.event(access, action, &project.slug);
        if project.kind == ProjectKind::Database {
            // Its storage is paid for up to now.
            self.try_meter().await;
        }
        self.store
            .delete_project(access.scope(), project.id, self.now(), &event)
            .await?;
        self.release_funds(access.scope(), project.id).await?;
        self.close_logs(&current).await;
        self.signals.project(project.id);
        for preview in previews {
            self.signals.project(preview);
        }
        self.signals.builder();
        Ok(Deleted {
            deleted: project.slug.to_string(),
        })
    }

    /// Wants the project at zero replicas, whatever it does at the moment.
    pub(crate) async fn stop_project(&self, access: &Access, slug: &str) -> Result<()> {
        let project = self.find_project(access, slug).await?;
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
        self.signals.uptime(UptimeCall::Monitor(project.id));
        Ok(())
    }

    /// Completes the logs of deployments that have just been ended; one that is being built says its
    /// last lines itself.
    pub(super) async fn close_logs(&self, deployments: &[Deployment]) {
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
        Ok(self.find_project_facts(access, slug).await?.0)
    }

    /// The project, instance or database that a field names.
    ///
    /// # Errors
    /// `Invalid` when the workspace has nothing with this slug.
    pub(crate) async fn find_named(
        &self,
        access: &Access,
        field: &'static str,
        slug: &Slug,
    ) -> Result<Project> {
        match self.store.get_project(access.scope(), slug.as_str()).await {
            Ok((project, _)) => Ok(project),
            Err(tose_store::Error::NotFound(_)) => {
                let problem = format!("there is no project, instance or database {slug}");
                Err(Error::invalid_field(field, problem))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The same as [`Self::find_project`], with what its status is read from. A database may be named by its id as well.
    pub(crate) async fn find_project_facts(
        &self,
        access: &Access,
        slug: &str,
    ) -> Result<(Project, ProjectFacts)> {
        let among = access.among();
        let found = match self.store.get_project(access.scope(), slug).await {
            Ok(found) => Some(found),
            Err(tose_store::Error::NotFound(_)) => match slug.parse() {
                Ok(id) if among == Among::Databases => {
                    self.store.find_project(access.scope(), id).await?
                }
                _ => None,
            },
            Err(error) => return Err(error.into()),
        };
        found
            .filter(|(project, _)| among.includes(&project.kind))
            .ok_or(Error::NotFound(among.noun()))
    }

    pub(super) fn check_project(
        &self,
        source: Source,
        image: Option<&ImageRef>,
        run: &RunSpec,
        replicas: u32,
        build: Option<&BuildOptions>,
    ) -> Result<()> {
        let limits = &self.config.limits;
        let mut problems = std::collections::BTreeMap::new();
        let mut note = |field: &str, problem: String| {
            problems.insert(field.to_owned(), problem);
        };
        if source == Source::Image && image.is_none() {
            note("image", "is needed when source is \"image\"".to_owned());
        }
        if image.is_some_and(|image| image.repository() == "sha256") {
            note("image", "is an image's id; name the image".to_owned());
        }
        if image.is_some_and(|image| is_reserved(image.as_str())) {
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
        if let Some(Err(error)) = run.start_command.as_deref().map(command::split) {
            note("start_command", error.to_string());
        }
        if let Err(problem) = check_volumes(&run.volumes) {
            note("volumes", problem);
        }
        if build.is_some_and(|build| build.args.len() > MAX_BUILD_ARGS) {
            note("build", format!("has at most {MAX_BUILD_ARGS} args"));
        }
        if problems.is_empty() && !run.volumes.is_empty() && replicas > 1 {
            return Err(Error::conflict(
                "one_replica_only",
                "a project with volumes has one replica: more would write to the same files",
            ));
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

    /// Refuses changes that take more than the workspace may have.
    pub(super) async fn check_growth(
        &self,
        access: &Access,
        project: &Project,
        changes: &ProjectChanges,
    ) -> Result<()> {
        let processes = self.processes(access, project).await?;
        let load = |run: &RunSpec, replicas: u32, scale: &Scale| {
            Load::of(run, replicas.saturating_add(total(&processes, scale)))
        };
        let before = load(&project.run, project.replicas, &project.scale);
        let after = load(&changes.run, changes.replicas, &changes.scale);
        if before.max(after) == before {
            return Ok(());
        }
        self.check_quota(access.scope(), project.id, after).await?;
        self.hold_funds(access.scope(), project.id, after, 0).await
    }

    /// The processes of the version that is live, or on its way.
    async fn processes(&self, access: &Access, project: &Project) -> Result<Processes> {
        let current = self
            .store
            .list_current_deployments(access.scope(), project.id)
            .await?;
        let mut processes = Processes::new();
        for deployment in current {
            processes.extend(deployment.run.processes);
        }
        Ok(processes)
    }

    /// Which processes get how many replicas.
    fn check_scale(&self, processes: &Processes, wanted: Scale) -> Result<Scale> {
        let most = self.config.limits.max_replicas;
        for (name, replicas) in &wanted {
            if !processes.contains_key(name) {
                let known: Vec<_> = processes.keys().map(Slug::as_str).collect();
                let known = match known.as_slice() {
                    [] => "it has none besides web: name them in tose.json or in a Procfile, and deploy".to_owned(),
                    known => format!("it has {}", known.join(", ")),
                };
                return Err(Error::invalid_field(
                    "processes",
                    format!("name a process {name} that the project does not have; {known}"),
                ));
            }
            if *replicas > most {
                let problem = format!("must be between 0 and {most} each");
                return Err(Error::invalid_field("processes", problem));
            }
        }
        Ok(wanted)
    }

    /// Sets replicas, cpu and ram. More or fewer replicas come at once; a project that runs gets
    /// other sizes by a restart.
    pub(crate) async fn scale_project(
        &self,
        access: &Access,
        slug: &str,
        input: ScaleProject,
    ) -> Result<ProjectView> {
        let before = self.find_project(access, slug).await?;
        let changes = UpdateProject {
            replicas: input.replicas,
            cpu: input.cpu,
            ram: input.ram,
            ..UpdateProject::default()
        };
        let processes = self.processes(access, &before).await?;
        let scale = self.check_scale(&processes, input.processes.unwrap_or_default())?;
        let after = self.change_project(access, slug, changes, scale).await?;
        let has_other_size = (before.run.cpu, before.run.ram) != (after.cpu, after.ram);
        if has_other_size && after.live_deployment.is_some() {
            match self.restart_project(access, slug).await {
                // The one that is on its way was made with the old sizes; the user sees both.
                Ok(()) | Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.get_project(access, slug).await
    }

    fn check_region(&self, region: Option<Slug>) -> Result<Slug> {
        let own = &self.config.region;
        match region {
            Some(region) if region != *own => Err(Error::invalid_field(
                "region",
                format!("this server has the region {own} only"),
            )),
            _ => Ok(own.clone()),
        }
    }

    /// Where visitors find a project.
    pub(crate) fn project_url(&self, project: &Project, facts: ProjectFacts) -> String {
        let has_https = facts.has_https || self.wildcard_covers(&project.hostname);
        self.config.app_url(&project.hostname, has_https)
    }

    pub(super) fn project_view(&self, record: ProjectRecord) -> ProjectView {
        let ProjectRecord {
            project,
            facts,
            git,
            live,
            is_outdated,
        } = record;
        ProjectView {
            status: status(&status_facts(&project, facts)),
            url: self.project_url(&project, facts),
            id: project.id,
            name: project.name,
            slug: project.slug,
            workspace: project.workspace,
            source: project.source,
            image: project.image,
            port: project.run.port,
            replicas: project.replicas,
            cpu: project.run.cpu,
            ram: project.run.ram,
            health_check_path: project.run.health_check_path,
            start_command: project.run.start_command,
            volumes: project.run.volumes,
            build: project.build,
            region: project.region,
            git_connection: git,
            live_deployment: live,
            needs_redeploy: is_outdated,
            template: match project.kind {
                ProjectKind::Template(key) => Some(key),
                ProjectKind::App | ProjectKind::Database => None,
            },
            preview: project.preview.map(|preview| PreviewView {
                number: preview.number,
                branch: preview.branch,
            }),
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }
}

/// The most volumes of a project.
const MAX_VOLUMES: usize = 5;
/// The most characters of a mount path.
const MAX_MOUNT_PATH: usize = 255;
/// The most build arguments of a project.
const MAX_BUILD_ARGS: usize = 50;
/// Folders that belong to the system inside a container: a volume there breaks it.
const SYSTEM_FOLDERS: [&str; 10] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr",
];

fn check_volumes(volumes: &[Volume]) -> std::result::Result<(), String> {
    if volumes.len() > MAX_VOLUMES {
        return Err(format!("are {MAX_VOLUMES} at most"));
    }
    for (index, volume) in volumes.iter().enumerate() {
        let path = volume.path.as_str();
        let is_plain = path.len() <= MAX_MOUNT_PATH
            && path.starts_with('/')
            && !path.contains([':', ',', '\\'])
            && !path.chars().any(|c| c.is_control() || c.is_whitespace())
            && path
                .split('/')
                .skip(1)
                .all(|part| !matches!(part, "" | "." | ".."));
        if !is_plain {
            return Err(format!(
                "hold {path:?}, which is no absolute path such as /data"
            ));
        }
        let is_system = SYSTEM_FOLDERS.iter().any(|folder| {
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if is_system {
            return Err(format!(
                "hold {path}, which belongs to the system; use a folder such as /data"
            ));
        }
        let others = &volumes[index + 1..];
        if others.iter().any(|other| other.name == volume.name) {
            return Err(format!("hold the name {} twice", volume.name));
        }
        if others.iter().any(|other| other.path == volume.path) {
            return Err(format!("hold the path {path} twice"));
        }
    }
    Ok(())
}

/// The engine refuses to start a container with less.
const MIN_RAM_BYTES: u64 = 10 << 20;

/// What the project's status is read from.
pub(crate) fn status_facts(project: &Project, facts: ProjectFacts) -> StatusFacts {
    facts_for_status(project.desired, project.replicas, facts)
}

pub(crate) fn facts_for_status(
    desired: DesiredState,
    replicas: u32,
    facts: ProjectFacts,
) -> StatusFacts {
    StatusFacts {
        desired,
        in_progress: facts.in_progress && desired == DesiredState::Running,
        live: facts.live,
        newest_failed: facts.newest_failed,
        ready: facts.ready,
        wanted: replicas,
        suspended: facts.suspended.is_some(),
    }
}

/// Built images of all tenants lie on one engine: nobody runs another's by naming it.
pub(crate) fn is_reserved(image: &str) -> bool {
    image
        .split_once('/')
        .is_some_and(|(first, _)| first == "tose" || first.starts_with("tose-"))
}

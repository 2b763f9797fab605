//! Projects.

use tose_api::project::{BuildOptions, Source};
use tose_api::{DomainId, Hostname, ImageRef, ProjectId, Slug, Timestamp};
use tose_model::access::{Membership, WorkspaceScope};
use tose_model::process::{Processes, Scale};
use tose_model::project::{DesiredState, Project, ProjectKind, RunSpec};
use tose_model::wallet::Suspension;

use crate::database::{Store, Tx, commit};
use crate::deletion::COOL_OFF;
use crate::error::{Error, Result};
use crate::event::{self, NewEvent};
use crate::managed_database::{self, NewDatabase};
use crate::preview::check_room;
use crate::row;
use crate::session::into_membership;
use crate::wallet::parse_suspension;
use crate::workspace;

/// A project to be made.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// A fresh id.
    pub id: ProjectId,
    /// What people call it.
    pub name: String,
    /// Its name in URLs.
    pub slug: Slug,
    /// Where its image comes from.
    pub source: Source,
    /// The image, when it comes from one.
    pub image: Option<ImageRef>,
    /// What it runs with.
    pub run: RunSpec,
    /// How its image is built.
    pub build: Option<BuildOptions>,
    /// Where it runs.
    pub region: Slug,
    /// How many replicas.
    pub replicas: u32,
    /// A fresh id for its default domain.
    pub domain_id: DomainId,
    /// Host names for it, best first; the first that is free is taken.
    pub hostnames: Vec<Hostname>,
    /// The pull request that it runs, if it is a preview.
    pub preview: Option<NewPreview>,
    /// What kind of project.
    pub kind: NewKind,
    /// When.
    pub now: Timestamp,
}

/// What kind of project is to be made.
#[derive(Debug, Clone)]
pub enum NewKind {
    /// An app.
    App,
    /// A managed database.
    Database(Box<NewDatabase>),
    /// An instance of the template with this key.
    Template(String),
}

impl NewKind {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Database(_) => "database",
            Self::Template(_) => "template",
        }
    }

    fn template(&self) -> Option<&str> {
        match self {
            Self::Template(key) => Some(key),
            Self::App | Self::Database(_) => None,
        }
    }
}

/// The pull request that a project is to run.
pub type NewPreview = tose_model::project::Preview;

/// The whole configuration after a change.
#[derive(Debug, Clone)]
pub struct ProjectChanges {
    /// What people call it.
    pub name: String,
    /// Where its image comes from.
    pub source: Source,
    /// The image, when it comes from one.
    pub image: Option<ImageRef>,
    /// What the next deployment runs with.
    pub run: RunSpec,
    /// How its image is built.
    pub build: Option<BuildOptions>,
    /// How many replicas.
    pub replicas: u32,
    /// How many of its other processes, where it says so.
    pub scale: Scale,
}

/// What the status of a project is read from, besides the project itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectFacts {
    /// Whether a deployment is on its way.
    pub in_progress: bool,
    /// Whether a version is live.
    pub live: bool,
    /// Whether the newest deployment failed.
    pub newest_failed: bool,
    /// Live replicas that were ready when the reconciler last looked.
    pub ready: u32,
    /// Whether the host name that the platform gave has a certificate.
    pub has_https: bool,
    /// Why nothing of its workspace runs, if so.
    pub suspended: Option<Suspension>,
}

#[derive(sqlx::FromRow)]
pub(crate) struct ProjectRow {
    id: String,
    workspace_id: String,
    workspace: String,
    name: String,
    slug: String,
    source: String,
    image: Option<String>,
    port: i64,
    cpu_milli: i64,
    ram_milli: i64,
    health_check_path: Option<String>,
    replicas: i64,
    process_scale: String,
    desired: String,
    generation: i64,
    hostname: Option<String>,
    created_at: i64,
    updated_at: i64,
    ready_replicas: i64,
    in_progress: i64,
    live: i64,
    newest_failed: i64,
    suspended: Option<String>,
    has_https: i64,
    start_command: Option<String>,
    volumes: String,
    build: Option<String>,
    region: String,
    preview_of: Option<String>,
    preview_number: Option<i64>,
    preview_branch: Option<String>,
    kind: String,
    template: Option<String>,
}

/// The columns of [`ProjectRow`].
macro_rules! project_columns {
    () => {
        concat!(
            "p.id, p.workspace_id, w.slug AS workspace, p.name, p.slug, p.source, p.image, p.port,
             p.cpu_milli, p.ram_milli, p.health_check_path, p.replicas, p.process_scale, p.desired, p.generation,
             p.created_at, p.updated_at, p.ready_replicas, p.start_command, p.volumes, p.build,
             p.region, p.preview_of, p.preview_number, p.preview_branch, p.kind, p.template,
             d.hostname AS hostname,
             EXISTS (SELECT 1 FROM certificates c WHERE c.domain_id = d.id AND c.chain IS NOT NULL)
                 AS has_https, ",
            fact_columns!()
        )
    };
}

/// What a project's status is read from, besides columns of its own.
macro_rules! fact_columns {
    () => {
        "(EXISTS (SELECT 1 FROM deployments x WHERE x.project_id = p.id AND x.status = 'queued')
          OR EXISTS (SELECT 1 FROM deployments x WHERE x.project_id = p.id
                     AND x.status IN ('building', 'deploying'))) AS in_progress,
         EXISTS (SELECT 1 FROM deployments x WHERE x.project_id = p.id AND x.status = 'running')
             AS live,
         COALESCE((SELECT x.status = 'failed' FROM deployments x WHERE x.project_id = p.id
                   ORDER BY x.generation DESC LIMIT 1), 0) AS newest_failed,
         (SELECT x.suspended FROM wallets x WHERE x.workspace_id = p.workspace_id) AS suspended"
    };
}

pub(crate) use fact_columns;

/// Everything that a project is read from; a `WHERE` clause follows.
macro_rules! select_project {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            project_columns!(),
            " FROM projects p
             JOIN workspaces w ON w.id = p.workspace_id
             LEFT JOIN domains d ON d.project_id = p.id AND d.is_default = 1 ",
            $rest
        )
    };
}

pub(crate) use project_columns;

impl ProjectRow {
    pub(crate) fn into_parts(self) -> Result<(Project, ProjectFacts)> {
        let facts = ProjectFacts {
            in_progress: self.in_progress > 0,
            live: self.live > 0,
            newest_failed: self.newest_failed > 0,
            has_https: self.has_https > 0,
            ready: row::to_u32("projects.ready_replicas", self.ready_replicas)?,
            suspended: parse_suspension("wallets.suspended", self.suspended.as_deref())?,
        };
        let desired = parse_desired(&self.desired)?;
        let quantity = |column, number| row::to_u32(column, number);
        let run =
            RunSpec {
                port: row::to_u64("projects.port", self.port)?
                    .try_into()
                    .map_err(|_| Error::Corrupt {
                        column: "projects.port",
                    })?,
                cpu: tose_api::Cpu::from_milli(quantity("projects.cpu_milli", self.cpu_milli)?)
                    .ok_or(Error::Corrupt {
                        column: "projects.cpu_milli",
                    })?,
                ram: tose_api::Ram::from_milli(quantity("projects.ram_milli", self.ram_milli)?)
                    .ok_or(Error::Corrupt {
                        column: "projects.ram_milli",
                    })?,
                health_check_path: self.health_check_path,
                start_command: self.start_command,
                release_command: None,
                processes: Processes::new(),
                volumes: row::parse_json("projects.volumes", &self.volumes)?,
                file: None,
            };
        let hostname = self.hostname.ok_or(Error::Corrupt {
            column: "domains.hostname",
        })?;
        let project = Project {
            id: row::parse("projects.id", &self.id)?,
            workspace_id: row::parse("projects.workspace_id", &self.workspace_id)?,
            workspace: row::parse("workspaces.slug", &self.workspace)?,
            name: self.name,
            slug: row::parse("projects.slug", &self.slug)?,
            source: row::parse_enum("projects.source", self.source)?,
            image: row::parse_optional("projects.image", self.image.as_deref())?,
            run,
            build: self
                .build
                .map(|build| row::parse_json("projects.build", &build))
                .transpose()?,
            region: row::parse("projects.region", &self.region)?,
            replicas: row::to_u32("projects.replicas", self.replicas)?,
            scale: row::parse_json("projects.process_scale", &self.process_scale)?,
            desired,
            generation: row::to_u64("projects.generation", self.generation)?,
            hostname: row::parse("domains.hostname", &hostname)?,
            kind: parse_kind(&self.kind, self.template)?,
            preview: preview(self.preview_of, self.preview_number, self.preview_branch)?,
            created_at: row::to_time(self.created_at),
            updated_at: row::to_time(self.updated_at),
        };
        Ok((project, facts))
    }
}

pub(crate) fn parse_kind(kind: &str, template: Option<String>) -> Result<ProjectKind> {
    match (kind, template) {
        ("app", None) => Ok(ProjectKind::App),
        ("database", None) => Ok(ProjectKind::Database),
        ("template", Some(key)) => Ok(ProjectKind::Template(key)),
        _ => Err(Error::Corrupt {
            column: "projects.kind",
        }),
    }
}

fn preview(
    of: Option<String>,
    number: Option<i64>,
    branch: Option<String>,
) -> Result<Option<NewPreview>> {
    let (Some(of), Some(number), Some(branch)) = (of, number, branch) else {
        return Ok(None);
    };
    Ok(Some(NewPreview {
        project_id: row::parse("projects.preview_of", &of)?,
        number: row::to_u32("projects.preview_number", number)?,
        branch: row::parse("projects.preview_branch", &branch)?,
    }))
}

pub(crate) const fn source_text(source: Source) -> &'static str {
    match source {
        Source::Git => "git",
        Source::Image => "image",
    }
}

impl Store {
    /// Makes a project with its default domain.
    ///
    /// # Errors
    /// `Taken` when the slug is in use in the workspace, or every host name is, or the request has a
    /// preview; what [`check_room`] says of a preview.
    pub async fn create_project(
        &self,
        scope: &WorkspaceScope,
        new: &NewProject,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        workspace::require(&mut tx, scope).await?;
        if let Some(preview) = &new.preview {
            check_room(&mut tx, scope, preview).await?;
        }
        sqlx::query(
            "INSERT INTO projects (id, workspace_id, name, slug, source, image, port, cpu_milli,
                 ram_milli, health_check_path, replicas, desired, generation, created_at, updated_at,
                 start_command, volumes, build, region, preview_of, preview_number, preview_branch,
                 kind, template)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'running', 0, $12, $12, $13, $14,
                 $15, $16, $17, $18, $19, $20, $21)",
        )
        .bind(new.id.to_string())
        .bind(scope.id().to_string())
        .bind(&new.name)
        .bind(new.slug.as_str())
        .bind(source_text(new.source))
        .bind(new.image.as_ref().map(ImageRef::as_str))
        .bind(i64::from(new.run.port.get()))
        .bind(i64::from(new.run.cpu.milli()))
        .bind(i64::from(new.run.ram.milli()))
        .bind(&new.run.health_check_path)
        .bind(i64::from(new.replicas))
        .bind(new.now.as_nanos())
        .bind(&new.run.start_command)
        .bind(row::to_json("projects.volumes", &new.run.volumes)?)
        .bind(build_text(new.build.as_ref())?)
        .bind(new.region.as_str())
        .bind(new.preview.as_ref().map(|preview| preview.project_id.to_string()))
        .bind(new.preview.as_ref().map(|preview| i64::from(preview.number)))
        .bind(new.preview.as_ref().map(|preview| preview.branch.as_str()))
        .bind(new.kind.as_str())
        .bind(new.kind.template())
        .execute(&mut *tx)
        .await
        .map_err(Error::insert("write a project", "the project's slug"))?;
        insert_default_domain(&mut tx, scope, new).await?;
        if let NewKind::Database(database) = &new.kind {
            managed_database::insert(&mut tx, scope, new.id, database).await?;
        }
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// The project with this slug.
    pub async fn get_project(
        &self,
        scope: &WorkspaceScope,
        slug: &str,
    ) -> Result<(Project, ProjectFacts)> {
        let found: Option<ProjectRow> = sqlx::query_as(select_project!(
            "WHERE p.workspace_id = $1 AND p.slug = $2 AND p.deleted_at IS NULL"
        ))
        .bind(scope.id().to_string())
        .bind(slug)
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a project"))?;
        found.ok_or(Error::NotFound("project"))?.into_parts()
    }

    /// The id of the project with this slug, unless it is a database.
    pub async fn get_project_id(&self, scope: &WorkspaceScope, slug: &str) -> Result<ProjectId> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT id FROM projects WHERE workspace_id = $1 AND slug = $2 AND deleted_at IS NULL
             AND kind <> 'database'",
        )
        .bind(scope.id().to_string())
        .bind(slug)
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find a project"))?;
        row::parse("projects.id", &found.ok_or(Error::NotFound("project"))?)
    }

    /// The project with this id, unless it was deleted.
    pub async fn find_project(
        &self,
        scope: &WorkspaceScope,
        id: ProjectId,
    ) -> Result<Option<(Project, ProjectFacts)>> {
        let found: Option<ProjectRow> = sqlx::query_as(select_project!(
            "WHERE p.workspace_id = $1 AND p.id = $2 AND p.deleted_at IS NULL"
        ))
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("read a project"))?;
        found.map(ProjectRow::into_parts).transpose()
    }

    /// The projects whose monitors are enabled, of every workspace.
    pub async fn list_monitored_projects_for_task(&self) -> Result<Vec<(Project, ProjectFacts)>> {
        let rows: Vec<ProjectRow> = sqlx::query_as(select_project!(
            "WHERE p.deleted_at IS NULL
               AND p.id IN (SELECT m.project_id FROM monitors m WHERE m.enabled = 1)"
        ))
        .fetch_all(self.readers())
        .await
        .map_err(Error::query("list projects that are checked"))?;
        rows.into_iter().map(ProjectRow::into_parts).collect()
    }

    /// Keeps the hash of the project's deploy hook, or takes it away.
    pub async fn set_deploy_hook(
        &self,
        scope: &WorkspaceScope,
        id: ProjectId,
        token_hash: Option<&[u8; 32]>,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE projects SET deploy_hook_hash = $3
             WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(token_hash.map(<[u8; 32]>::as_slice))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("change a deploy hook"))?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Whether the project has a deploy hook.
    pub async fn has_deploy_hook(&self, scope: &WorkspaceScope, id: ProjectId) -> Result<bool> {
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM projects
             WHERE workspace_id = $1 AND id = $2 AND deploy_hook_hash IS NOT NULL",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .fetch_one(self.readers())
        .await
        .map_err(Error::query("look for a deploy hook"))?;
        Ok(count > 0)
    }

    /// The workspace of the project that these slugs name and whose deploy hook has this hash.
    pub async fn find_hook_workspace(
        &self,
        workspace: &str,
        project: &str,
        token_hash: &[u8; 32],
    ) -> Result<Option<Membership>> {
        let found: Option<(String, String)> = sqlx::query_as(
            "SELECT w.id, w.slug FROM projects p
             JOIN workspaces w ON w.id = p.workspace_id AND w.deleted_at IS NULL
             WHERE p.deploy_hook_hash = $3 AND p.slug = $2 AND w.slug = $1
               AND p.deleted_at IS NULL",
        )
        .bind(workspace)
        .bind(project)
        .bind(token_hash.as_slice())
        .fetch_optional(self.readers())
        .await
        .map_err(Error::query("find a deploy hook"))?;
        found
            .map(|(id, slug)| into_membership((id, slug, "member".to_owned())))
            .transpose()
    }

    /// Replaces the configuration if nobody changed it since `generation` was read.
    ///
    /// # Errors
    /// `Conflict` when somebody did.
    pub async fn update_project(
        &self,
        scope: &WorkspaceScope,
        id: ProjectId,
        generation: u64,
        changes: &ProjectChanges,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        write_changes(&mut tx, scope, id, generation, changes, now).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Wants the project stopped: its live deployment is `stopped`, one that waits or is being
    /// rolled out is `cancelled`, and one that is being built is asked to end.
    pub async fn stop_project(
        &self,
        scope: &WorkspaceScope,
        id: ProjectId,
        now: Timestamp,
        event: &NewEvent,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        for statement in [
            "UPDATE projects SET desired = 'stopped', generation = generation + 1, updated_at = $3
             WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL",
            "UPDATE deployments SET status = 'stopped', finished_at = $3
             WHERE workspace_id = $1 AND project_id = $2 AND status = 'running'",
            "UPDATE deployments SET status = 'cancelled', finished_at = $3
             WHERE workspace_id = $1 AND project_id = $2 AND status IN ('queued', 'deploying')",
        ] {
            run_on_project(&mut tx, statement, scope, id, Some(now)).await?;
        }
        let cancel = "UPDATE deployments SET cancel_requested = 1
             WHERE workspace_id = $1 AND project_id = $2 AND status = 'building'";
        run_on_project(&mut tx, cancel, scope, id, None).await?;
        event::insert(&mut tx, scope.id(), event).await?;
        commit(tx).await
    }

    /// Notes how many live replicas are ready; writes only what is new.
    pub async fn set_ready_replicas(
        &self,
        scope: &WorkspaceScope,
        id: ProjectId,
        ready: u32,
    ) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "UPDATE projects SET ready_replicas = $3
             WHERE workspace_id = $1 AND id = $2 AND ready_replicas <> $3",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .bind(i64::from(ready))
        .execute(&mut *tx)
        .await
        .map_err(Error::query("note ready replicas"))?;
        commit(tx).await
    }

    /// Removes the row of a deleted project, and its deployments' with it.
    pub async fn purge_project(&self, scope: &WorkspaceScope, id: ProjectId) -> Result<()> {
        let mut tx = self.begin_in(scope).await?;
        sqlx::query(
            "DELETE FROM projects WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NOT NULL",
        )
        .bind(scope.id().to_string())
        .bind(id.to_string())
        .execute(&mut *tx)
        .await
        .map_err(Error::query("purge a project"))?;
        commit(tx).await
    }
}

/// Replaces a project's configuration if nobody changed it since `generation` was read.
pub(crate) async fn write_changes(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    id: ProjectId,
    generation: u64,
    changes: &ProjectChanges,
    now: Timestamp,
) -> Result<()> {
    let done = sqlx::query(
        "UPDATE projects SET name = $4, source = $5, image = $6, port = $7, cpu_milli = $8,
             ram_milli = $9, health_check_path = $10, replicas = $11, updated_at = $12,
             start_command = $13, volumes = $14, build = $15, process_scale = $16,
             generation = generation + 1
         WHERE workspace_id = $1 AND id = $2 AND generation = $3 AND deleted_at IS NULL",
    )
    .bind(scope.id().to_string())
    .bind(id.to_string())
    .bind(to_i64(generation))
    .bind(&changes.name)
    .bind(source_text(changes.source))
    .bind(changes.image.as_ref().map(ImageRef::as_str))
    .bind(i64::from(changes.run.port.get()))
    .bind(i64::from(changes.run.cpu.milli()))
    .bind(i64::from(changes.run.ram.milli()))
    .bind(&changes.run.health_check_path)
    .bind(i64::from(changes.replicas))
    .bind(now.as_nanos())
    .bind(&changes.run.start_command)
    .bind(row::to_json("projects.volumes", &changes.run.volumes)?)
    .bind(build_text(changes.build.as_ref())?)
    .bind(row::to_json("projects.process_scale", &changes.scale)?)
    .execute(&mut **tx)
    .await
    .map_err(Error::query("change a project"))?;
    if done.rows_affected() == 0 {
        return Err(Error::Conflict(
            "the project was changed by somebody else; try again",
        ));
    }
    Ok(())
}

/// Runs one of the statements that a stop consists of: `$1` is the workspace, `$2` the
/// project, and `$3` the time where there is one.
async fn run_on_project(
    tx: &mut Tx,
    statement: &'static str,
    scope: &WorkspaceScope,
    id: ProjectId,
    now: Option<Timestamp>,
) -> Result<()> {
    let query = sqlx::query(statement)
        .bind(scope.id().to_string())
        .bind(id.to_string());
    let query = match now {
        Some(now) => query.bind(now.as_nanos()),
        None => query,
    };
    let done = query.execute(&mut **tx).await;
    done.map(|_| ()).map_err(Error::query("stop a project"))
}

pub(crate) fn parse_desired(text: &str) -> Result<DesiredState> {
    match text {
        "running" => Ok(DesiredState::Running),
        "stopped" => Ok(DesiredState::Stopped),
        _ => Err(Error::Corrupt {
            column: "projects.desired",
        }),
    }
}

fn build_text(build: Option<&BuildOptions>) -> Result<Option<String>> {
    build
        .map(|build| row::to_json("projects.build", build))
        .transpose()
}

/// SQLite and PostgreSQL have no unsigned numbers; a generation never comes near the limit.
pub(crate) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

async fn insert_default_domain(
    tx: &mut Tx,
    scope: &WorkspaceScope,
    new: &NewProject,
) -> Result<()> {
    for hostname in &new.hostnames {
        let done = sqlx::query(
            "INSERT INTO domains (id, workspace_id, project_id, hostname, status, is_default, created_at)
             SELECT $1, $2, $3, $4, 'active', 1, $5 WHERE NOT EXISTS
                 (SELECT 1 FROM released_hostnames
                  WHERE hostname = $4 AND workspace_id <> $2 AND released_at > $6)
             ON CONFLICT (hostname) DO NOTHING",
        )
        .bind(new.domain_id.to_string())
        .bind(scope.id().to_string())
        .bind(new.id.to_string())
        .bind(hostname.as_str())
        .bind(new.now.as_nanos())
        .bind(new.now.saturating_sub(COOL_OFF).as_nanos())
        .execute(&mut **tx)
        .await
        .map_err(Error::query("write a domain"))?;
        if done.rows_affected() == 1 {
            return Ok(());
        }
    }
    Err(Error::Taken("every host name for this project"))
}

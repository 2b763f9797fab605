//! Which monitors there are, and what of each is to be checked.
//!
//! Guarantee: what is learned of one project is of one moment. Caveat: of all of them together it is not.

use std::collections::HashMap;
use std::sync::Arc;

use tose_api::{Hostname, ProjectId, WorkspaceId};
use tose_model::access::WorkspaceScope;
use tose_model::error::Result;
use tose_model::project::Project;
use tose_store::{Monitor, ProjectFacts, Window};

use super::tell::Subject;
use crate::app::Platform;
use crate::app::uptime::{Activity, activity};
use crate::uptime::Target;

/// Maintenances that have not ended.
pub(super) type Windows = HashMap<WorkspaceId, Vec<Window>>;

/// A monitor as the store has it.
pub(super) struct Entry {
    pub(super) monitor: Monitor,
    pub(super) subject: Subject,
    pub(super) state: Activity,
    /// What is checked; `None` while it is not.
    pub(super) target: Option<Arc<Target>>,
}

/// Everything that there is.
pub(super) struct Looked {
    pub(super) entries: Vec<Entry>,
    pub(super) windows: Windows,
}

impl Entry {
    fn new(
        platform: &Platform,
        monitor: Monitor,
        (project, facts): (Project, ProjectFacts),
        hosts: &[Hostname],
    ) -> Self {
        let state = activity(&project, facts);
        let target = match state {
            Activity::Live => {
                let target = platform.check_target(&project, facts, &monitor.settings, hosts);
                // What is wrong with one is no matter of the others.
                target
                    .inspect_err(|error| tracing::error!(project_id = %project.id, %error, "a project cannot be checked"))
                    .ok()
                    .map(Arc::new)
            }
            Activity::NotLive | Activity::Resting => None,
        };
        let subject = Subject {
            workspace: project.workspace,
            project: project.slug,
        };
        Self {
            monitor,
            subject,
            state,
            target,
        }
    }
}

/// Looks at everything.
pub(super) async fn look(platform: &Platform) -> Result<Looked> {
    let store = &platform.store;
    let windows = look_for_windows(platform).await?;
    let monitors = store.list_monitors_for_task().await?;
    let projects = store.list_monitored_projects_for_task().await?;
    let mut projects: HashMap<_, _> = projects
        .into_iter()
        .map(|(project, facts)| (project.id, (project, facts)))
        .collect();
    let mut hosts: HashMap<_, Vec<_>> = HashMap::new();
    for (id, host) in store.list_monitored_hosts_for_task().await? {
        hosts.entry(id).or_default().push(host);
    }
    let entries = monitors.into_iter().filter_map(|monitor| {
        let id = monitor.project_id;
        let project = projects.remove(&id)?;
        let hosts = hosts.remove(&id).unwrap_or_default();
        Some(Entry::new(platform, monitor, project, &hosts))
    });
    Ok(Looked {
        entries: entries.collect(),
        windows,
    })
}

/// Looks at one project; `None` if it is not to be checked at any time.
pub(super) async fn look_at(platform: &Platform, id: ProjectId) -> Result<Option<Entry>> {
    let store = &platform.store;
    let Some(monitor) = store.find_monitor_for_task(id).await? else {
        return Ok(None);
    };
    let scope = WorkspaceScope::for_task(monitor.workspace_id);
    let Some(project) = store.find_project(&scope, id).await? else {
        return Ok(None);
    };
    let hosts = platform.own_hosts(&scope, id).await?;
    Ok(Some(Entry::new(platform, monitor, project, &hosts)))
}

pub(super) async fn look_for_windows(platform: &Platform) -> Result<Windows> {
    let now = platform.now();
    let mut windows = Windows::new();
    for window in platform.store.list_windows_for_task(now).await? {
        let of_workspace = windows.entry(window.workspace_id).or_default();
        of_workspace.push(window);
    }
    Ok(windows)
}

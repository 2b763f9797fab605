//! The route book: the table that the data plane has, and the only writer of it.
//!
//! Invariant: the book changes only when the data plane has confirmed the new table. It begins with
//! the last table on disk, so a fresh control plane never takes a route away that it has not looked
//! at.

use std::collections::BTreeMap;

use tokio::sync::Mutex;
use tose_api::{Hostname, ProjectId};
use tose_model::route::{Backend, Route, RouteTable};

use crate::data_plane::{DataPlane, DataPlaneError};

/// The table that the data plane has.
pub(crate) struct RouteBook {
    table: Mutex<RouteTable>,
}

impl RouteBook {
    pub(crate) fn new(table: RouteTable) -> Self {
        Self {
            table: Mutex::new(table),
        }
    }

    /// Puts these routes in place of the project's and waits until visitors get them. Nothing is sent
    /// when nothing changed.
    pub(crate) async fn replace(
        &self,
        data_plane: &dyn DataPlane,
        project_id: ProjectId,
        routes: BTreeMap<Hostname, Route>,
    ) -> Result<(), DataPlaneError> {
        let mut table = self.table.lock().await;
        let mut next = table.clone();
        if !next.replace_project(project_id, routes) {
            return Ok(());
        }
        next.generation += 1;
        data_plane.publish(&next).await?;
        *table = next;
        Ok(())
    }

    /// The names of the replicas that visitors of a project are sent to.
    pub(crate) async fn backends_of(&self, project_id: ProjectId) -> Vec<String> {
        let table = self.table.lock().await;
        let mut names: Vec<String> = table
            .routes
            .values()
            .filter(|route| route.project_id == project_id)
            .flat_map(|route| route.backends.iter().map(|backend| backend.replica.clone()))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Where a routed replica is reached, as the data plane was told.
    pub(crate) async fn find_backend(
        &self,
        project_id: ProjectId,
        replica: &str,
    ) -> Option<Backend> {
        let table = self.table.lock().await;
        table
            .routes
            .values()
            .filter(|route| route.project_id == project_id)
            .flat_map(|route| &route.backends)
            .find(|backend| backend.replica == replica)
            .cloned()
    }

    /// The projects that have a route.
    pub(crate) async fn projects(&self) -> Vec<ProjectId> {
        let table = self.table.lock().await;
        let mut ids: Vec<_> = table
            .routes
            .values()
            .map(|route| route.project_id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

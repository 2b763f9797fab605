//! The route book: the table that the data plane has, and the only writer of it.
//!
//! Invariant: the book changes only when the data plane has confirmed the new table. It begins with
//! the last table on disk, so a fresh control plane never takes a route away that it has not looked
//! at. Whether the data plane took that table, or one whose answer was lost, is not known: such a
//! book is published again, changed or not.

use std::sync::PoisonError;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex, oneshot};
use tose_api::ProjectId;
use tose_model::route::{Backend, IndexedTable, ProjectRoutes, RouteChange, RouteTable};

use crate::data_plane::{DataPlane, DataPlaneError};

/// The table that the data plane has.
pub(crate) struct RouteBook {
    /// Held while a table is published.
    page: Mutex<Page>,
    /// What is to be in the next table. Those who come while one is published share the next, so that
    /// a thousand projects that change at once don't write a thousand tables.
    waiting: std::sync::Mutex<Vec<Change>>,
}

struct Page {
    table: IndexedTable,
    /// Whether the data plane has said that it uses this table, and was asked for no other since.
    is_confirmed: bool,
}

struct Change {
    project_id: ProjectId,
    routes: ProjectRoutes,
    outcome: oneshot::Sender<Result<(), DataPlaneError>>,
}

impl RouteBook {
    pub(crate) fn new(table: RouteTable) -> Self {
        Self {
            page: Mutex::new(Page {
                table: table.into(),
                is_confirmed: false,
            }),
            waiting: std::sync::Mutex::default(),
        }
    }

    /// Puts these routes in place of the project's and waits until visitors get them. Nothing is sent
    /// when nothing changed.
    pub(crate) async fn replace(
        &self,
        data_plane: &dyn DataPlane,
        project_id: ProjectId,
        routes: ProjectRoutes,
    ) -> Result<(), DataPlaneError> {
        let (outcome, mut answered) = oneshot::channel();
        self.waiting().push(Change {
            project_id,
            routes,
            outcome,
        });
        let mut page = self.page.lock().await;
        // Whoever had the lock before may have taken this change along.
        match answered.try_recv() {
            Ok(outcome) => return outcome,
            Err(TryRecvError::Closed) => return Err(given_up()),
            Err(TryRecvError::Empty) => {}
        }
        let changes = std::mem::take(&mut *self.waiting());
        let (routes, outcomes): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .map(|change| ((change.project_id, change.routes), change.outcome))
            .unzip();
        let published = page.publish(data_plane, routes).await;
        for outcome in outcomes {
            // One that waits no more has nothing to learn.
            let _ = outcome.send(again(&published));
        }
        published
    }

    /// Makes sure that the data plane uses the table, if it has not said so.
    pub(crate) async fn confirm(&self, data_plane: &dyn DataPlane) -> Result<(), DataPlaneError> {
        self.page.lock().await.publish(data_plane, Vec::new()).await
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Change>> {
        // Each change is pushed and taken in one go, so a panic leaves a whole list.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the replicas that visitors of a project are sent to.
    pub(crate) async fn backends_of(&self, project_id: ProjectId) -> Vec<String> {
        let table = &self.page.lock().await.table;
        let backends = table
            .hosts_of(project_id)
            .flat_map(|(_, route)| &route.backends);
        let mut names: Vec<String> = backends.map(|backend| backend.replica.clone()).collect();
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
        let table = &self.page.lock().await.table;
        table
            .hosts_of(project_id)
            .flat_map(|(_, route)| &route.backends)
            .find(|backend| backend.replica == replica)
            .cloned()
    }

    /// Whether a host's requests are to be logged.
    pub(crate) async fn has_access_log(&self) -> bool {
        let page = self.page.lock().await;
        let mut rules = page
            .table
            .table()
            .routes
            .values()
            .filter_map(|route| route.rules.as_ref());
        rules.any(|rules| rules.access_log)
    }

    /// The projects that have a route.
    pub(crate) async fn projects(&self) -> Vec<ProjectId> {
        self.page.lock().await.table.projects().collect()
    }
}

impl Page {
    /// Makes one table of all changes, in their order, and publishes it if the data plane is not known
    /// to have it.
    async fn publish(
        &mut self,
        data_plane: &dyn DataPlane,
        changes: Vec<(ProjectId, ProjectRoutes)>,
    ) -> Result<(), DataPlaneError> {
        let is_there = |(id, routes): &(_, _)| self.table.has(*id, routes);
        if self.is_confirmed && changes.iter().all(is_there) {
            return Ok(());
        }
        let change = RouteChange::new(self.table.table().generation + 1, changes);
        // One that is not confirmed may not be what this change is made for.
        let known = std::mem::take(&mut self.is_confirmed).then_some(&change);
        let attempt = Attempt::new(self, &change);
        data_plane
            .publish(attempt.page.table.table(), known)
            .await?;
        attempt.confirm();
        Ok(())
    }
}

/// A change that is in the book while the data plane is asked to take it. Dropped before it is
/// confirmed, whoever asked having gone included, it leaves the book as it was.
struct Attempt<'a> {
    page: &'a mut Page,
    undo: Option<RouteChange>,
}

impl<'a> Attempt<'a> {
    fn new(page: &'a mut Page, change: &RouteChange) -> Self {
        let ids = change.projects.keys();
        let before = ids.map(|id| (*id, page.table.routes_of(*id)));
        let undo = RouteChange::new(page.table.table().generation, before);
        page.table.apply(change);
        Self {
            page,
            undo: Some(undo),
        }
    }

    fn confirm(mut self) {
        self.undo = None;
        self.page.is_confirmed = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(undo) = &self.undo {
            self.page.table.apply(undo);
        }
    }
}

/// The same outcome for one more who waited for it.
fn again(outcome: &Result<(), DataPlaneError>) -> Result<(), DataPlaneError> {
    outcome.as_ref().copied().map_err(|error| DataPlaneError {
        operation: error.operation,
        source: error.source.to_string().into(),
    })
}

fn given_up() -> DataPlaneError {
    DataPlaneError {
        operation: "take the new routes",
        source: "the server is ending".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeMap;

    use async_trait::async_trait;
    use tokio::sync::Semaphore;
    use tose_api::Hostname;
    use tose_model::driver::ReplicaName;
    use tose_model::error::BoxError;
    use tose_model::route::Route;
    use tose_model::traffic::{AccessRecord, Traffic};

    /// Takes a table for each permit.
    #[derive(Default)]
    struct Gate {
        permits: Option<Semaphore>,
        tables: std::sync::Mutex<Vec<RouteTable>>,
        refuses: bool,
    }

    #[async_trait]
    impl DataPlane for Gate {
        async fn publish(
            &self,
            table: &RouteTable,
            _: Option<&RouteChange>,
        ) -> Result<(), DataPlaneError> {
            self.tables.lock().expect("no panic").push(table.clone());
            if let Some(permits) = &self.permits {
                permits.acquire().await.expect("an open gate").forget();
            }
            if self.refuses {
                return Err(DataPlaneError {
                    operation: "take the new routes",
                    source: BoxError::from("refused"),
                });
            }
            Ok(())
        }

        async fn forget_certificates(&self, _: &[Hostname]) -> Result<(), DataPlaneError> {
            Ok(())
        }

        async fn in_flight(&self, _: &ReplicaName) -> Result<u64, DataPlaneError> {
            Ok(0)
        }

        async fn traffic(&self) -> Result<BTreeMap<ProjectId, Traffic>, DataPlaneError> {
            Ok(BTreeMap::new())
        }

        async fn take_access_records(&self) -> Result<(Vec<AccessRecord>, u64), DataPlaneError> {
            Ok((Vec::new(), 0))
        }

        async fn ensure_running(&self) -> Result<(), DataPlaneError> {
            Ok(())
        }
    }

    fn routes_of(number: u128) -> (ProjectId, ProjectRoutes) {
        let project_id = ProjectId::from_uuid(uuid::Uuid::from_u128(number));
        let slug = |text: &str| text.parse().expect("a slug");
        let route = Route {
            project_id,
            workspace: slug("demo"),
            project: slug("app"),
            backends: Vec::new(),
            reason: None,
            https_port: None,
            rules: None,
        };
        let host = format!("app-{number}.localhost").parse().expect("a host");
        let routes = ProjectRoutes {
            hosts: BTreeMap::from([(host, route)]),
            ..ProjectRoutes::default()
        };
        (project_id, routes)
    }

    #[tokio::test]
    async fn changes_that_come_while_a_table_is_published_share_the_next() {
        let gate = Gate {
            permits: Some(Semaphore::new(0)),
            ..Gate::default()
        };
        let book = RouteBook::new(RouteTable::default());
        let all = futures_util::future::join_all((0..100).map(|number| {
            let (project_id, routes) = routes_of(number);
            book.replace(&gate, project_id, routes)
        }));
        let open = async {
            // Everybody has asked by now: the futures are polled in order.
            gate.permits.as_ref().expect("a gate").add_permits(2);
        };
        let (outcomes, ()) = tokio::join!(all, open);
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(book.projects().await.len(), 100);
        let tables = gate.tables.lock().expect("no panic");
        let sizes: Vec<usize> = tables.iter().map(|table| table.routes.len()).collect();
        assert_eq!(sizes, [1, 100]);
    }

    #[tokio::test]
    async fn a_refused_table_is_refused_to_all_and_changes_nothing() {
        let gate = Gate {
            refuses: true,
            ..Gate::default()
        };
        let book = RouteBook::new(RouteTable::default());
        let all = futures_util::future::join_all((0..3).map(|number| {
            let (project_id, routes) = routes_of(number);
            book.replace(&gate, project_id, routes)
        }));
        assert!(all.await.iter().all(Result::is_err));
        assert!(book.projects().await.is_empty());
    }

    #[tokio::test]
    async fn a_table_that_the_data_plane_has_not_confirmed_is_published_until_it_has() {
        let mut gate = Gate {
            refuses: true,
            ..Gate::default()
        };
        let book = RouteBook::new(RouteTable::default());
        book.confirm(&gate).await.expect_err("it refuses");
        gate.refuses = false;
        for _ in 0..2 {
            book.confirm(&gate).await.expect("published");
        }
        assert_eq!(gate.tables.lock().expect("no panic").len(), 2);

        // What became of a refused change is not known, so the table before it is published anew.
        let (project_id, routes) = routes_of(1);
        gate.refuses = true;
        book.replace(&gate, project_id, routes)
            .await
            .expect_err("it refuses");
        gate.refuses = false;
        book.replace(&gate, project_id, ProjectRoutes::default())
            .await
            .expect("published");
        let tables = gate.tables.lock().expect("no panic");
        assert_eq!(tables.len(), 4);
        assert!(tables[3].routes.is_empty());
    }

    #[tokio::test]
    async fn what_is_there_already_is_not_published() {
        let gate = Gate::default();
        let book = RouteBook::new(RouteTable::default());
        for _ in 0..2 {
            let (project_id, routes) = routes_of(1);
            book.replace(&gate, project_id, routes)
                .await
                .expect("published");
        }
        assert_eq!(gate.tables.lock().expect("no panic").len(), 1);
    }
}

//! The data plane as the control plane sees it: a process of its own that outlives this one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tose_api::{Hostname, ProjectId};
use tose_model::driver::ReplicaName;
use tose_model::error::BoxError;
use tose_model::route::{RouteChange, RouteTable};
use tose_model::traffic::{AccessRecord, Traffic};

/// The data plane did not do as asked.
#[derive(Debug, thiserror::Error)]
#[error("the proxy could not {operation}")]
pub struct DataPlaneError {
    /// What was asked of it.
    pub operation: &'static str,
    /// What went wrong.
    #[source]
    pub source: BoxError,
}

/// What answers visitors.
#[async_trait]
pub trait DataPlane: Send + Sync {
    /// Makes every worker use `table`. When this returns, no new request meets an older one. `change` is
    /// what made the table out of the one that was confirmed last; `None` where none was.
    async fn publish(
        &self,
        table: &RouteTable,
        change: Option<&RouteChange>,
    ) -> Result<(), DataPlaneError>;

    /// Makes it read the certificates of these hosts anew.
    async fn forget_certificates(&self, hosts: &[Hostname]) -> Result<(), DataPlaneError>;

    /// Requests and tunnels that run on a replica at this moment.
    async fn in_flight(&self, replica: &ReplicaName) -> Result<u64, DataPlaneError>;

    /// What visitors asked of each project and got, since the data plane's start; a project without
    /// any is left out. The numbers begin anew when it is started again, see [`Traffic::since`].
    async fn traffic(&self) -> Result<BTreeMap<ProjectId, Traffic>, DataPlaneError>;

    /// Takes the oldest requests that are to be written into their projects' logs, and how many were lost
    /// before them; an empty list is the end for now.
    async fn take_access_records(&self) -> Result<(Vec<AccessRecord>, u64), DataPlaneError>;

    /// Makes sure that it runs, starting it if it does not.
    async fn ensure_running(&self) -> Result<(), DataPlaneError>;
}

//! Host names that lead to a project.

use serde::{Deserialize, Serialize};

use crate::{DomainId, Hostname, Timestamp};

/// How far a domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainStatus {
    /// Its DNS record was not seen so far.
    Pending,
    /// It leads to the project.
    Active,
    /// It cannot be used; the reason says why.
    Failed,
}

/// A host name that leads to a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainView {
    /// The domain's id.
    pub id: DomainId,
    /// The host name.
    pub domain: Hostname,
    /// How far it is.
    pub status: DomainStatus,
    /// Whether it is the one that the platform gave.
    pub is_default: bool,
    /// When it was added.
    pub created_at: Timestamp,
}

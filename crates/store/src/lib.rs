//! All SQL, and nothing but SQL: one file per resource.
//!
//! Invariants: every function that reads or writes a workspace's row takes a `WorkspaceScope` and
//! puts it into the statement; the few that tasks need for all workspaces are named `…_for_task(s)`.
//! Each function is one short transaction. A deployment's status is changed by compare-and-swap
//! with the table of `tose_model::deployment::state`.
//!
//! Not here: what a change means, ciphers (values arrive sealed), and any other IO.

mod account;
mod database;
mod deployment;
mod domain;
mod env_var;
mod error;
mod event;
mod git;
mod lease;
mod project;
mod row;
mod setting;
mod workspace;

pub use account::{Bootstrap, NewApiKey};
pub use database::Store;
pub use deployment::{NewDeployment, Transition};
pub use domain::Domain;
pub use env_var::{EnvVar, KeepOthers, NewEnvVar};
pub use error::{Error, Result};
pub use event::NewEvent;
pub use git::GitConnection;
pub use lease::Lease;
pub use project::{NewProject, ProjectChanges, ProjectFacts, ProjectRef};
pub use workspace::{NewWorkspace, Workspace};

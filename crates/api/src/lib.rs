//! The wire contract: what a client and the server say to each other.
//!
//! Owns ids, parsed names, quantities, request and response types, error kinds and (feature
//! `client`) the typed client. Every value here is checked when it is made, so code behind the
//! edge never meets an unchecked name.
//!
//! Not here: rules about what may happen (`tose-model`) and how an answer becomes HTTP
//! (`tose-server`, `http/error.rs`).

pub mod account;
pub mod alert;
pub mod analysis;
pub mod autoscaling;
pub mod database;
pub mod deployment;
pub mod domain;
pub mod domain_settings;
pub mod drain;
pub mod env_var;
pub mod envelope;
pub mod error;
pub mod event;
pub mod exec;
pub mod git;
pub mod github;
pub mod id;
pub mod job;
pub mod log;
pub mod maintenance;
pub mod member;
pub mod metrics;
pub mod name;
pub mod notification;
mod number;
pub mod project;
pub mod quantity;
pub mod registry;
pub mod schedule;
pub mod status_page;
pub mod template;
pub mod time;
pub mod uptime;
pub mod wallet;
pub mod workspace;

#[cfg(feature = "client")]
pub mod client;

pub use envelope::{Failure, Meta, Success};
pub use error::Kind;
pub use id::{
    AlertId, ApiKeyId, BackupId, DeploymentId, DomainId, DrainId, EventId, InvitationId, JobId,
    MaintenanceId, NoticeId, NotificationChannelId, PaymentId, ProjectId, PushDeliveryId,
    SessionId, TopupId, TransactionId, UserId, WorkspaceId,
};
pub use name::{
    BranchName, Email, EnvKey, Hostname, ImageRef, Port, RegistryHost, RepoPath, RepoUrl, Slug,
};
pub use quantity::{Cpu, Ram};
pub use time::Timestamp;

//! All SQL, and nothing but SQL: one file per resource.
//!
//! Invariants: every function that reads or writes a workspace's row takes a `WorkspaceScope` and
//! puts it into the statement; the few that tasks need for all workspaces are named `…_for_task(s)`,
//! those that count for operators `count_all_…`.
//! Each function is one short transaction. A deployment's status is changed by compare-and-swap
//! with the table of `tose_model::deployment::state`.
//!
//! Not here: what a change means, ciphers (values arrive sealed), and any other IO.

mod account;
mod alert;
mod api_key;
mod autoscaling;
mod backup;
mod certificate;
mod commit_status;
mod count;
mod database;
mod deletion;
mod deployment;
mod domain;
mod domain_settings;
mod drain;
mod env_var;
mod error;
mod event;
mod fsck;
mod git;
mod github;
mod heartbeat;
mod idempotency;
mod invitation;
mod job;
mod lease;
mod ledger;
mod maintenance;
mod managed_database;
mod member;
mod notice;
mod notification;
mod payment;
mod preview;
mod project;
mod project_record;
mod project_ref;
mod push;
mod registry;
mod row;
mod schedule;
mod session;
mod setting;
mod status_page;
mod uptime;
mod uptime_history;
mod usage;
mod user;
mod wallet;
mod workspace;

pub use account::Bootstrap;
pub use alert::{Alert, AlertBoard, AlertFiring, AlertProject};
pub use api_key::{ApiKey, KeyHolder, NewApiKey};
pub use autoscaling::{Autoscaling, AutoscalingSettings, Refusal, Scaled};
pub use backup::{Backup, BackupFacts, BackupPlace, MadeBackup, NewBackup};
pub use certificate::{
    CertificateState, Defaults, DueCertificate, ExpiringCertificate, NewCertificate,
    StoredCertificate,
};
pub use commit_status::{DueReport, ReportAccess, ReportWay, Reported};
pub use count::{ProjectGroup, ProjectName};
pub use database::Store;
pub use deployment::{NewDeployment, RunningVersion, Transition};
pub use domain::{Domain, Verdict};
pub use domain_settings::{ProjectHost, StoredPath, StoredSettings};
pub use drain::{Delivered, Drain, DrainSettings, DueDrain};
pub use env_var::{EnvVar, KeepOthers, NewEnvVar};
pub use error::{Error, Result};
pub use event::NewEvent;
pub use fsck::Finding;
pub use git::{GitConnection, LastReport};
pub use github::{GithubFound, GithubState, NewGithubState};
pub use idempotency::Claim;
pub use invitation::Invitation;
pub use job::{JobEnd, NewJob};
pub use lease::Lease;
pub use ledger::{BookLine, LedgerEntry, NewEntry};
pub use maintenance::{Maintenance, Window};
pub use managed_database::{DatabaseChanges, NewDatabase};
pub use member::Member;
pub use notice::{Attempt, DueOutlet, Fate, Notice, WaitingNotice};
pub use notification::{LastMessage, NotificationChannel};
pub use payment::{NewPayment, Payment, Settled, Topup, TopupKey};
pub use project::{NewKind, NewPreview, NewProject, ProjectChanges, ProjectFacts};
pub use project_record::{Listed, ProjectRecord};
pub use project_ref::ProjectRef;
pub use push::{NewPushDelivery, PushCandidate};
pub use registry::RegistryLogin;
pub use schedule::Run as ScheduleRun;
pub use session::{NewSession, Session};
pub use status_page::{ShownIncident, ShownProject, StatusPage};
pub use uptime::{Monitor, MonitorSettings};
pub use uptime_history::{CheckOutcome, CheckSum};
pub use usage::{
    MeterLook, MeterMemory, MeteredEnd, MeteredStorage, MonthTotals, OpenUsage, ResourceTotals,
};
pub use user::{NewUser, Operator, User};
pub use wallet::{Lack, NewHold, Wallet};
pub use workspace::{NewWorkspace, Workspace};

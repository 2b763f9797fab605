//! What end-to-end tests stand on: the real `tosed` and `tose`, a real engine, real Git.
//!
//! Owns: one installation for each test with everything that belongs to it, and its end: a test that
//! leaves a process or a container behind fails.
//! Invariant: a test waits through [`eventually`] alone, and no test measures speed.
//! Not here: what is tested (`tests/it`).

mod api;
mod crowd;
mod empty_registry;
mod engine;
mod events;
mod eventually;
mod firewall;
mod https_git;
mod installation;
mod log;
mod pebble;
mod private_registry;
mod program;
mod project;
mod repository;
mod s3;
mod smtp;
mod source;
mod sshd;
mod ws;

pub use api::{Answer, Api};
pub use crowd::{Crowd, Page, visit};
pub use empty_registry::EmptyRegistry;
pub use engine::{Container, containers, docker};
pub use events::EngineEvents;
pub use eventually::{eventually, when, within};
pub use firewall::{Opening, installation_of, may_change_rules, network_of, remove_own_rules};
pub use https_git::{ApiCall, HttpsGit, TOKEN, make_certificate_for};
pub use installation::{Installation, free_addr};
pub use log::{Line, Log, WHOLE, read_log};
pub use pebble::{Addrs, Pebble};
pub use private_registry::PrivateRegistry;
pub use program::{Outcome, program, run, run_with_input};
pub use project::Project;
pub use repository::Repository;
pub use s3::S3;
pub use smtp::Smtp;
pub use source::Source;
pub use sshd::Sshd;
pub use ws::{echo, read_socket};

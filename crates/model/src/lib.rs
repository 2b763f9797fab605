//! The rules of the platform, without IO: what may happen, and what has to happen next.
//!
//! Owns states and their transitions, the planner, the route table, access rules, and the traits
//! through which the world comes in ([`driver::Driver`], [`clock::Clock`], [`clock::IdGen`]).
//!
//! Not here: SQL (`tose-store`), the engine (`tose-driver-docker`), HTTP (`tose-server`).

pub mod access;
pub mod alert;
pub mod analysis;
pub mod assistant;
pub mod autoscale;
pub mod build_secret;
pub mod clock;
pub mod command;
pub mod commit_status;
pub mod database;
pub mod deployment;
pub mod dockerfile;
pub mod drain;
pub mod driver;
pub mod error;
pub mod job;
pub mod ledger;
pub mod log;
pub mod maintenance;
pub mod meter;
pub mod money;
pub mod notice;
pub mod payment;
pub mod plan;
pub mod pricing;
pub mod process;
pub mod project;
pub mod pull_request;
pub mod push;
pub mod quota;
pub mod recipe;
pub mod redaction;
pub mod reference;
pub mod route;
pub mod schedule;
pub mod secret;
pub mod slug;
pub mod template;
pub mod traffic;
pub mod uptime;
pub mod wallet;

pub use clock::{Clock, IdGen};
pub use driver::Driver;
pub use error::{Error, Result};

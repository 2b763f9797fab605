//! HTTP: from requests to use cases and back.
//!
//! A handler parses, calls one use case, and converts. Not here: rules, store, engine.

mod accept;
mod alert;
mod auth;
mod autoscaling;
mod body;
mod database;
mod deployment;
mod doc;
mod docs;
mod domain;
mod drain;
mod env_var;
mod error;
mod etag;
mod exec;
mod git;
mod git_push;
mod github;
mod guard;
mod heartbeat;
mod hook;
mod idempotency;
mod job;
mod kept;
mod log;
mod log_socket;
mod maintenance;
mod member;
mod metrics;
mod notification;
mod openapi;
mod payment;
mod pkt_line;
mod project;
mod push;
mod registry;
mod reply;
mod routes;
mod schedule;
mod status_page;
mod system;
mod template;
mod uptime;
mod wallet;
mod workspace;

pub(crate) use accept::{Listener, serve};
pub(crate) use routes::router;

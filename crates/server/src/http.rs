//! HTTP: from requests to use cases and back.
//!
//! A handler parses, calls one use case, and converts. Not here: rules, store, engine.

mod accept;
mod body;
mod deployment;
mod env_var;
mod error;
mod git;
mod guard;
mod log_socket;
mod project;
mod reply;
mod routes;
mod system;
mod workspace;

pub(crate) use accept::{Listener, serve};
pub(crate) use routes::router;

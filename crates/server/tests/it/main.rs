//! The server over HTTP, with a fake engine, a clock that is set, and everything else real.

mod access;
mod account;
mod calls;
mod concurrency;
mod contract;
mod crash;
mod deployment;
mod domain;
mod env_var;
mod feature;
mod git;
mod git_push;
mod harness;
mod input;
mod kill;
mod liveness;
mod log_socket;
mod member;
mod metrics;
mod preview;
mod project;
mod push;
mod recipe;
mod registry;
mod sequence;

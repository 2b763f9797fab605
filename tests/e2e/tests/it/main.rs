//! The platform as its users meet it: the walkthrough, what goes wrong on it, and what survives.
//!
//! With `TOSE_TEST_ENGINE=required` a missing engine or image fails these tests; elsewhere they say
//! that they were skipped.

mod acme;
mod alert;
mod analysis;
mod autoscale;
mod bad_input;
mod build_limits;
mod build_log;
mod chaos;
mod cli;
mod control_plane;
mod database;
mod deploy;
mod drain;
mod edge;
mod endurance;
mod expose;
mod feature;
mod git_push;
mod github;
mod https;
mod lifecycle;
mod live_log;
mod liveness;
mod log_search;
mod log_tier;
mod mail;
mod pages;
mod preview;
mod recipe;
mod registry;
mod ssh;
mod template;
mod tenants;
mod wallet;

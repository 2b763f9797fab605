//! Runs the real binary and looks at its exit code, its output, its files and what it sends.
//!
//! The other end is a stand-in that answers what a test tells it to. The same commands against the
//! real server are tested end to end, elsewhere.

mod harness;
mod stand_in;
mod terminal;
mod views;

mod alert;
mod autoscale;
mod completions;
mod db;
mod deploy;
mod deployments;
mod domain_settings;
mod domains;
mod down;
mod drains;
mod env;
mod events;
mod exec;
mod explain;
mod generate;
mod git;
mod github;
mod help;
mod init;
mod keys;
mod login;
mod logs;
mod maintenance;
mod members;
mod metrics;
mod notify;
mod open;
mod previews;
mod project;
mod prompt;
mod registry;
mod rollback;
mod scale;
mod schedules;
mod status_page;
mod template;
mod upload;
mod uptime;
mod usage;
mod wallet;

//! The store's suite. Each case gets a fresh database; a second database kind runs the same cases.

mod account;
mod api_key;
mod commit_status;
mod count;
mod deployment;
mod domain;
mod domain_settings;
mod drain;
mod env_var;
mod event;
mod fsck;
mod harness;
mod idempotency;
mod invitation;
mod lease;
mod managed_database;
mod member;
mod notice;
mod project;
mod project_record;
mod push;
mod registry;
mod session;
mod uptime;
mod user;
mod wallet;

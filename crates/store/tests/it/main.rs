//! The store's suite. Each case gets a fresh database; a second database kind runs the same cases.

mod account;
mod deployment;
mod env_var;
mod harness;
mod lease;
mod project;

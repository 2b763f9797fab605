//! The server over HTTP, with a fake engine, a clock that is set, and everything else real.

mod crash;
mod deployment;
mod env_var;
mod git;
mod harness;
mod input;
mod log_socket;
mod project;
mod unauthorized;

//! From a repository to a build context: clone, look, choose, pack. No engine, no store, no shell.

pub(crate) mod archive;
pub(crate) mod choice;
pub(crate) mod context;
pub(crate) mod git;
pub(crate) mod hosted;
pub(crate) mod log_budget;
pub(crate) mod size;
pub(crate) mod source;
pub(crate) mod ssh;

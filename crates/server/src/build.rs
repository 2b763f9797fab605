//! From a repository to a build context: clone, look, pack. No engine, no store, no shell.

pub(crate) mod archive;
pub(crate) mod context;
pub(crate) mod dockerfile;
pub(crate) mod git;
pub(crate) mod hosted;
pub(crate) mod ssh;

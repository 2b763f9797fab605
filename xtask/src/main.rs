//! `cargo xtask COMMAND`: what this repository checks about itself and lints cannot see.
//!
//! `tidy` reads every file that Git knows or would add, and prints `path:line: rule: what to do` for
//! each finding. Not here: formatting (rustfmt) and what Clippy can see (`clippy.toml`, the lints of
//! the workspace).

mod finding;
mod output;
mod rust;
mod tidy;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::tree::Tree;

const USAGE: &str = "usage: cargo xtask tidy";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => tidy(),
        _ => bail!(USAGE),
    }
}

fn tidy() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in no folder")?;
    let tree = Tree::read(root)?;
    let findings = tidy::check(&tree);
    for finding in &findings {
        output::line(&finding.to_string());
    }
    let (files, count) = (tree.files().len(), findings.len());
    output::line(&format!("tidy: {files} files, {count} findings"));
    Ok(match count {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

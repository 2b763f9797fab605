//! `tose env`: the project's environment variables.

mod list;
mod pull;
mod push;
mod set;
mod unset;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use tose_api::EnvKey;

use crate::context::Context;
use crate::error::Error;

#[derive(Subcommand)]
pub(crate) enum EnvCommand {
    /// List the variables; secret values are masked
    List,
    /// Set variables
    Set(set::SetArgs),
    /// Remove variables
    Unset(unset::UnsetArgs),
    /// Write the variables, secrets included, to a .env file
    Pull(pull::PullArgs),
    /// Set the variables of a .env file
    Push(push::PushArgs),
}

pub(crate) async fn run(ctx: &Context, command: EnvCommand) -> Result<()> {
    match command {
        EnvCommand::List => list::run(ctx).await,
        EnvCommand::Set(args) => set::run(ctx, args).await,
        EnvCommand::Unset(args) => unset::run(ctx, args).await,
        EnvCommand::Pull(args) => pull::run(ctx, args).await,
        EnvCommand::Push(args) => push::run(ctx, args).await,
    }
}

/// The variables of `KEY=VALUE` texts. What is wrong is told by the number behind `noun`: a value may be
/// a secret.
pub(super) fn parse_assignments(
    assignments: &[String],
    noun: &str,
) -> Result<BTreeMap<EnvKey, String>> {
    let mut variables = BTreeMap::new();
    for (index, assignment) in assignments.iter().enumerate() {
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(Error::Usage(format!("{noun} {} is no KEY=VALUE", index + 1)).into());
        };
        let parsed = key
            .parse()
            .map_err(|error| Error::Usage(format!("`{key}`: {error}")))?;
        variables.insert(parsed, value.to_owned());
    }
    Ok(variables)
}

/// Says when changed variables reach the app.
fn note_when_it_applies(ctx: &Context) {
    ctx.output
        .note("applies from the next deployment on: `tose deploy --redeploy` is the shortest");
}

/// The file that is meant: `-` stands for the standard stream.
fn file(path: &Path) -> Option<PathBuf> {
    (path != Path::new("-")).then(|| path.to_owned())
}

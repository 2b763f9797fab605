//! `tose env`: the project's environment variables.

mod list;
mod pull;
mod push;
mod set;
mod unset;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;

use crate::context::Context;

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

/// Says when changed variables reach the app.
fn note_when_it_applies(ctx: &Context) {
    ctx.output
        .note("applies from the next deployment on: `tose deploy --redeploy` is the shortest");
}

/// The file that is meant: `-` stands for the standard stream.
fn file(path: &Path) -> Option<PathBuf> {
    (path != Path::new("-")).then(|| path.to_owned())
}

//! `tose env push`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use tose_api::EnvKey;
use tose_api::env_var::{EnvVarsChanged, MASK, SetEnvVars};

use super::{file, note_when_it_applies};
use crate::context::Context;
use crate::dotenv;
use crate::error::Error;

#[derive(Args)]
pub(crate) struct PushArgs {
    /// The file to read; `-` for stdin
    #[arg(default_value = ".env")]
    file: PathBuf,
    /// Remove the variables that the file does not name
    #[arg(long)]
    replace: bool,
}

pub(super) async fn run(ctx: &Context, args: PushArgs) -> Result<()> {
    let variables = read(&args.file)?;
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let body = SetEnvVars {
        variables,
        merge: !args.replace,
    };
    let changed = client
        .set_env_vars(&target.workspace, &target.project, &body)
        .await?;
    ctx.output.result(&changed, &summary(changed))?;
    note_when_it_applies(ctx);
    Ok(())
}

/// How many variables a change touched.
pub(super) fn summary(changed: EnvVarsChanged) -> String {
    let EnvVarsChanged {
        created,
        updated,
        deleted,
    } = changed;
    format!("{created} created, {updated} updated, {deleted} deleted")
}

fn read(path: &Path) -> Result<BTreeMap<EnvKey, String>> {
    let (name, text) = match file(path) {
        Some(path) => (path.display().to_string(), fs::read_to_string(path)),
        None => ("stdin".to_owned(), io::read_to_string(io::stdin())),
    };
    let text = text.with_context(|| format!("cannot read {name}"))?;
    let parsed = dotenv::parse(&text);
    let variables = parsed.map_err(|source| Error::Dotenv {
        name: name.clone(),
        source,
    })?;
    if let Some((key, _)) = variables.iter().find(|(_, value)| *value == MASK) {
        // It comes from a list with masked secrets, and would take the place of the secret itself.
        let text = format!("{name}: the value of {key} is the mask of a secret, not the secret");
        return Err(Error::Usage(text).into());
    }
    Ok(variables)
}

//! `tose env pull`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tose_api::Kind;
use tose_api::client::Client;
use tose_api::env_var::EnvVarView;

use super::file;
use crate::config::{create_private_file, replace_private_file};
use crate::context::{Context, Target};
use crate::dotenv;
use crate::error::Error;

#[derive(Args)]
pub(crate) struct PullArgs {
    /// The file to write; `-` for stdout
    #[arg(default_value = ".env")]
    file: PathBuf,
    /// Overwrite the file
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(ctx: &Context, args: PullArgs) -> Result<()> {
    let file = file(&args.file);
    if let Some(path) = file.as_ref().filter(|path| !args.force && path.exists()) {
        // Before a secret leaves the server, rather than after.
        return Err(Error::FileExists { path: path.clone() }.into());
    }
    let client = ctx.client()?;
    let target = ctx.target(&client).await?;
    let variables = client
        .list_env_vars(&target.workspace, &target.project)
        .await?;
    let mut text = String::new();
    let mut unread = Vec::new();
    for variable in &variables {
        match reveal(&client, &target, variable).await? {
            Some(value) => text.push_str(&dotenv::line(&variable.key, &value)),
            None => {
                text.push_str(&format!(
                    "# {} is secret: admins can read it\n",
                    variable.key
                ));
                unread.push(variable.key.as_str());
            }
        }
    }
    if !unread.is_empty() {
        let keys = unread.join(", ");
        ctx.output.warn(&format!(
            "left out, since only admins can read secrets: {keys}"
        ));
    }
    let Some(path) = file else {
        return ctx.output.raw(text.as_bytes());
    };
    match args.force {
        true => replace_private_file(&path, &text)?,
        false => create_private_file(&path, &text)?,
    }
    let count = variables.len() - unread.len();
    let data = json!({ "file": args.file, "written": count, "left_out": unread });
    ctx.output.result(
        &data,
        &format!("wrote {count} variables to {}", path.display()),
    )
}

/// The variable's value; `None` when the caller may not read it.
async fn reveal(client: &Client, target: &Target, variable: &EnvVarView) -> Result<Option<String>> {
    if !variable.is_secret {
        return Ok(Some(variable.value.clone()));
    }
    let key = &variable.key;
    match client
        .reveal_env_var(&target.workspace, &target.project, key)
        .await
    {
        Ok(revealed) => Ok(Some(revealed.value)),
        Err(error) if error.kind() == Kind::Forbidden => Ok(None),
        Err(error) => Err(error.into()),
    }
}

//! Whom a command is about that knows projects and databases: the project that is meant, or a database that is named.
//! An instance of a template is a project.

use std::fmt;

use anyhow::Result;
use clap::Args;
use tose_api::Slug;
use tose_api::client::Client;

use crate::context::{Context, Target};
use crate::error::Error;

/// Options of these commands.
#[derive(Args)]
pub(crate) struct SubjectArgs {
    /// A database instead of the project
    #[arg(long, global = true, value_name = "SLUG", display_order = 900)]
    database: Option<Slug>,
}

/// A project, or a database, with its whole address.
pub(crate) struct Subject {
    target: Target,
    is_database: bool,
}

impl SubjectArgs {
    /// Who is meant.
    pub(crate) async fn subject(&self, ctx: &Context, client: &Client) -> Result<Subject> {
        let Some(database) = &self.database else {
            let target = ctx.target(client).await?;
            return Ok(Subject {
                target,
                is_database: false,
            });
        };
        if ctx.project.is_some() {
            let problem = "--project and --database are two things: name one of them";
            return Err(Error::Usage(problem.to_owned()).into());
        }
        let target = Target {
            workspace: ctx.workspace(client).await?,
            project: database.clone(),
        };
        Ok(Subject {
            target,
            is_database: true,
        })
    }
}

impl Subject {
    pub(crate) fn workspace(&self) -> &Slug {
        &self.target.workspace
    }

    pub(crate) fn slug(&self) -> &Slug {
        &self.target.project
    }

    pub(crate) fn is_database(&self) -> bool {
        self.is_database
    }

    /// What other commands need that are to be about the same.
    pub(crate) fn option(&self, ctx: &Context) -> String {
        match self.is_database {
            true => format!(" --database {}", self.slug()),
            false => ctx.project_option(&self.target),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

//! `tose status-page`: what the workspace shows everybody.

use std::str::FromStr;

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::Slug;
use tose_api::status_page::{SetStatusPage, StatusPageProject, StatusPageView};

use crate::context::Context;
use crate::output::{Output, Style};
use crate::text;

#[derive(Args)]
pub(crate) struct StatusPageArgs {
    #[command(subcommand)]
    command: Option<StatusPageCommand>,
}

#[derive(Subcommand)]
enum StatusPageCommand {
    /// Show where it is, what is on it, and its badges; so does `tose status-page` alone
    Show,
    /// Let everybody see it
    On,
    /// Let nobody see it any more; what was set is kept
    Off,
    /// Set what stands above it
    Title(TitleArgs),
    /// Set what it shows, in this order, in place of what it showed
    Projects(ProjectsArgs),
}

#[derive(Args)]
struct TitleArgs {
    /// Such as 'Demo, our shop'
    title: String,
}

#[derive(Args)]
struct ProjectsArgs {
    /// Projects, instances and databases by their slugs, with what they are called there: shop='Our shop'
    #[arg(value_name = "SLUG[=NAME]", required_unless_present = "none")]
    shown: Vec<Shown>,
    /// Show nothing
    #[arg(long, conflicts_with = "shown")]
    none: bool,
}

/// What is shown, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown(StatusPageProject);

impl FromStr for Shown {
    type Err = <Slug as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (slug, name) = match text.split_once('=') {
            Some((slug, name)) => (slug, Some(name.to_owned())),
            None => (text, None),
        };
        Ok(Self(StatusPageProject {
            slug: slug.parse()?,
            // Without a name it goes by its slug.
            name: name.filter(|name| !name.is_empty()),
        }))
    }
}

pub(crate) async fn run(ctx: &Context, args: StatusPageArgs) -> Result<()> {
    let change = match args.command.unwrap_or(StatusPageCommand::Show) {
        StatusPageCommand::Show => None,
        StatusPageCommand::On => Some(SetStatusPage {
            enabled: Some(true),
            ..SetStatusPage::default()
        }),
        StatusPageCommand::Off => Some(SetStatusPage {
            enabled: Some(false),
            ..SetStatusPage::default()
        }),
        StatusPageCommand::Title(args) => Some(SetStatusPage {
            title: Some(args.title),
            ..SetStatusPage::default()
        }),
        StatusPageCommand::Projects(args) => Some(SetStatusPage {
            projects: Some(args.shown.into_iter().map(|shown| shown.0).collect()),
            ..SetStatusPage::default()
        }),
    };
    let client = ctx.client()?;
    let workspace = ctx.workspace(&client).await?;
    let page = match change {
        None => client.get_status_page(&workspace).await?,
        Some(body) => client.set_status_page(&workspace, &body).await?,
    };
    let output = &ctx.output;
    output.result(&page, &details(output, &workspace, &page))?;
    if !page.enabled {
        output.note("nobody sees it: `tose status-page on` shows it to everybody");
    }
    if page.projects.is_empty() {
        output.note("nothing is on it: `tose status-page projects SLUG…` says what is");
    }
    Ok(())
}

fn details(output: &Output, workspace: &Slug, page: &StatusPageView) -> String {
    let state = match page.enabled {
        true => output.paint(Style::Good, "on"),
        false => output.paint(Style::Faint, "off"),
    };
    let mut lines = vec![format!("{workspace}  {state}")];
    let mut tell = |name: &str, value: &str| lines.push(format!("{name:<7}{value}"));
    tell("title", &page.title);
    tell("page", &page.url);
    if let Some(badge) = page.badge_url(None) {
        tell("badge", &badge);
    }
    if !page.projects.is_empty() {
        let row = |shown: &StatusPageProject| {
            [
                shown.slug.to_string(),
                shown.name.clone().unwrap_or_else(|| "-".to_owned()),
                page.badge_url(Some(&shown.slug)).unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = page.projects.iter().map(row).collect();
        let table = text::table(["SHOWN", "NAME", "BADGE"], &rows);
        lines.push(String::new());
        lines.extend(table.lines().map(str::to_owned));
    }
    lines.join("\n")
}

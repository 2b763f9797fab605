//! `tose drains`: outside services that get the project's log lines.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use tose_api::Slug;
use tose_api::client::Client;
use tose_api::drain::{DrainKind, DrainView, SetDrain};

use crate::context::{Context, Target};
use crate::error::Error;
use crate::prompt;
use crate::text;

#[derive(Args)]
pub(crate) struct DrainsArgs {
    #[command(subcommand)]
    command: Option<DrainsCommand>,
}

#[derive(Subcommand)]
enum DrainsCommand {
    /// List them and how they go; so does `tose drains` alone
    List,
    /// Forward log lines to a service from now on
    Add(AddArgs),
    /// Forward nothing to a service any more
    Remove(NameArgs),
    /// Send one line now; a drain that was paused goes on if the service takes it
    Test(NameArgs),
}

#[derive(Args)]
struct AddArgs {
    /// Its name
    name: Slug,
    /// Where it is: syslog+tls://HOST:PORT, syslog://HOST:PORT or an address of HTTP
    url: String,
    /// How it is spoken to; otherwise syslog or http, by the address
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// Send a token along; it is asked for, or read from stdin
    #[arg(long)]
    token: bool,
    /// Send a header along, such as 'X-Scope-OrgID: shop'; others on this machine may see it
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// RFC 5424 over TCP or TLS
    Syslog,
    /// A JSON array of lines
    Http,
    /// Grafana Loki
    Loki,
    /// OpenTelemetry over HTTP
    Otlp,
}

#[derive(Args)]
struct NameArgs {
    /// Its name
    name: Slug,
}

pub(crate) async fn run(ctx: &Context, args: DrainsArgs) -> Result<()> {
    let client = &ctx.client()?;
    let target = &ctx.target(client).await?;
    match args.command.unwrap_or(DrainsCommand::List) {
        DrainsCommand::List => list(ctx, client, target).await,
        DrainsCommand::Add(args) => add(ctx, client, target, args).await,
        DrainsCommand::Remove(args) => remove(ctx, client, target, &args.name).await,
        DrainsCommand::Test(args) => test(ctx, client, target, &args.name).await,
    }
}

async fn list(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let drains = client
        .list_drains(&target.workspace, &target.project)
        .await?;
    let rows: Vec<_> = drains.iter().map(row).collect();
    let heading = [
        "NAME",
        "KIND",
        "STATE",
        "DELIVERED",
        "WAITING",
        "DROPPED",
        "URL",
    ];
    ctx.output.result(&drains, &text::table(heading, &rows))?;
    for drain in &drains {
        if let Some(error) = &drain.status.last_error {
            ctx.output.note(&format!("{}: {error}", drain.name));
        }
    }
    Ok(())
}

async fn add(ctx: &Context, client: &Client, target: &Target, args: AddArgs) -> Result<()> {
    let token = match args.token {
        true => Some(prompt::ask_or_read(&ctx.output, "Token:", "the token")?),
        false => None,
    };
    let headers: BTreeMap<String, String> = args.headers.into_iter().collect();
    let body = SetDrain {
        name: args.name,
        kind: args.kind.map_or_else(|| kind_of(&args.url), to_wire),
        url: args.url,
        token,
        headers: (!headers.is_empty()).then_some(headers),
        enabled: None,
    };
    let drain = client
        .create_drain(&target.workspace, &target.project, &body)
        .await?;
    let text = format!("{} gets what is logged from now on", drain.name);
    ctx.output.result(&drain, &text)?;
    ctx.output
        .note(&format!("try it with: tose drains test {}", drain.name));
    Ok(())
}

async fn remove(ctx: &Context, client: &Client, target: &Target, name: &Slug) -> Result<()> {
    let drain = find(client, target, name).await?;
    let deleted = client
        .delete_drain(&target.workspace, &target.project, drain.id)
        .await?;
    let text = format!("{name} gets nothing any more");
    ctx.output.result(&deleted, &text)
}

async fn test(ctx: &Context, client: &Client, target: &Target, name: &Slug) -> Result<()> {
    let drain = find(client, target, name).await?;
    let test = client
        .test_drain(&target.workspace, &target.project, drain.id)
        .await?;
    if !test.taken {
        let (name, said) = (name.clone(), test.said);
        return Err(Error::NotTaken { name, said }.into());
    }
    let text = format!("{name} took a line: {}", test.said);
    ctx.output.result(&test, &text)
}

async fn find(client: &Client, target: &Target, name: &Slug) -> Result<DrainView> {
    let drains = client
        .list_drains(&target.workspace, &target.project)
        .await?;
    let found = drains.into_iter().find(|drain| drain.name == *name);
    let missing = || Error::Missing {
        what: format!("drain `{name}`"),
        list: "tose drains",
    };
    Ok(found.ok_or_else(missing)?)
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must look like 'NAME: VALUE'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn kind_of(url: &str) -> DrainKind {
    match url.starts_with("syslog") {
        true => DrainKind::Syslog,
        false => DrainKind::Http,
    }
}

fn to_wire(kind: Kind) -> DrainKind {
    match kind {
        Kind::Syslog => DrainKind::Syslog,
        Kind::Http => DrainKind::Http,
        Kind::Loki => DrainKind::Loki,
        Kind::Otlp => DrainKind::Otlp,
    }
}

fn row(drain: &DrainView) -> [String; 7] {
    let status = &drain.status;
    [
        drain.name.to_string(),
        drain.kind.as_str().to_owned(),
        match drain.enabled {
            true => status.state.as_str().to_owned(),
            false => "off".to_owned(),
        },
        status.delivered_lines.to_string(),
        status.lag_lines.to_string(),
        status.dropped_lines.to_string(),
        drain.url.clone(),
    ]
}

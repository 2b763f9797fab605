//! `tose domains`: the host names that lead to the project.

use anyhow::Result;
use clap::{Args, Subcommand};
use tose_api::Hostname;
use tose_api::client::Client;
use tose_api::domain::{AddDomain, DomainStatus, DomainView};

use crate::context::{Context, Target};
use crate::error::Error;
use crate::output::{Output, Style};
use crate::text;

#[derive(Args)]
pub(crate) struct DomainsArgs {
    #[command(subcommand)]
    command: Option<DomainsCommand>,
}

#[derive(Subcommand)]
enum DomainsCommand {
    /// List the host names; so does `tose domains` alone
    List,
    /// Bring a host name, and show the DNS records that it needs
    Add(NameArgs),
    /// Look at a host name's DNS now
    Verify(NameArgs),
    /// Give a host name up
    Remove(NameArgs),
}

#[derive(Args)]
struct NameArgs {
    /// The host name, such as app.example.com
    #[arg(value_name = "DOMAIN")]
    domain: Hostname,
}

pub(crate) async fn run(ctx: &Context, args: DomainsArgs) -> Result<()> {
    let client = &ctx.client()?;
    let target = &ctx.target(client).await?;
    match args.command.unwrap_or(DomainsCommand::List) {
        DomainsCommand::List => list(ctx, client, target).await,
        DomainsCommand::Add(args) => add(ctx, client, target, args.domain).await,
        DomainsCommand::Verify(args) => verify(ctx, client, target, &args.domain).await,
        DomainsCommand::Remove(args) => remove(ctx, client, target, &args.domain).await,
    }
}

async fn list(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let domains = client
        .list_domains(&target.workspace, &target.project)
        .await?;
    let rows: Vec<_> = domains.iter().map(row).collect();
    let heading = ["DOMAIN", "STATUS", "ADDED", "CHECKED", "NOTE"];
    ctx.output.result(&domains, &text::table(heading, &rows))
}

fn row(domain: &DomainView) -> [String; 5] {
    let note = match (&domain.reason, domain.is_default) {
        (Some(reason), _) => reason,
        (None, true) => "given by the platform",
        (None, false) => "",
    };
    [
        domain.domain.to_string(),
        text::word(&domain.status),
        text::time(domain.created_at),
        text::optional_time(domain.checked_at),
        text::first_line(note, 80),
    ]
}

async fn add(ctx: &Context, client: &Client, target: &Target, domain: Hostname) -> Result<()> {
    let body = AddDomain { domain };
    let domain = client
        .add_domain(&target.workspace, &target.project, &body)
        .await?;
    show(ctx, &domain)
}

async fn verify(ctx: &Context, client: &Client, target: &Target, name: &Hostname) -> Result<()> {
    let id = find(client, target, name).await?.id;
    let domain = client
        .verify_domain(&target.workspace, &target.project, id)
        .await?;
    show(ctx, &domain)
}

async fn remove(ctx: &Context, client: &Client, target: &Target, name: &Hostname) -> Result<()> {
    let id = find(client, target, name).await?.id;
    let deleted = client
        .delete_domain(&target.workspace, &target.project, id)
        .await?;
    ctx.output.result(&deleted, &format!("removed {name}"))
}

async fn find(client: &Client, target: &Target, name: &Hostname) -> Result<DomainView> {
    let domains = client
        .list_domains(&target.workspace, &target.project)
        .await?;
    let domain = domains.into_iter().find(|domain| domain.domain == *name);
    let missing = || Error::NoDomain { name: name.clone() };
    Ok(domain.ok_or_else(missing)?)
}

/// Shows how far the domain is, and what is to be done where it is not active.
fn show(ctx: &Context, domain: &DomainView) -> Result<()> {
    ctx.output.result(domain, &details(&ctx.output, domain))?;
    if domain.status != DomainStatus::Active && !domain.dns_records.is_empty() {
        ctx.output.note(&format!(
            "set one of these DNS records, then run `tose domains verify {}`",
            domain.domain
        ));
    }
    Ok(())
}

fn details(output: &Output, domain: &DomainView) -> String {
    let style = match domain.status {
        DomainStatus::Active => Style::Good,
        DomainStatus::Pending => Style::Busy,
        DomainStatus::Failed => Style::Bad,
    };
    let status = output.paint(style, &text::word(&domain.status));
    let mut text = format!("{}  {status}\n", domain.domain);
    if domain.status == DomainStatus::Active {
        return text;
    }
    if let Some(reason) = &domain.reason {
        text.push_str(&format!("{reason}\n"));
    }
    let rows: Vec<_> = domain
        .dns_records
        .iter()
        .map(|record| {
            [
                &record.record_type,
                &record.name,
                &record.value,
                &record.purpose,
            ]
            .map(String::clone)
        })
        .collect();
    if !rows.is_empty() {
        let heading = ["TYPE", "NAME", "VALUE", "PURPOSE"];
        text.push_str(&format!("\n{}", text::table(heading, &rows)));
    }
    text
}

//! `tose domains`: the host names that lead to the project.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use tose_api::Hostname;
use tose_api::client::Client;
use tose_api::domain::{AddDomain, DomainStatus, DomainView, HttpsView, SetCertificate};

use crate::commands::domain_settings::{self, SettingsArgs};
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
    /// Bring a certificate for a host name, or take it back
    Certificate(CertificateArgs),
    /// Show or change what visitors of a host name meet before the app
    Settings(Box<SettingsArgs>),
    /// Give a host name up
    Remove(NameArgs),
}

#[derive(Args)]
struct CertificateArgs {
    #[command(flatten)]
    name: NameArgs,
    /// The certificate and those that it was issued by, in PEM
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "remove",
        requires = "private_key_file"
    )]
    certificate_file: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    private_key_file: Option<PathBuf>,
    /// Forget the one that was brought; the server orders one, if it orders any
    #[arg(long, conflicts_with = "certificate_file")]
    remove: bool,
}

#[derive(Args)]
pub(super) struct NameArgs {
    /// The host name, such as app.example.com
    #[arg(value_name = "DOMAIN")]
    pub(super) domain: Hostname,
}

pub(crate) async fn run(ctx: &Context, args: DomainsArgs) -> Result<()> {
    let client = &ctx.client()?;
    let target = &ctx.target(client).await?;
    match args.command.unwrap_or(DomainsCommand::List) {
        DomainsCommand::List => list(ctx, client, target).await,
        DomainsCommand::Add(args) => add(ctx, client, target, args.domain).await,
        DomainsCommand::Verify(args) => verify(ctx, client, target, &args.domain).await,
        DomainsCommand::Certificate(args) => certificate(ctx, client, target, &args).await,
        DomainsCommand::Settings(args) => domain_settings::run(ctx, client, target, &args).await,
        DomainsCommand::Remove(args) => remove(ctx, client, target, &args.domain).await,
    }
}

async fn list(ctx: &Context, client: &Client, target: &Target) -> Result<()> {
    let domains = client
        .list_domains(&target.workspace, &target.project)
        .await?;
    let rows: Vec<_> = domains.iter().map(row).collect();
    let heading = ["DOMAIN", "STATUS", "HTTPS", "ADDED", "CHECKED", "NOTE"];
    ctx.output.result(&domains, &text::table(heading, &rows))
}

fn row(domain: &DomainView) -> [String; 6] {
    let note = match (&domain.reason, domain.is_default) {
        (Some(reason), _) => reason,
        (None, true) => "given by the platform",
        (None, false) => "",
    };
    [
        domain.domain.to_string(),
        text::word(&domain.status),
        text::word(&domain.https.status),
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

async fn certificate(
    ctx: &Context,
    client: &Client,
    target: &Target,
    args: &CertificateArgs,
) -> Result<()> {
    let id = find(client, target, &args.name.domain).await?.id;
    let (workspace, project) = (&target.workspace, &target.project);
    let domain = match (&args.certificate_file, &args.private_key_file) {
        (Some(certificate), Some(key)) => {
            let body = SetCertificate {
                certificate: read(certificate)?,
                private_key: read(key)?,
            };
            client
                .set_certificate(workspace, project, id, &body)
                .await?
        }
        _ => client.delete_certificate(workspace, project, id).await?,
    };
    show(ctx, &domain)
}

pub(super) fn read(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path);
    text.with_context(|| format!("{} cannot be read", path.display()))
}

async fn remove(ctx: &Context, client: &Client, target: &Target, name: &Hostname) -> Result<()> {
    let id = find(client, target, name).await?.id;
    let deleted = client
        .delete_domain(&target.workspace, &target.project, id)
        .await?;
    ctx.output.result(&deleted, &format!("removed {name}"))
}

pub(super) async fn find(client: &Client, target: &Target, name: &Hostname) -> Result<DomainView> {
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

/// How far the domain's HTTPS is, in a line.
fn https(https: &HttpsView) -> String {
    let mut line = format!("HTTPS  {}", text::word(&https.status));
    if let Some(at) = https.expires_at {
        line.push_str(&format!(
            ", the certificate is good until {}",
            text::time(at)
        ));
    }
    if let Some(reason) = &https.reason {
        line.push_str(&format!(": {reason}"));
    }
    line.push('\n');
    line
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
        text.push_str(&https(&domain.https));
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

//! `tose members`: who belongs to the workspace, and who is invited.

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use tose_api::client::Client;
use tose_api::member::{ChangeRole, InvitationView, Invite, MemberView};
use tose_api::workspace::Role;
use tose_api::{Email, Slug};

use crate::context::Context;
use crate::error::Error;
use crate::text;

#[derive(Args)]
pub(crate) struct MembersArgs {
    #[command(subcommand)]
    command: Option<MembersCommand>,
}

#[derive(Subcommand)]
enum MembersCommand {
    /// List the members; so does `tose members` alone
    List(ListArgs),
    /// Invite somebody by e-mail address
    Invite(InviteArgs),
    /// Give a member another role
    Role(RoleArgs),
    /// Take a member out, or an invitation back
    Remove(RemoveArgs),
}

#[derive(Default, Args)]
struct ListArgs {
    /// List the invitations that were not accepted instead
    #[arg(long)]
    invited: bool,
}

#[derive(Args)]
struct InviteArgs {
    /// The address; nobody else can accept the invitation
    #[arg(value_parser = parse_email)]
    email: Email,
    /// What they may do
    #[arg(long, default_value = "member", value_parser = roles())]
    role: Role,
}

#[derive(Args)]
struct RoleArgs {
    /// The member's address or id
    member: String,
    /// What the member may do from now on
    #[arg(value_parser = roles())]
    role: Role,
}

#[derive(Args)]
struct RemoveArgs {
    /// The address or the id of a member, or the address of somebody who is invited
    member: String,
}

/// People write addresses in upper and lower case.
fn parse_email(text: &str) -> Result<Email, String> {
    let email = text.to_ascii_lowercase().parse::<Email>();
    email.map_err(|error| error.to_string())
}

fn roles() -> impl TypedValueParser<Value = Role> {
    const ROLES: [Role; 3] = [Role::Member, Role::Admin, Role::Owner];
    PossibleValuesParser::new(ROLES.map(Role::as_str)).map(|word| {
        let role = ROLES.into_iter().find(|role| role.as_str() == word);
        role.expect("only these words pass")
    })
}

pub(crate) async fn run(ctx: &Context, args: MembersArgs) -> Result<()> {
    let client = &ctx.client()?;
    let workspace = &ctx.workspace(client).await?;
    let list_all = MembersCommand::List(ListArgs::default());
    match args.command.unwrap_or(list_all) {
        MembersCommand::List(args) if args.invited => invitations(ctx, client, workspace).await,
        MembersCommand::List(_) => list(ctx, client, workspace).await,
        MembersCommand::Invite(args) => invite(ctx, client, workspace, args).await,
        MembersCommand::Role(args) => change_role(ctx, client, workspace, args).await,
        MembersCommand::Remove(args) => remove(ctx, client, workspace, &args.member).await,
    }
}

async fn list(ctx: &Context, client: &Client, workspace: &Slug) -> Result<()> {
    let members = client.list_members(workspace).await?;
    let row = |member: &MemberView| {
        [
            member.email.clone(),
            member.role.as_str().to_owned(),
            text::time(member.created_at),
            text::first_line(member.name.as_deref().unwrap_or_default(), 40),
        ]
    };
    let rows: Vec<_> = members.iter().map(row).collect();
    let heading = ["EMAIL", "ROLE", "SINCE", "NAME"];
    ctx.output.result(&members, &text::table(heading, &rows))
}

async fn invitations(ctx: &Context, client: &Client, workspace: &Slug) -> Result<()> {
    let invitations = client.list_invitations(workspace).await?;
    let row = |invitation: &InvitationView| {
        [
            invitation.email.clone(),
            invitation.role.as_str().to_owned(),
            text::time(invitation.expires_at),
            invitation.invited_by.clone(),
        ]
    };
    let rows: Vec<_> = invitations.iter().map(row).collect();
    let heading = ["EMAIL", "ROLE", "EXPIRES", "INVITED BY"];
    ctx.output
        .result(&invitations, &text::table(heading, &rows))
}

async fn invite(ctx: &Context, client: &Client, workspace: &Slug, args: InviteArgs) -> Result<()> {
    let body = Invite {
        email: args.email,
        role: args.role,
    };
    let invitation = client.create_invitation(workspace, &body).await?;
    let mut text = format!(
        "invited {} to {workspace} as {} until {}\n",
        invitation.email,
        invitation.role.as_str(),
        text::time(invitation.expires_at)
    );
    if let Some(token) = &invitation.token {
        text.push_str(&format!("token  {token}\n"));
    }
    ctx.output.result(&invitation, &text)?;
    ctx.output.note(match invitation.mailed {
        Some(true) => "a mail with the token is on its way",
        _ => "no mail was sent: hand the token over yourself; it is not shown again",
    });
    Ok(())
}

async fn change_role(
    ctx: &Context,
    client: &Client,
    workspace: &Slug,
    args: RoleArgs,
) -> Result<()> {
    let found = find(client, workspace, &args.member).await?;
    let member = found.ok_or_else(|| missing("member", &args.member))?;
    let body = ChangeRole { role: args.role };
    let member = client.change_role(workspace, member.user_id, &body).await?;
    let text = format!(
        "{} is {} of {workspace}",
        member.email,
        member.role.as_str()
    );
    ctx.output.result(&member, &text)
}

async fn remove(ctx: &Context, client: &Client, workspace: &Slug, wanted: &str) -> Result<()> {
    if let Some(member) = find(client, workspace, wanted).await? {
        let removed = client.remove_member(workspace, member.user_id).await?;
        let text = format!("{} is no member of {workspace} any more", member.email);
        return ctx.output.result(&removed, &text);
    }
    let invitation = client
        .list_invitations(workspace)
        .await?
        .into_iter()
        .find(|invitation| invitation.email.eq_ignore_ascii_case(wanted))
        .ok_or_else(|| missing("member and no invitation", wanted))?;
    let deleted = client.delete_invitation(workspace, invitation.id).await?;
    let text = format!("took the invitation of {} back", invitation.email);
    ctx.output.result(&deleted, &text)
}

/// The member with this address or id.
async fn find(client: &Client, workspace: &Slug, wanted: &str) -> Result<Option<MemberView>> {
    let members = client.list_members(workspace).await?;
    let is_meant = |member: &MemberView| {
        member.email.eq_ignore_ascii_case(wanted) || member.user_id.to_string() == wanted
    };
    Ok(members.into_iter().find(is_meant))
}

fn missing(what: &str, wanted: &str) -> Error {
    Error::Missing {
        what: format!("{what} `{wanted}`"),
        list: "tose members list",
    }
}

//! `tose domains settings`: what visitors of a host name meet on their way to the app.
//!
//! The server takes settings as a whole: those that it has are read, and what was named is changed in
//! them. Passwords are never read back, so whoever is not named keeps theirs.

use std::io::{self, Read};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use clap::Args;
use tose_api::client::Client;
use tose_api::domain::DomainView;
use tose_api::domain_settings::{
    DomainSettings, DomainUser, Hsts, IpRange, PathRoute, UpstreamProtocol,
};
use tose_api::{Hostname, Slug};

use crate::commands::domains::{self, NameArgs};
use crate::context::{Context, Target};
use crate::error::Error;
use crate::prompt;
use crate::text;

/// More than this on stdin is no list of passwords.
const MAX_INPUT_BYTES: u64 = 64 * 1024;
/// What shows what there is to remove.
const LIST: &str = "tose domains settings DOMAIN";

#[derive(Args)]
pub(super) struct SettingsArgs {
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    changes: Changes,
    /// Read the passwords of --user from stdin, one a line
    #[arg(long, requires = "user")]
    password_stdin: bool,
}

/// What is changed; what is left out stays as it is.
#[derive(Args, Debug, Default, PartialEq)]
struct Changes {
    /// Let visitors in from these addresses only, in place of those before; may be given several
    /// times, `any` lets everybody in
    #[arg(long, value_name = "RANGE", value_parser = choice::<IpRange>("any"))]
    allow: Vec<Choice<IpRange>>,
    /// Send visitors to the same path at another host; `none` serves them here
    #[arg(long, value_name = "HOST", value_parser = choice::<Hostname>("none"))]
    redirect_to: Option<Choice<Hostname>>,
    /// How many requests a second one address may make, or `off`
    #[arg(long, value_name = "COUNT", value_parser = choice::<u32>("off"))]
    rate: Option<Choice<u32>>,
    /// Ask visitors for a name and a password, and let this one in; may be given several times
    #[arg(long, value_name = "NAME")]
    user: Vec<String>,
    /// Let this one in no more
    #[arg(long, value_name = "NAME")]
    remove_user: Vec<String>,
    /// Whether a page is shown instead of the app: on or off
    #[arg(long, value_name = "SWITCH", value_parser = switch)]
    maintenance: Option<bool>,
    /// How many requests may run at the same time, or `off`
    #[arg(long, value_name = "COUNT", value_parser = choice::<u32>("off"))]
    max_requests: Option<Choice<u32>>,
    /// How many MiB a request's body may have, or `off`
    #[arg(long, value_name = "MB", value_parser = choice::<u32>("off"))]
    max_body: Option<Choice<u32>>,
    /// Lead a path to another project of the workspace, as in /api=backend; may be given several
    /// times
    #[arg(long, value_name = "PREFIX=PROJECT")]
    path: Vec<PathArg>,
    /// The same, and cut the prefix off on the way
    #[arg(long, value_name = "PREFIX=PROJECT")]
    strip_path: Vec<PathArg>,
    /// Lead this path to the project itself again
    #[arg(long, value_name = "PREFIX")]
    remove_path: Vec<String>,
    /// Whether a visitor stays with a replica: on or off
    #[arg(long, value_name = "SWITCH", value_parser = switch)]
    sticky: Option<bool>,
    /// How the app is spoken to: http1, or h2c as gRPC needs it
    #[arg(long, value_name = "PROTOCOL", value_parser = parse_upstream)]
    upstream: Option<UpstreamProtocol>,
    /// Whether texts are compressed: on or off
    #[arg(long, value_name = "SWITCH", value_parser = switch)]
    compression: Option<bool>,
    /// For how many days browsers are to use nothing but HTTPS, or `off`
    #[arg(long, value_name = "DAYS", value_parser = choice::<u16>("off"))]
    hsts: Option<Choice<u16>>,
    /// Whether that holds for all names below as well: on or off
    #[arg(long, value_name = "SWITCH", value_parser = switch)]
    hsts_subdomains: Option<bool>,
    /// Whether browsers may have it built in: on or off
    #[arg(long, value_name = "SWITCH", value_parser = switch)]
    hsts_preload: Option<bool>,
    /// HTML for the page of maintenance; `none` for the usual one
    #[arg(long, value_name = "FILE", value_parser = choice::<PathBuf>("none"))]
    maintenance_page: Option<Choice<PathBuf>>,
    /// HTML for when the app does not answer; `none` for the usual one
    #[arg(long, value_name = "FILE", value_parser = choice::<PathBuf>("none"))]
    error_page: Option<Choice<PathBuf>>,
    /// Whether requests are written into the project's logs: on or off
    #[arg(long, value_name = "SWITCH", value_parser = switch)]
    access_log: Option<bool>,
}

/// A value, or the word that takes it away.
#[derive(Debug, Clone, PartialEq)]
struct Choice<T>(Option<T>);

fn choice<T>(
    off: &'static str,
) -> impl Fn(&str) -> Result<Choice<T>, String> + Clone + Send + Sync + 'static
where
    T: FromStr<Err: std::fmt::Display> + 'static,
{
    move |text| {
        if text == off {
            return Ok(Choice(None));
        }
        let value = text.parse().map_err(|error: T::Err| error.to_string())?;
        Ok(Choice(Some(value)))
    }
}

/// `/prefix=project`.
#[derive(Debug, Clone, PartialEq)]
struct PathArg {
    prefix: String,
    project: Slug,
}

impl FromStr for PathArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (prefix, project) = text
            .split_once('=')
            .ok_or("must be a path and a project, such as /api=backend")?;
        Ok(Self {
            prefix: prefix.to_owned(),
            project: project.parse().map_err(|error| format!("{error}"))?,
        })
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".to_owned()),
    }
}

fn parse_upstream(text: &str) -> Result<UpstreamProtocol, String> {
    [UpstreamProtocol::Http1, UpstreamProtocol::H2c]
        .into_iter()
        .find(|protocol| text::word(protocol) == text)
        .ok_or_else(|| "must be http1 or h2c".to_owned())
}

pub(super) async fn run(
    ctx: &Context,
    client: &Client,
    target: &Target,
    args: &SettingsArgs,
) -> Result<()> {
    let mut domain = domains::find(client, target, &args.name.domain).await?;
    if args.changes != Changes::default() {
        let passwords = ask_passwords(ctx, args)?;
        let mut settings = domain.settings;
        args.changes.apply(&mut settings, passwords)?;
        domain = client
            .set_domain_settings(&target.workspace, &target.project, domain.id, &settings)
            .await?;
    }
    ctx.output.result(&domain, &details(&domain))
}

/// The passwords of the users that were named, in their order.
fn ask_passwords(ctx: &Context, args: &SettingsArgs) -> Result<Vec<String>> {
    let names = &args.changes.user;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    if !args.password_stdin {
        if !prompt::is_possible(&ctx.output) {
            let text = "give the passwords with --password-stdin, one a line";
            return Err(Error::Usage(text.to_owned()).into());
        }
        let ask = |name| prompt::ask_secret(&ctx.output, &format!("Password for {name}:"));
        return names.iter().map(ask).collect();
    }
    let mut text = String::new();
    let mut stdin = io::stdin().lock().take(MAX_INPUT_BYTES);
    stdin
        .read_to_string(&mut text)
        .context("cannot read the passwords from stdin")?;
    let passwords: Vec<_> = text.lines().map(str::to_owned).collect();
    if passwords.len() != names.len() {
        let text = format!(
            "stdin has {} lines for {} users: give one password a line",
            passwords.len(),
            names.len()
        );
        return Err(Error::Usage(text).into());
    }
    Ok(passwords)
}

impl Changes {
    /// Changes what was named; `passwords` are those of the users, in their order.
    fn apply(&self, settings: &mut DomainSettings, passwords: Vec<String>) -> Result<()> {
        if !self.allow.is_empty() {
            let ranges = self.allow.iter().filter_map(|Choice(range)| *range);
            settings.allowed_ips = ranges.collect();
        }
        choose(&mut settings.redirect_to, self.redirect_to.as_ref());
        choose(&mut settings.requests_per_second, self.rate.as_ref());
        self.apply_users(&mut settings.users, passwords)?;
        set(&mut settings.maintenance, self.maintenance);
        choose(&mut settings.max_requests, self.max_requests.as_ref());
        choose(&mut settings.max_body_mb, self.max_body.as_ref());
        self.apply_paths(&mut settings.paths)?;
        set(&mut settings.sticky, self.sticky);
        set(&mut settings.upstream, self.upstream);
        set(&mut settings.compression, self.compression);
        self.apply_hsts(&mut settings.hsts)?;
        apply_page(
            &mut settings.maintenance_page,
            self.maintenance_page.as_ref(),
        )?;
        apply_page(&mut settings.error_page, self.error_page.as_ref())?;
        set(&mut settings.access_log, self.access_log);
        Ok(())
    }

    fn apply_users(&self, users: &mut Vec<DomainUser>, passwords: Vec<String>) -> Result<()> {
        for name in &self.remove_user {
            remove(
                users,
                |user| user.name == *name,
                || format!("user `{name}`"),
            )?;
        }
        for (name, password) in self.user.iter().zip(passwords) {
            let new = DomainUser {
                name: name.clone(),
                password: Some(password),
            };
            put(users, new, |user| user.name == *name);
        }
        Ok(())
    }

    fn apply_paths(&self, paths: &mut Vec<PathRoute>) -> Result<()> {
        for prefix in &self.remove_path {
            let what = || format!("path `{prefix}`");
            remove(paths, |path| path.prefix == *prefix, what)?;
        }
        let plain = self.path.iter().map(|path| (path, false));
        let stripped = self.strip_path.iter().map(|path| (path, true));
        for (path, strip_prefix) in plain.chain(stripped) {
            let new = PathRoute {
                prefix: path.prefix.clone(),
                project: path.project.clone(),
                strip_prefix,
            };
            put(paths, new, |known| known.prefix == path.prefix);
        }
        Ok(())
    }

    fn apply_hsts(&self, hsts: &mut Option<Hsts>) -> Result<()> {
        if let Some(Choice(days)) = self.hsts {
            *hsts = days.map(|max_age_days| Hsts {
                max_age_days,
                include_subdomains: hsts.is_some_and(|hsts| hsts.include_subdomains),
                preload: hsts.is_some_and(|hsts| hsts.preload),
            });
        }
        if self.hsts_subdomains.is_none() && self.hsts_preload.is_none() {
            return Ok(());
        }
        let text = "the host name has no HSTS: give --hsts DAYS as well";
        let hsts = hsts.as_mut().ok_or_else(|| Error::Usage(text.to_owned()))?;
        set(&mut hsts.include_subdomains, self.hsts_subdomains);
        set(&mut hsts.preload, self.hsts_preload);
        Ok(())
    }
}

fn choose<T: Clone>(value: &mut Option<T>, choice: Option<&Choice<T>>) {
    if let Some(Choice(chosen)) = choice {
        value.clone_from(chosen);
    }
}

fn set<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}

/// Puts `new` in place of the one that it is to replace, or behind the others.
fn put<T>(list: &mut Vec<T>, new: T, is_it: impl Fn(&T) -> bool) {
    match list.iter_mut().find(|one| is_it(one)) {
        Some(known) => *known = new,
        None => list.push(new),
    }
}

fn remove<T>(
    list: &mut Vec<T>,
    is_it: impl Fn(&T) -> bool,
    what: impl Fn() -> String,
) -> Result<()> {
    let Some(index) = list.iter().position(is_it) else {
        let (what, list) = (what(), LIST);
        return Err(Error::Missing { what, list }.into());
    };
    list.remove(index);
    Ok(())
}

fn apply_page(page: &mut Option<String>, choice: Option<&Choice<PathBuf>>) -> Result<()> {
    if let Some(Choice(path)) = choice {
        *page = path.as_deref().map(domains::read).transpose()?;
    }
    Ok(())
}

/// The settings under the names of the options that change them.
fn details(domain: &DomainView) -> String {
    let rows = rows(&domain.settings);
    if rows.is_empty() {
        return format!("{}  nothing is set\n", domain.domain);
    }
    let lines = rows
        .iter()
        .map(|(name, value)| format!("{name:<18}{value}\n"));
    format!("{}\n{}", domain.domain, lines.collect::<String>())
}

fn rows(settings: &DomainSettings) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    let number = |value: Option<u32>, unit: &str| value.map(|value| format!("{value}{unit}"));
    let switch = |is_on: bool| is_on.then(|| "on".to_owned());
    let page = |page: &Option<String>| page.as_ref().map(|page| text::size(page.len() as u64));
    for range in &settings.allowed_ips {
        add("allow", Some(range.to_string()));
    }
    add(
        "redirect-to",
        settings.redirect_to.as_ref().map(ToString::to_string),
    );
    add("rate", number(settings.requests_per_second, " a second"));
    for user in &settings.users {
        add("user", Some(user.name.clone()));
    }
    add("maintenance", switch(settings.maintenance));
    add("max-requests", number(settings.max_requests, ""));
    add("max-body", number(settings.max_body_mb, " MiB"));
    for path in &settings.paths {
        let name = if path.strip_prefix {
            "strip-path"
        } else {
            "path"
        };
        add(name, Some(format!("{}={}", path.prefix, path.project)));
    }
    add("sticky", switch(settings.sticky));
    let is_usual = settings.upstream == UpstreamProtocol::default();
    add(
        "upstream",
        (!is_usual).then(|| text::word(&settings.upstream)),
    );
    add("compression", switch(settings.compression));
    if let Some(hsts) = settings.hsts {
        add("hsts", Some(format!("{} days", hsts.max_age_days)));
        add("hsts-subdomains", switch(hsts.include_subdomains));
        add("hsts-preload", switch(hsts.preload));
    }
    add("maintenance-page", page(&settings.maintenance_page));
    add("error-page", page(&settings.error_page));
    add("access-log", switch(settings.access_log));
    rows
}

#[cfg(test)]
mod tests;

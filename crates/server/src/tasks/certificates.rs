//! Certificates: ordered where they are due, and given to the proxy.
//!
//! Guarantees: only a domain that is active has one ordered, so a stranger's name never leads to an
//! order; an order is noted before it is made, so that one that a crash cuts off counts; what fails
//! waits twice as long each time, and a certificate that is there stays in use.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use instant_acme::Account;
use tose_api::Timestamp;
use tose_api::domain::CertificateSource;
use tose_api::notification::NoticeEvent;
use tose_model::access::WorkspaceScope;
use tose_model::error::{Error, Result};
use tose_proxy::certificates::{Certificate, Name};
use tose_store::{Defaults, DueCertificate, NewCertificate};

use crate::acme::{self, NoCertificate, Way};
use crate::app::Platform;
use crate::app::certificate::read;
use crate::app::notice::NewNotice;
use crate::app::wildcard::{IssuedWildcard, WildcardState};
use crate::config::AcmeConfig;

/// How often it is looked what is due, and how often the proxy's folder is compared.
const PERIOD: Duration = Duration::from_secs(30);
const LOOKS_PER_COMPARISON: u32 = 20;
/// Orders that run at once.
const AT_ONCE: usize = 4;
/// How many due ones are looked at in one go.
const MOST: u32 = 32;
/// Domains of the installation that may have an order in three hours; Let's Encrypt allows an account 300.
const MOST_ORDERS: u32 = 250;
/// Domains of one workspace that may have an order in that time.
const MOST_ORDERS_OF_WORKSPACE: u32 = 50;
const ORDER_WINDOW: Duration = Duration::from_secs(3 * 3600);
/// How long to wait after the first failure, and at most. Let's Encrypt allows a name five failures an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(12 * 3600);
/// After how many failures in a row people are told.
const TROUBLE: u32 = 3;
/// How many days before a certificate expires people are told.
const WARNINGS: [u32; 3] = [21, 7, 1];
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: i64 = 7 * 24 * 3600 * 1_000_000_000;

pub(crate) async fn run(platform: Arc<Platform>) {
    if platform.config.https_addr.addr().is_none() {
        return;
    }
    let mut account = None;
    let mut looks = 0_u32;
    loop {
        if looks.is_multiple_of(LOOKS_PER_COMPARISON)
            && let Err(error) = compare(&platform).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the proxy's certificates could not be compared"
            );
        }
        if let Err(error) = tell_of_expiry(&platform).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "certificates that expire could not be listed"
            );
        }
        looks = looks.wrapping_add(1);
        if let Some(config) = &platform.config.acme
            && let Err(error) = look(&platform, config, &mut account).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "certificates could not be looked at; it is tried again"
            );
        }
        tokio::select! {
            () = platform.signals.certificates_called() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// Makes the proxy's folder hold what the database has, whatever was cut off or restored.
async fn compare(platform: &Platform) -> Result<()> {
    use_wildcard(platform, &platform.wildcard_state().await?).await?;
    let stored = platform.store.list_certificates_for_task().await?;
    let folder = platform.certificates.clone();
    let compared = tokio::task::spawn_blocking(move || {
        let mut changed = Vec::new();
        let mut known = HashSet::new();
        for one in stored {
            let name = Name::Host(one.hostname.clone());
            let wanted = Certificate {
                chain: one.chain,
                sealed_key: one.sealed_key.as_bytes().to_vec(),
            };
            if folder.read(&name).ok().flatten().as_ref() != Some(&wanted) {
                folder.write(&name, &wanted)?;
                changed.push(one.hostname);
            }
            known.insert(name);
        }
        for host in folder.list()? {
            let name = Name::Host(host.clone());
            if !known.contains(&name) {
                tracing::info!(%host, "removing a certificate: no active domain has it");
                folder.remove(&name)?;
                changed.push(host);
            }
        }
        Ok::<_, tose_proxy::Error>(changed)
    });
    let failed = "the certificates could not be compared";
    let changed = compared
        .await
        .map_err(|error| Error::internal(failed, error))?
        .map_err(|error| Error::internal(failed, error))?;
    if !changed.is_empty() {
        let told = platform.data_plane.forget_certificates(&changed).await;
        told.map_err(|error| Error::internal(failed, error))?;
    }
    Ok(())
}

async fn look(
    platform: &Platform,
    config: &AcmeConfig,
    account: &mut Option<Account>,
) -> Result<()> {
    look_at_wildcard(platform, config, account).await?;
    let is_shared = platform.wildcard_hook().is_some();
    let defaults = if platform.config.has_public_base() && !is_shared {
        Defaults::Included
    } else {
        Defaults::LeftOut
    };
    let now = platform.now();
    let since = now.saturating_sub(ORDER_WINDOW);
    let so_far = platform.store.count_orders_for_task(since).await?;
    let most = MOST_ORDERS.saturating_sub(so_far).min(MOST);
    let due = platform
        .store
        .list_due_certificates_for_task(defaults, now, most)
        .await?;
    if due.is_empty() {
        return Ok(());
    }
    if account.is_none() {
        match acme::account(platform, config).await {
            Ok(made) => *account = Some(made),
            Err(error) => {
                for one in &due {
                    begin(platform, one, now).await?;
                    fail(platform, one, &error).await?;
                }
                return Ok(());
            }
        }
    }
    let Some(account) = account else {
        return Ok(());
    };
    futures_util::stream::iter(due)
        .for_each_concurrent(AT_ONCE, async |one| {
            if let Err(error) = order(platform, account, &one).await {
                tracing::warn!(domain = %one.hostname, error = &error as &dyn std::error::Error, "an order could not be noted");
            }
        })
        .await;
    Ok(())
}

/// Orders the certificate of all names that the platform gives, where the operator's DNS can prove them
/// and it is due.
async fn look_at_wildcard(
    platform: &Platform,
    config: &AcmeConfig,
    account: &mut Option<Account>,
) -> Result<()> {
    if platform.wildcard_hook().is_none() {
        return Ok(());
    }
    let mut state = platform.wildcard_state().await?;
    let now = platform.now();
    if state.next_at > now.as_nanos() {
        return Ok(());
    }
    // Noted before it is made: an order that a crash cuts off counts.
    let next_at = now.saturating_add(pause(state.failures));
    state.next_at = next_at.as_nanos();
    platform.keep_wildcard_state(&state).await?;
    match order_wildcard(platform, config, account).await {
        Ok((issued, next_at)) => {
            state = WildcardState {
                issued: Some(issued),
                next_at: next_at.as_nanos(),
                ..WildcardState::default()
            };
            platform.keep_wildcard_state(&state).await?;
            use_wildcard(platform, &state).await?;
            tracing::info!(base = %platform.config.base_domain, "wildcard certificate issued");
            for project in platform.store.list_projects_for_task().await? {
                platform.signals.project(project.id);
            }
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no wildcard certificate"
            );
            state.failures = state.failures.saturating_add(1);
            state.reason = Some(error.to_string());
            platform.keep_wildcard_state(&state).await?;
            if state.failures >= TROUBLE {
                tell_operators_of_trouble(platform, &state).await?;
            }
        }
    }
    Ok(())
}

/// A new certificate, and when the next one is due.
async fn order_wildcard(
    platform: &Platform,
    config: &AcmeConfig,
    account: &mut Option<Account>,
) -> std::result::Result<(IssuedWildcard, Timestamp), NoCertificate> {
    let account = match account {
        Some(account) => account,
        None => account.insert(acme::account(platform, config).await?),
    };
    let issued = acme::order_wildcard(platform, account).await?;
    let no_certificate = "the certificate authority sent no certificate";
    let facts =
        read(&issued.chain).ok_or_else(|| NoCertificate::Refused(no_certificate.to_owned()))?;
    let sealed = platform.seal_key(&platform.wildcard_name(), &issued.key);
    let issued = IssuedWildcard {
        certificate: Certificate {
            chain: issued.chain,
            sealed_key: sealed.as_bytes().to_vec(),
        },
        not_after: facts.not_after.as_nanos(),
    };
    let lifetime = facts.not_after.since(facts.not_before);
    Ok((issued, facts.not_after.saturating_sub(lifetime / 3)))
}

/// Gives the certificate to the proxy, unless it has it.
async fn use_wildcard(platform: &Platform, state: &WildcardState) -> Result<()> {
    let Some(issued) = &state.issued else {
        return Ok(());
    };
    let (folder, name) = (platform.certificates.clone(), platform.wildcard_name());
    let wanted = issued.certificate.clone();
    let written = tokio::task::spawn_blocking(move || {
        let is_there = folder.read(&name).ok().flatten().as_ref() == Some(&wanted);
        if !is_there {
            folder.write(&name, &wanted)?;
        }
        Ok::<_, tose_proxy::Error>(!is_there)
    });
    let failed = "the wildcard certificate could not be written";
    let is_new = written
        .await
        .map_err(|error| Error::internal(failed, error))?
        .map_err(|error| Error::internal(failed, error))?;
    if is_new {
        let base = std::slice::from_ref(&platform.config.base_domain);
        let told = platform.data_plane.forget_certificates(base).await;
        told.map_err(|error| Error::internal(failed, error))?;
    }
    platform.wildcard.set(state);
    Ok(())
}

async fn begin(platform: &Platform, one: &DueCertificate, now: Timestamp) -> Result<()> {
    let scope = WorkspaceScope::for_task(one.workspace_id);
    let next_at = now.saturating_add(pause(one.failures));
    Ok(platform
        .store
        .begin_order(&scope, one.domain_id, now, next_at)
        .await?)
}

/// Orders a certificate and has it used.
async fn order(platform: &Platform, account: &Account, one: &DueCertificate) -> Result<()> {
    let scope = WorkspaceScope::for_task(one.workspace_id);
    let now = platform.now();
    let since = now.saturating_sub(ORDER_WINDOW);
    let so_far = platform.store.count_orders(&scope, since).await?;
    begin(platform, one, now).await?;
    if so_far >= MOST_ORDERS_OF_WORKSPACE {
        let reason = NoCertificate::Refused(format!(
            "the workspace had {so_far} certificates ordered within three hours; it is tried again later"
        ));
        return fail(platform, one, &reason).await;
    }
    // Who has port 80 elsewhere may have 443 here, and the other way around.
    let way = if one.failures.is_multiple_of(2) && platform.config.http_addr.addr().is_some() {
        Way::Http01
    } else {
        Way::TlsAlpn01
    };
    let issued = acme::order(platform, account, &one.hostname, way).await;
    let issued = match issued {
        Ok(issued) => issued,
        Err(error) => return fail(platform, one, &error).await,
    };
    let Some(facts) = read(&issued.chain) else {
        let error =
            NoCertificate::Refused("the certificate authority sent no certificate".to_owned());
        return fail(platform, one, &error).await;
    };
    let lifetime = facts.not_after.since(facts.not_before);
    let new = NewCertificate {
        source: CertificateSource::Acme,
        sealed_key: platform.seal_key(&Name::Host(one.hostname.clone()), &issued.key),
        chain: issued.chain,
        not_after: facts.not_after,
        next_at: Some(facts.not_after.saturating_sub(lifetime / 3)),
    };
    if platform
        .store
        .set_certificate(&scope, one.domain_id, &new, None)
        .await?
    {
        platform.use_certificate(&scope, one.domain_id).await?;
        tracing::info!(domain = %one.hostname, "certificate issued");
        platform.signals.project(one.project_id);
    }
    Ok(())
}

async fn fail(platform: &Platform, one: &DueCertificate, error: &NoCertificate) -> Result<()> {
    tracing::warn!(domain = %one.hostname, error = error as &dyn std::error::Error, "no certificate");
    let reason = match error {
        NoCertificate::Broken(_) => {
            "the platform could not order it; the operator's log says why".to_owned()
        }
        other => other.to_string(),
    };
    if one.failures.saturating_add(1) >= TROUBLE {
        tell_of_trouble(platform, one, &reason).await;
    }
    let scope = WorkspaceScope::for_task(one.workspace_id);
    let next_at = platform.now().saturating_add(pause(one.failures));
    Ok(platform
        .store
        .fail_order(&scope, one.domain_id, &reason, next_at)
        .await?)
}

/// Tells of a certificate that could not be ordered again and again, once a week while it is so.
async fn tell_of_trouble(platform: &Platform, one: &DueCertificate, reason: &str) {
    let (host, failures) = (&one.hostname, one.failures.saturating_add(1));
    let week = platform.now().as_nanos().div_euclid(WEEK);
    let notice = NewNotice {
        workspace_id: one.workspace_id,
        project_id: Some(one.project_id),
        event: NoticeEvent::CertificateTrouble,
        key: format!("certificate/{}/{week}", one.domain_id),
        title: format!("No certificate for {host}: {failures} orders in a row failed"),
        text: format!("The last time: {reason}. It is tried again, later and later."),
    };
    platform.notify(notice).await;
}

/// The same of the wildcard certificate, to operators.
async fn tell_operators_of_trouble(platform: &Platform, state: &WildcardState) -> Result<()> {
    let (base, failures) = (&platform.config.base_domain, state.failures);
    let week = platform.now().as_nanos().div_euclid(WEEK);
    let reason = state.reason.as_deref().unwrap_or_default();
    let until = state.issued.as_ref().map_or_else(
        || "There is none".to_owned(),
        |issued| {
            format!(
                "The one in use is good until {}",
                Timestamp::from_nanos(issued.not_after)
            )
        },
    );
    let key = format!("certificate/wildcard/{week}");
    let title = format!("No wildcard certificate for {base}: {failures} orders in a row failed");
    let text = format!("The last time: {reason}. {until}. It is tried again, later and later.");
    let told = platform.notify_operators(NoticeEvent::CertificateTrouble, key, title, text);
    told.await
}

/// Tells of certificates in use that expire in 21 days, 7 days and a day.
async fn tell_of_expiry(platform: &Platform) -> Result<()> {
    let now = platform.now();
    let until = now.saturating_add(DAY * WARNINGS[0]);
    let expiring = platform
        .store
        .list_expiring_certificates_for_task(now, until)
        .await?;
    for one in expiring {
        let left = one.not_after.since(now);
        let Some(days) = WARNINGS.iter().rev().find(|days| left <= DAY * **days) else {
            continue;
        };
        let host = &one.hostname;
        let notice = NewNotice {
            workspace_id: one.workspace_id,
            project_id: Some(one.project_id),
            event: NoticeEvent::CertificateExpiring,
            key: format!("certificate/{host}/{}/{days}", one.not_after.as_nanos()),
            title: format!("The certificate of {host} expires within {days} days"),
            text: format!(
                "It is good until {}. One that you brought has to be replaced by you; one that this server orders should have been by now: look at the domain for the reason.",
                one.not_after
            ),
        };
        platform.notify(notice).await;
    }
    Ok(())
}

/// How long to wait after so many failures before the one that is noted.
fn pause(failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures.min(16));
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

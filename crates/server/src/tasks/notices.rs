//! The outbox emptied: what people are to be told goes to them.
//!
//! Guarantees: what is in the outbox is sent until it is taken, refused for good, tried too often or too old; each
//! message at least once, and twice only where an answer got lost. An outlet gets one message at a time, so many in an
//! hour, and what happens meanwhile comes in the next one, which says how much it leaves out. One outlet waits for no
//! other.
//! Not here: what people are told of (`app/notice.rs`), and how it gets to them (`notice.rs`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tose_api::Timestamp;
use tose_model::access::WorkspaceScope;
use tose_model::error::{Error, Result};
use tose_model::notice::{MOST_LISTED, Message, Outlet, pause_after};
use tose_model::secret::ExposeSecret;
use tose_store::{Attempt, DueOutlet, Fate, WaitingNotice};

use super::Spawner;
use crate::app::Platform;
use crate::app::notice::{PACE, parse};
use crate::notice::{Failure, Way};
use crate::outgoing::Unreachable;

/// How often it is looked what is due, if nobody says that there is something.
const PERIOD: Duration = Duration::from_millis(500);
/// How many outlets are looked at in one go.
const MOST_OUTLETS: u32 = 64;
/// The most notices that one message is about, listed or not.
const MOST_IN_MESSAGE: u32 = 1000;
/// The most messages that an outlet gets in an hour.
const MOST_PER_HOUR: u32 = 20;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How often a notice is tried at most, and for how long.
const MOST_ATTEMPTS: u32 = 30;
/// The longest time that the other side may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(6 * 3600);
/// For how long it is known what happened.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How soon an outlet is tried again when the store failed.
const RETRY: Duration = Duration::from_secs(10);
/// How long one message may take; also how long a server that is stopped may have to wait for it.
const LONGEST_SENDING: Duration = Duration::from_secs(15);

pub(crate) async fn run(platform: Arc<Platform>, spawner: Spawner) {
    let mut running: HashMap<DueOutlet, CancellationToken> = HashMap::new();
    let mut forget_at = Timestamp::from_nanos(0);
    loop {
        running.retain(|_, done| !done.is_cancelled());
        if let Err(error) = look(&platform, &spawner, &mut running, &mut forget_at).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "notifications could not be looked at; it is tried again"
            );
        }
        tokio::select! {
            () = platform.signals.notices_called() => {}
            () = sleep(PERIOD) => {}
        }
    }
}

async fn look(
    platform: &Arc<Platform>,
    spawner: &Spawner,
    running: &mut HashMap<DueOutlet, CancellationToken>,
    forget_at: &mut Timestamp,
) -> Result<()> {
    let now = platform.now();
    if *forget_at <= now {
        let (notices, messages) = (now.saturating_sub(KEPT), now.saturating_sub(HOUR));
        platform
            .store
            .forget_notices_for_task(notices, messages)
            .await?;
        *forget_at = now.saturating_add(HOUR);
    }
    // Those that run are among them, until they have noted how they fared.
    let most = MOST_OUTLETS.saturating_add(u32::try_from(running.len()).unwrap_or(MOST_OUTLETS));
    for due in platform.store.list_due_outlets_for_task(now, most).await? {
        if running.contains_key(&due) || running.len() >= MOST_OUTLETS as usize {
            continue;
        }
        let done = CancellationToken::new();
        running.insert(due.clone(), done.clone());
        let platform = Arc::clone(platform);
        spawner.spawn(async move {
            let _done = done.drop_guard();
            if let Err(error) = serve(&platform, &due).await {
                tracing::warn!(
                    outlet = %due.outlet,
                    error = &error as &dyn std::error::Error,
                    "a notification stood still; it is tried again"
                );
                sleep(RETRY).await;
            }
        });
    }
    Ok(())
}

/// Sends what is due for an outlet, as one message.
async fn serve(platform: &Arc<Platform>, due: &DueOutlet) -> Result<()> {
    let now = platform.now();
    let hour_ago = now.saturating_sub(HOUR);
    let (count, first) = platform
        .store
        .count_messages_for_task(due, hour_ago)
        .await?;
    if let Some(first) = first.filter(|_| count >= MOST_PER_HOUR) {
        let until = first.saturating_add(HOUR);
        return Ok(platform.store.postpone_outlet_for_task(due, until).await?);
    }
    let waiting = platform
        .store
        .list_waiting_for_task(due, MOST_IN_MESSAGE)
        .await?;
    if waiting.is_empty() {
        return Ok(());
    }
    let way = find_way(platform, due).await?;
    let message = message(platform, due, &waiting).await?;
    let (owned, due) = (Arc::clone(platform), due.clone());
    // A server that is stopped in the ordinary way waits for it: nothing is sent twice for that.
    let sending = platform.background.spawn(async move {
        let sent = send(&owned, way.as_ref(), &message).await;
        note(&owned, &due, &waiting, sent.err()).await
    });
    let noted = sending.await;
    noted.map_err(|error| Error::internal("a notification could not be sent", error))??;
    // What came meanwhile has its time.
    platform.signals.notices();
    Ok(())
}

/// Sends a message, in its time.
async fn send(
    platform: &Platform,
    way: Option<&Way>,
    message: &Message,
) -> std::result::Result<(), Failure> {
    let Some(way) = way else {
        return Err(Failure {
            problem: "it is switched off or gone".to_owned(),
            is_final: true,
            retry_after: None,
        });
    };
    let (mailer, outgoing) = (&platform.mailer, &platform.outgoing);
    let sending = way.send(mailer, outgoing, message, platform.now());
    let sent = timeout(LONGEST_SENDING, sending).await;
    sent.unwrap_or_else(|_| Err(Unreachable::Silent.into()))
}

/// Notes how a message fared.
async fn note(
    platform: &Platform,
    due: &DueOutlet,
    waiting: &[WaitingNotice],
    failure: Option<Failure>,
) -> Result<()> {
    let attempt = attempt(platform, waiting, failure);
    platform.store.note_attempt_for_task(due, &attempt).await?;
    let is_given_up = |fate: &Fate| *fate == Fate::GivenUp;
    if let Outlet::MonitorDiscord(project_id) = due.outlet
        && attempt.fates.iter().any(|(_, fate)| is_given_up(fate))
    {
        let problem = attempt.problem.unwrap_or_default();
        let text = format!("uptime: the Discord webhook took no message ({problem})");
        platform.tell_project(project_id, text).await;
    }
    Ok(())
}

/// The newest of what waits, and how many there are besides.
async fn message(
    platform: &Platform,
    due: &DueOutlet,
    waiting: &[WaitingNotice],
) -> Result<Message> {
    let listed = waiting.len().saturating_sub(MOST_LISTED);
    let workspace = match due.workspace_id {
        None => None,
        Some(id) => {
            let scope = WorkspaceScope::for_task(id);
            Some(platform.store.get_workspace(&scope).await?.slug)
        }
    };
    let items = waiting.iter().skip(listed);
    Ok(Message {
        workspace,
        items: items.map(|one| one.item.clone()).collect(),
        left_out: listed as u64,
    })
}

/// What follows from how a message fared.
fn attempt(platform: &Platform, waiting: &[WaitingNotice], failure: Option<Failure>) -> Attempt {
    let at = platform.now();
    let unlisted = waiting.len().saturating_sub(MOST_LISTED);
    let Some(failure) = failure else {
        let fate = |index| match index < unlisted {
            true => Fate::LeftOut,
            false => Fate::Delivered,
        };
        let fates = waiting.iter().enumerate();
        return Attempt {
            fates: fates
                .map(|(index, one)| (one.item.id, fate(index)))
                .collect(),
            problem: None,
            at,
            next_at: at.saturating_add(PACE),
        };
    };
    let fate = |one: &WaitingNotice| {
        let is_last = one.attempts.saturating_add(1) >= MOST_ATTEMPTS;
        let is_old = at.since(one.created_at) >= DAY;
        match failure.is_final || is_last || is_old {
            true => Fate::GivenUp,
            false => Fate::Again,
        }
    };
    // The one that waits longest says how often it was tried in a row.
    let attempts = waiting.iter().map(|one| one.attempts).max();
    let mut random = [0];
    platform.ids.fill(&mut random);
    let pause = pause_after(attempts.unwrap_or(0).saturating_add(1), random[0]);
    let wish = failure.retry_after.unwrap_or_default().min(LONGEST_WISH);
    Attempt {
        fates: waiting.iter().map(|one| (one.item.id, fate(one))).collect(),
        problem: Some(failure.problem),
        at,
        next_at: match failure.is_final {
            true => at.saturating_add(PACE),
            false => at.saturating_add(pause.max(wish)),
        },
    }
}

/// The way to an outlet; `None` if it is gone or switched off.
async fn find_way(platform: &Platform, due: &DueOutlet) -> Result<Option<Way>> {
    let Some(workspace_id) = due.workspace_id else {
        return Ok(match &due.outlet {
            Outlet::Mail(email) => Some(Way::Mail(email.to_string())),
            _ => None,
        });
    };
    let scope = WorkspaceScope::for_task(workspace_id);
    match &due.outlet {
        Outlet::Mail(email) => Ok(Some(Way::Mail(email.to_string()))),
        Outlet::Channel(id) => {
            let found = platform
                .store
                .find_notification_channel(&scope, *id)
                .await?;
            let channel = found.filter(|channel| channel.is_enabled);
            channel.map(|channel| platform.way_of(&channel)).transpose()
        }
        Outlet::MonitorEmail(id) => {
            let monitor = platform.store.find_monitor(&scope, *id).await?;
            let email = monitor.and_then(|monitor| monitor.settings.notify_email);
            Ok(email.map(|email| Way::Mail(email.to_string())))
        }
        Outlet::MonitorDiscord(id) => {
            let Some(monitor) = platform.store.find_monitor(&scope, *id).await? else {
                return Ok(None);
            };
            let url = platform.open_webhook(&monitor)?;
            let url = url.map(|url| parse(url.expose_secret())).transpose()?;
            Ok(url.map(Way::Discord))
        }
    }
}

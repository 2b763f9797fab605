//! Word that a project went down or answers again: its log, a mail, a webhook of Discord.
//!
//! Guarantee: each is told of an event once at most; the webhook is tried three times until it takes it. What cannot
//! be delivered is no reason for anything else to wait. Not here: when people are told.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde_json::json;
use tose_api::Slug;
use tose_model::drain::pause_after;
use tose_model::secret::ExposeSecret;
use tose_model::uptime::{Turn, escape_for_discord, in_words};
use tose_store::Monitor;

use crate::app::Platform;
use crate::mail::Mail;
use crate::tasks::drains::wait;

/// How often a webhook is tried.
const TRIES: u32 = 3;
/// The longest time that it may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(60);

/// What it is about, in words.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) workspace: Slug,
    pub(super) project: Slug,
}

/// Tells everybody who wants to know.
pub(super) async fn tell(platform: &Platform, monitor: &Monitor, subject: &Subject, turn: &Turn) {
    let news = match turn {
        Turn::Down { reason } => format!("is down: {reason}"),
        Turn::Up { after } => format!("is up again, after {}", in_words(*after)),
    };
    let line = format!("uptime: the project {news}");
    platform.tell_project(monitor.project_id, line).await;
    tokio::join!(
        mail(platform, monitor, subject, turn, &news),
        post(platform, monitor, subject, &news),
    );
}

async fn mail(platform: &Platform, monitor: &Monitor, subject: &Subject, turn: &Turn, news: &str) {
    let email = monitor.settings.notify_email.as_ref();
    let Some(email) = email.filter(|_| platform.mailer.is_on()) else {
        return;
    };
    let Subject { workspace, project } = subject;
    let word = match turn {
        Turn::Down { .. } => "down",
        Turn::Up { .. } => "up again",
    };
    let mail = Mail {
        to: email.as_str(),
        subject: &format!("{workspace}/{project} is {word}"),
        text: format!(
            "{project} of workspace {workspace} {news}.\n\nSeen at {}. An admin of the workspace had this mail sent to you.\n",
            monitor.condition.since
        ),
    };
    if let Err(error) = platform.mailer.send(mail).await {
        tracing::warn!(
            project_id = %monitor.project_id,
            error = &error as &dyn std::error::Error,
            "a mail about a project's uptime could not be sent"
        );
    }
}

async fn post(platform: &Platform, monitor: &Monitor, subject: &Subject, news: &str) {
    let url = match platform.open_webhook(monitor) {
        Ok(Some(url)) => url,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(
                project_id = %monitor.project_id,
                error = &error as &dyn std::error::Error,
                "a webhook could not be opened"
            );
            return;
        }
    };
    let text = format!("{}/{} {news}", subject.workspace, subject.project);
    // It was read when it was set.
    if let Ok(url) = url.expose_secret().parse()
        && !is_taken(platform, &url, &text).await
    {
        let text = "uptime: the Discord webhook took no message".to_owned();
        platform.tell_project(monitor.project_id, text).await;
    }
}

/// Posts a message until it is taken, or refused, or was tried often enough.
async fn is_taken(platform: &Platform, url: &reqwest::Url, text: &str) -> bool {
    let content = escape_for_discord(text);
    let body = json!({"content": content, "allowed_mentions": {"parse": []}});
    let body = Bytes::from(body.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for failures in 1..=TRIES {
        let (outgoing, now) = (&platform.outgoing, platform.now());
        let answer = outgoing.post(url, &headers, body.clone(), now).await;
        let wish = match answer {
            Ok(answer) if (200..300).contains(&answer.status) => return true,
            // What was refused is refused again.
            Ok(answer) if (400..500).contains(&answer.status) && answer.status != 429 => break,
            Ok(answer) => answer.retry_after,
            Err(_) => None,
        };
        if failures < TRIES {
            let mut random = [0];
            platform.ids.fill(&mut random);
            let pause = pause_after(failures, random[0]);
            let wish = wish.unwrap_or_default().min(LONGEST_WISH);
            wait(platform, pause.max(wish)).await;
        }
    }
    false
}

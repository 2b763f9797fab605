//! Word that a project went down or answers again: its log, those whom its monitor names, and the workspace's channels.
//!
//! Guarantee: each is told of an event once; what cannot be delivered is tried later, and nothing waits for it.
//! Not here: when people are told, and how a message gets to them (`tasks/notices.rs`).

use tose_api::Slug;
use tose_api::notification::NoticeEvent;
use tose_model::notice::Outlet;
use tose_model::uptime::{Turn, in_words};
use tose_store::Monitor;

use crate::app::Platform;
use crate::app::notice::NewNotice;

/// What it is about, in words.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) workspace: Slug,
    pub(super) project: Slug,
}

/// Tells everybody who wants to know.
pub(super) async fn tell(platform: &Platform, monitor: &Monitor, subject: &Subject, turn: &Turn) {
    let (event, news) = match turn {
        Turn::Down { reason } => (NoticeEvent::UptimeDown, format!("is down: {reason}")),
        Turn::Up { after } => (
            NoticeEvent::UptimeUp,
            format!("is up again, after {}", in_words(*after)),
        ),
    };
    let id = monitor.project_id;
    let line = format!("uptime: the project {news}");
    platform.tell_project(id, line).await;
    let mut outlets = Vec::new();
    if monitor.settings.discord_webhook.is_some() {
        outlets.push(Outlet::MonitorDiscord(id));
    }
    if monitor.settings.notify_email.is_some() && platform.mailer.is_on() {
        outlets.push(Outlet::MonitorEmail(id));
    }
    let since = monitor.condition.since;
    let notice = NewNotice {
        workspace_id: monitor.workspace_id,
        project_id: Some(id),
        event,
        key: format!("{}/{id}/{}", event.as_str(), since.as_nanos()),
        title: format!("{}/{} {news}", subject.workspace, subject.project),
        text: String::new(),
    };
    platform.notify_also(notice, &outlets).await;
}

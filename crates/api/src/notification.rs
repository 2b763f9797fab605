//! Notifications: whom a workspace tells of what happens, and how.
//!
//! Not here: what a message looks like (`tose-model`, `notice.rs`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Email, NoticeId, NotificationChannelId, Slug, Timestamp};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What people are told of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum NoticeEvent {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl NoticeEvent {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word as it stands on the wire and in the store.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        /// What a rule names: a kind of event, or all of them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum EventRule {
            /// All kinds, also those that come with later versions.
            #[serde(rename = "*")]
            All,
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl EventRule {
            /// The kind of event; `None` stands for all.
            pub const fn event(self) -> Option<NoticeEvent> {
                match self {
                    Self::All => None,
                    $(Self::$name => Some(NoticeEvent::$name),)*
                }
            }
        }
    };
}

events! {
    /// A project does not answer any more.
    UptimeDown = "uptime_down";
    /// It answers again.
    UptimeUp = "uptime_up";
    /// A deployment failed.
    DeployFailed = "deploy_failed";
    /// The first deployment after a failed one is live.
    DeployRecovered = "deploy_recovered";
    /// A version that is live crashes again and again.
    CrashLoop = "crash_loop";
    /// A backup failed, or could not be restored for a proof.
    BackupFailed = "backup_failed";
    /// The wallet is below its threshold or empty, or a share of the budget is used.
    WalletLow = "wallet_low";
    /// Everything is stopped, for want of money.
    WalletSuspended = "wallet_suspended";
    /// Everything starts again.
    WalletResumed = "wallet_resumed";
    /// A certificate could not be ordered again and again.
    CertificateTrouble = "certificate_trouble";
    /// A certificate expires soon.
    CertificateExpiring = "certificate_expiring";
    /// The server's disk gets full. Operators are told by mail.
    DiskFull = "disk_full";
    /// What an alert rule names has come about.
    AlertFiring = "alert_firing";
    /// It is over.
    AlertResolved = "alert_resolved";
    /// A project got more or fewer replicas by itself, or could not get those that it needs.
    Autoscaled = "autoscaled";
}

/// How a channel is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// Mail, by the server's own mail server.
    Email,
    /// A webhook of Discord.
    Discord,
    /// An incoming webhook of Slack.
    Slack,
    /// A bot of Telegram.
    Telegram,
    /// A POST of JSON, signed.
    Webhook,
}

impl ChannelKind {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Discord => "discord",
            Self::Slack => "slack",
            Self::Telegram => "telegram",
            Self::Webhook => "webhook",
        }
    }
}

/// Body of `POST W/notifications`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateNotification {
    /// Its name, unique in the workspace.
    #[schemars(length(min = 1, max = 100), extend("examples" = ["Team chat"]))]
    pub name: String,
    /// How it is spoken to. It stays so.
    pub kind: ChannelKind,
    /// Whether it is told; `true` when absent at its making.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it is told of; empty, or with `*`: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 30))]
    pub events: Option<Vec<EventRule>>,
    /// The slugs of the projects, instances and databases it is told of; empty: all. What is of no project, such as the
    /// wallet, always counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub projects: Option<Vec<Slug>>,
    /// For `email`: who gets the mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// For `discord`, `slack` and `webhook`: the address that is called. Kept sealed; only its origin is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000), extend("examples" = ["https://hooks.slack.com/services/…"]))]
    pub url: Option<String>,
    /// For `telegram`: the bot's token. Kept sealed and never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub bot_token: Option<String>,
    /// For `telegram`: the chat's number, or a channel's name such as `@news`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), extend("examples" = ["-1001234567890"]))]
    pub chat_id: Option<String>,
    /// For `webhook`: what messages are signed with, 16 to 200 visible characters. Left out at its making, the server makes
    /// one and shows it once. Kept sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 16, max = 200))]
    pub secret: Option<String>,
}

/// Body of `PUT W/notifications/:id`: what is left out stays.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateNotification {
    /// Its name, unique in the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub name: Option<String>,
    /// Whether it is told; `true` when absent at its making.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it is told of; empty, or with `*`: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 30))]
    pub events: Option<Vec<EventRule>>,
    /// The slugs of the projects, instances and databases it is told of; empty: all. What is of no project, such as the
    /// wallet, always counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub projects: Option<Vec<Slug>>,
    /// For `email`: who gets the mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// For `discord`, `slack` and `webhook`: the address that is called. Kept sealed; only its origin is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000), extend("examples" = ["https://hooks.slack.com/services/…"]))]
    pub url: Option<String>,
    /// For `telegram`: the bot's token. Kept sealed and never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub bot_token: Option<String>,
    /// For `telegram`: the chat's number, or a channel's name such as `@news`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), extend("examples" = ["-1001234567890"]))]
    pub chat_id: Option<String>,
    /// For `webhook`: what messages are signed with, 16 to 200 visible characters. Left out at its making, the server makes
    /// one and shows it once. Kept sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 16, max = 200))]
    pub secret: Option<String>,
}

impl CreateNotification {
    /// A channel of this kind with nothing else.
    pub fn new(name: impl Into<String>, kind: ChannelKind) -> Self {
        Self {
            name: name.into(),
            kind,
            enabled: None,
            events: None,
            projects: None,
            email: None,
            url: None,
            bot_token: None,
            chat_id: None,
            secret: None,
        }
    }

    /// The kind, and the rest as a change of a channel that has nothing so far.
    pub fn into_parts(self) -> (ChannelKind, UpdateNotification) {
        let change = UpdateNotification {
            name: Some(self.name),
            enabled: self.enabled,
            events: self.events,
            projects: self.projects,
            email: self.email,
            url: self.url,
            bot_token: self.bot_token,
            chat_id: self.chat_id,
            secret: self.secret,
        };
        (self.kind, change)
    }
}

/// A channel, without its secrets.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct NotificationView {
    /// Its id.
    pub id: NotificationChannelId,
    /// Its name.
    pub name: String,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// Whether it is told.
    pub enabled: bool,
    /// What it is told of; empty: everything.
    pub events: Vec<NoticeEvent>,
    /// Of which projects; empty: all.
    pub projects: Vec<Slug>,
    /// Who gets the mails, if that is what it does.
    pub email: Option<String>,
    /// The origin of the address that is called, if it has one.
    pub url: Option<String>,
    /// The chat, if it is one of Telegram.
    pub chat_id: Option<String>,
    /// What messages are signed with: only in the answer to the call for which the server made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// How the last message fared; `null` before the first.
    pub last_delivery: Option<LastDelivery>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// How the last message to a channel fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastDelivery {
    /// When.
    pub at: Timestamp,
    /// Whether it was taken.
    pub ok: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationTest {
    /// Whether the message was taken.
    pub delivered: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is sent at `next_at`.
    Waiting,
    /// It was taken.
    Delivered,
    /// It was given up.
    Failed,
    /// There were too many at once: the message told how many more there were.
    LeftOut,
}

impl DeliveryState {
    /// The word as it stands on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::LeftOut => "left_out",
        }
    }
}

/// An event that a channel is told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeDeliveryView {
    /// The event's id. A webhook gets it too.
    pub id: NoticeId,
    /// What happened.
    pub event: NoticeEvent,
    /// The project's slug, if it is of one.
    pub project: Option<Slug>,
    /// What happened, in a line.
    pub title: String,
    /// When it happened.
    pub at: Timestamp,
    /// Where its delivery stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, if it waits.
    pub next_at: Option<Timestamp>,
    /// When its delivery ended.
    pub ended_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub reason: Option<String>,
}

//! Channels of notifications: whom a workspace tells of what.
//!
//! Guarantee: URLs, tokens and signing secrets are sealed, and in no answer but the one for which a secret was made.
//! Not here: what is told (`notice.rs`).

use std::time::Duration;

use reqwest::Url;
use tose_api::notification::{
    ChannelKind, CreateNotification, EventRule, LastDelivery, NoticeDeliveryView, NoticeEvent,
    NotificationTest, NotificationView, UpdateNotification,
};
use tose_api::workspace::Deleted;
use tose_api::{NoticeId, NotificationChannelId, Slug};
use tose_model::access::Access;
use tose_model::error::{Error, Result};
use tose_model::notice::{Item, Message};
use tose_model::secret::{ExposeSecret, SecretString};
use tose_store::{LastMessage, NotificationChannel};

use crate::app::{Platform, check_name, vault_error};
use crate::notice::Secrets;
use crate::outgoing::Unreachable;
use crate::secrets::{Place, fresh_token};

/// The most channels of a workspace.
const MOST: u32 = 20;
/// The most projects that a rule names.
const MOST_PROJECTS: usize = 100;
/// How many deliveries are shown.
const MOST_DELIVERIES: u32 = 50;
/// How long the answer to a test is waited for.
const TEST_PATIENCE: Duration = Duration::from_secs(20);
/// The longest address, in characters.
const MAX_URL: usize = 2000;

impl Platform {
    pub(crate) async fn list_notifications(
        &self,
        access: &Access,
    ) -> Result<Vec<NotificationView>> {
        let channels = self
            .store
            .list_notification_channels(access.scope())
            .await?;
        Ok(channels.into_iter().map(view).collect())
    }

    pub(crate) async fn get_notification(
        &self,
        access: &Access,
        id: &str,
    ) -> Result<NotificationView> {
        Ok(view(self.find_channel(access, id).await?))
    }

    /// Tells it of what happens from now on.
    pub(crate) async fn create_notification(
        &self,
        access: &Access,
        input: CreateNotification,
    ) -> Result<NotificationView> {
        let (kind, change) = input.into_parts();
        let now = self.now();
        let mut channel = NotificationChannel {
            id: NotificationChannelId::from_uuid(self.ids.uuid()),
            workspace_id: access.scope().id(),
            name: String::new(),
            kind,
            is_enabled: true,
            events: Vec::new(),
            projects: Vec::new(),
            target: String::new(),
            secrets: None,
            last: None,
            created_at: now,
            updated_at: now,
        };
        let made = self.change(access, &mut channel, change, true).await?;
        let event = self.event(access, "notification.create", &channel.name);
        let stored = self
            .store
            .create_notification_channel(access.scope(), &channel, MOST, &event)
            .await;
        if let Err(tose_store::Error::Conflict(_)) = stored {
            let text = format!("a workspace has at most {MOST} channels; remove one first");
            return Err(Error::conflict("too_many_notifications", text));
        }
        stored?;
        Ok(NotificationView {
            secret: made,
            ..view(channel)
        })
    }

    /// Changes what was sent and keeps the rest.
    pub(crate) async fn update_notification(
        &self,
        access: &Access,
        id: &str,
        input: UpdateNotification,
    ) -> Result<NotificationView> {
        let mut channel = self.find_channel(access, id).await?;
        self.change(access, &mut channel, input, false).await?;
        channel.updated_at = self.now();
        let event = self.event(access, "notification.update", &channel.name);
        self.store
            .update_notification_channel(access.scope(), &channel, &event)
            .await?;
        Ok(view(channel))
    }

    pub(crate) async fn delete_notification(&self, access: &Access, id: &str) -> Result<Deleted> {
        let channel = self.find_channel(access, id).await?;
        let event = self.event(access, "notification.delete", &channel.name);
        self.store
            .delete_notification_channel(access.scope(), channel.id, &event)
            .await?;
        Ok(Deleted {
            deleted: channel.id.to_string(),
        })
    }

    /// Sends a message now, also to a channel that is switched off, and says what came of it.
    pub(crate) async fn test_notification(
        &self,
        access: &Access,
        id: &str,
    ) -> Result<NotificationTest> {
        let channel = self.find_channel(access, id).await?;
        self.limits.tests.count(&access.scope().id())?;
        let event = self.event(access, "notification.test", &channel.name);
        self.store.add_event(access.scope(), &event).await?;
        let item = Item {
            id: NoticeId::from_uuid(self.ids.uuid()),
            event: None,
            project: None,
            title: format!("A test of the channel {}", channel.name),
            text: format!(
                "This is how workspace {} tells you of what happens.",
                access.workspace()
            ),
            at: self.now(),
        };
        let message = Message {
            workspace: Some(access.workspace().clone()),
            items: vec![item],
            left_out: 0,
        };
        let way = self.way_of(&channel)?;
        let sending = way.send(&self.mailer, &self.outgoing, &message, self.now());
        let sent = tokio::time::timeout(TEST_PATIENCE, sending).await;
        let sent = sent.unwrap_or_else(|_| Err(Unreachable::Silent.into()));
        let problem = sent.err().map(|failure| failure.problem);
        let last = LastMessage {
            at: self.now(),
            problem: problem.clone(),
        };
        self.store
            .note_channel_message(access.scope(), channel.id, &last)
            .await?;
        Ok(NotificationTest {
            delivered: problem.is_none(),
            reason: problem,
        })
    }

    pub(crate) async fn list_notification_deliveries(
        &self,
        access: &Access,
        id: &str,
    ) -> Result<Vec<NoticeDeliveryView>> {
        let channel = self.find_channel(access, id).await?;
        Ok(self
            .store
            .list_notice_deliveries(access.scope(), channel.id, MOST_DELIVERIES)
            .await?)
    }

    async fn find_channel(&self, access: &Access, id: &str) -> Result<NotificationChannel> {
        let missing = Error::NotFound("channel");
        let Ok(id) = id.parse() else {
            return Err(missing);
        };
        let found = self
            .store
            .find_notification_channel(access.scope(), id)
            .await?;
        found.ok_or(missing)
    }

    /// Checks what somebody wants of a channel and puts it there. Answers a signing secret that was made for it.
    async fn change(
        &self,
        access: &Access,
        channel: &mut NotificationChannel,
        input: UpdateNotification,
        is_new: bool,
    ) -> Result<Option<String>> {
        check_kind(channel.kind, &input, is_new)?;
        if let Some(name) = &input.name {
            channel.name = check_name(name)?;
        }
        channel.is_enabled = input.enabled.unwrap_or(channel.is_enabled);
        if let Some(events) = &input.events {
            channel.events = rule_events(events);
        }
        if let Some(projects) = input.projects {
            channel.projects = self.rule_projects(access, projects).await?;
        }
        if let Some(email) = input.email {
            if !self.mailer.is_on() {
                return Err(Error::conflict("no_mail", "this server sends no mail"));
            }
            channel.target = email.to_string();
        }
        if let Some(chat) = input.chat_id {
            channel.target = check_chat(chat)?;
        }
        let mut secrets = self.open_channel_secrets(channel)?;
        let before = secrets.clone();
        if let Some(url) = input
            .url
            .filter(|url| is_new || *url != masked(&channel.target))
        {
            channel.target = self.check_address(&url).await?;
            secrets.url = Some(url);
        }
        if let Some(token) = input.bot_token {
            secrets.bot_token = Some(check_token(token)?);
        }
        let mut made = None;
        if let Some(secret) = input.secret {
            secrets.secret = Some(check_secret(secret)?);
        } else if is_new && channel.kind == ChannelKind::Webhook {
            let fresh = fresh_token(self.ids.as_ref()).expose_secret().to_owned();
            made = Some(fresh.clone());
            secrets.secret = Some(fresh);
        }
        if secrets != before {
            let text = serde_json::to_string(&secrets)
                .map(SecretString::from)
                .map_err(|error| Error::internal("a channel's secrets cannot be kept", error))?;
            let ids = self.ids.as_ref();
            let sealed = self.vault.seal(place(channel), text.expose_secret(), ids);
            channel.secrets = Some(sealed);
        }
        Ok(made)
    }

    /// Slugs that are those of projects of the workspace.
    async fn rule_projects(&self, access: &Access, mut slugs: Vec<Slug>) -> Result<Vec<Slug>> {
        slugs.sort();
        slugs.dedup();
        if slugs.len() > MOST_PROJECTS {
            let problem = "must name a hundred projects at most; leave it empty for all";
            return Err(Error::invalid_field("projects", problem));
        }
        for slug in &slugs {
            self.find_named(access, "projects", slug).await?;
        }
        Ok(slugs)
    }

    /// Checks an address that is to be called; answers what may be shown of it.
    async fn check_address(&self, text: &str) -> Result<String> {
        let refuse = |problem: String| Error::invalid_field("url", problem);
        let usual = "must be an address such as https://hooks.example.com/…, without user, password and fragment";
        let url: Url = text.parse().map_err(|_| refuse(usual.to_owned()))?;
        let is_secure =
            url.scheme() == "https" || (url.scheme() == "http" && self.outgoing.allows_private());
        let has_user = !url.username().is_empty() || url.password().is_some();
        let host = url.host_str().unwrap_or_default();
        let is_odd = host.is_empty() || url.fragment().is_some() || url.port() == Some(0);
        if !is_secure || has_user || is_odd || text.len() > MAX_URL {
            return Err(refuse(usual.to_owned()));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        // A name may be there later.
        if let Err(problem @ Unreachable::NotPublic) = self.outgoing.check(host, port).await {
            return Err(refuse(format!("cannot be used: {problem}")));
        }
        Ok(url.origin().ascii_serialization())
    }

    /// Where a channel leads and what opens it.
    pub(super) fn open_channel_secrets(&self, channel: &NotificationChannel) -> Result<Secrets> {
        let Some(sealed) = &channel.secrets else {
            return Ok(Secrets::default());
        };
        let opened = self
            .vault
            .open(place(channel), sealed)
            .map_err(vault_error)?;
        serde_json::from_str(opened.expose_secret())
            .map_err(|error| Error::internal("a channel's secrets are broken", error))
    }
}

fn place(channel: &NotificationChannel) -> Place<'static> {
    Place::NotificationChannel {
        workspace_id: channel.workspace_id,
        channel_id: channel.id,
    }
}

/// What a rule's list comes down to: nothing is everything.
fn rule_events(rules: &[EventRule]) -> Vec<NoticeEvent> {
    let events: Option<Vec<NoticeEvent>> = rules.iter().map(|rule| rule.event()).collect();
    let mut events = events.unwrap_or_default();
    events.sort();
    events.dedup();
    events
}

/// Looks whether what was sent is of this kind, and whether a new channel has all that it needs.
fn check_kind(kind: ChannelKind, input: &UpdateNotification, is_new: bool) -> Result<()> {
    let fields = [
        ("email", input.email.is_some(), &[ChannelKind::Email][..]),
        (
            "url",
            input.url.is_some(),
            &[
                ChannelKind::Discord,
                ChannelKind::Slack,
                ChannelKind::Webhook,
            ],
        ),
        (
            "bot_token",
            input.bot_token.is_some(),
            &[ChannelKind::Telegram],
        ),
        ("chat_id", input.chat_id.is_some(), &[ChannelKind::Telegram]),
        ("secret", input.secret.is_some(), &[ChannelKind::Webhook]),
    ];
    for (field, is_sent, kinds) in fields {
        let is_of_kind = kinds.contains(&kind);
        if is_sent && !is_of_kind {
            let problem = format!("is nothing that a channel of kind {} has", kind.as_str());
            return Err(Error::invalid_field(field, problem));
        }
        if is_new && is_of_kind && !is_sent && field != "secret" {
            let problem = format!("must be there for a channel of kind {}", kind.as_str());
            return Err(Error::invalid_field(field, problem));
        }
    }
    Ok(())
}

fn check_chat(chat: String) -> Result<String> {
    let is_number = {
        let digits = chat.strip_prefix('-').unwrap_or(&chat);
        (1..=18).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_name = chat.strip_prefix('@').is_some_and(|name| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        (4..=32).contains(&name.len()) && name.bytes().all(is_plain)
    });
    match is_number || is_name {
        true => Ok(chat),
        false => Err(Error::invalid_field(
            "chat_id",
            "must be a chat's number such as -1001234567890, or a channel's name such as @news",
        )),
    }
}

fn check_token(token: String) -> Result<String> {
    let is_token = token.split_once(':').is_some_and(|(bot, key)| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=20).contains(&bot.len())
            && bot.bytes().all(|byte| byte.is_ascii_digit())
            && (20..=100).contains(&key.len())
            && key.bytes().all(is_plain)
    });
    match is_token {
        true => Ok(token),
        false => Err(Error::invalid_field(
            "bot_token",
            "must be a token as BotFather gives it: a number, a colon, and letters and digits",
        )),
    }
}

fn check_secret(secret: String) -> Result<String> {
    let is_visible = secret.bytes().all(|byte| byte.is_ascii_graphic());
    match (16..=200).contains(&secret.len()) && is_visible {
        true => Ok(secret),
        false => Err(Error::invalid_field(
            "secret",
            "must have 16 to 200 visible characters",
        )),
    }
}

/// What is shown of an address: its origin.
fn masked(origin: &str) -> String {
    format!("{origin}/…")
}

fn view(channel: NotificationChannel) -> NotificationView {
    let target = channel.target;
    let (mut email, mut url, mut chat_id) = (None, None, None);
    match channel.kind {
        ChannelKind::Email => email = Some(target),
        ChannelKind::Discord | ChannelKind::Slack | ChannelKind::Webhook => {
            url = Some(masked(&target));
        }
        ChannelKind::Telegram => chat_id = Some(target),
    }
    NotificationView {
        id: channel.id,
        name: channel.name,
        kind: channel.kind,
        enabled: channel.is_enabled,
        events: channel.events,
        projects: channel.projects,
        email,
        url,
        chat_id,
        secret: None,
        last_delivery: channel.last.map(|last| LastDelivery {
            at: last.at,
            ok: last.problem.is_none(),
            reason: last.problem,
        }),
        created_at: channel.created_at,
        updated_at: channel.updated_at,
    }
}

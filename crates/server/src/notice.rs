//! How a message of notifications gets to its medium: by mail, or by one POST.
//!
//! Guarantees: addresses that users give are called through `outgoing.rs` only; why something was not taken is told in
//! fixed words and the status, never in those of the answer; tokens and URLs are in no `Debug` and no error.
//! Not here: what a message looks like (`tose_model::notice`), to whom and when (`tasks/notices.rs`).

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tose_api::Timestamp;
use tose_model::error::Error;
use tose_model::notice::{Message, Verdict, judge};
use tose_model::secret::SecretString;

use crate::mail::{Mail, Mailer, is_refused};
use crate::outgoing::{Outgoing, Unreachable};
use crate::secrets::sign;

/// Where a channel leads and what opens it. Kept sealed as JSON.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) url: Option<String>,
    pub(crate) bot_token: Option<String>,
    pub(crate) secret: Option<String>,
}

/// A way to somebody.
pub(crate) enum Way {
    /// Mail to this address.
    Mail(String),
    /// A webhook of Discord.
    Discord(Url),
    /// An incoming webhook of Slack.
    Slack(Url),
    /// A method of a bot of Telegram, and the chat.
    Telegram(Url, String),
    /// A webhook, and what its messages are signed with.
    Webhook(Url, SecretString),
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// In words for the user.
    pub(crate) problem: String,
    /// Whether it would be refused again.
    pub(crate) is_final: bool,
    /// How long the other side asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl From<Unreachable> for Failure {
    fn from(problem: Unreachable) -> Self {
        Self {
            problem: problem.to_string(),
            is_final: problem == Unreachable::NotPublic,
            retry_after: None,
        }
    }
}

impl Way {
    /// Sends a message.
    ///
    /// # Errors
    /// When it was not taken, as far as is known.
    pub(crate) async fn send(
        &self,
        mailer: &Mailer,
        outgoing: &Outgoing,
        message: &Message,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (url, body) = match self {
            Self::Mail(to) => return send_mail(mailer, to, message).await,
            Self::Discord(url) => (url, message.discord()),
            Self::Slack(url) => (url, message.slack()),
            Self::Telegram(url, chat) => (url, message.telegram(chat)),
            Self::Webhook(url, secret) => {
                let id = message_id(message);
                let body = message.webhook(&id).to_string();
                add_signature(&mut headers, secret, &id, message.event(), &body, now);
                return post(outgoing, url, &headers, body, now).await;
            }
        };
        post(outgoing, url, &headers, body.to_string(), now).await
    }
}

/// The message's id: the same for the same events, also when it is sent again.
fn message_id(message: &Message) -> String {
    if let ([one], 0) = (&message.items[..], message.left_out) {
        return one.id.to_string();
    }
    let mut digest = Sha256::new();
    for item in &message.items {
        digest.update(item.id.to_string());
    }
    hex::encode(&digest.finalize()[..16])
}

fn add_signature(
    headers: &mut HeaderMap,
    secret: &SecretString,
    id: &str,
    event: &str,
    body: &str,
    now: Timestamp,
) {
    let timestamp = (now.as_nanos() / 1_000_000_000).to_string();
    let signature = sign(secret, &[timestamp.as_bytes(), b".", body.as_bytes()]);
    for (name, value) in [
        ("x-tose-signature", format!("sha256={signature}")),
        ("x-tose-timestamp", timestamp),
        ("x-tose-event", event.to_owned()),
        ("x-tose-delivery", id.to_owned()),
    ] {
        // Digits, letters and hyphens all of them.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

async fn post(
    outgoing: &Outgoing,
    url: &Url,
    headers: &HeaderMap,
    body: String,
    now: Timestamp,
) -> Result<(), Failure> {
    let answer = outgoing.post(url, headers, Bytes::from(body), now).await?;
    let verdict = judge(answer.status);
    if verdict == Verdict::Taken {
        return Ok(());
    }
    Err(Failure {
        problem: format!("it answered {}", answer.status),
        is_final: verdict == Verdict::Refused,
        retry_after: answer.retry_after,
    })
}

async fn send_mail(mailer: &Mailer, to: &str, message: &Message) -> Result<(), Failure> {
    if !mailer.is_on() {
        return Err(Failure {
            problem: "this server sends no mail".to_owned(),
            is_final: true,
            retry_after: None,
        });
    }
    let mail = Mail {
        to,
        subject: &message.title(),
        text: message.mail(),
    };
    let refuse = |error: Error| {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a mail about an event could not be sent"
        );
        Failure {
            problem: "the mail server did not take it".to_owned(),
            is_final: is_refused(&error),
            retry_after: None,
        }
    };
    mailer.send(mail).await.map_err(refuse)
}

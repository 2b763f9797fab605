//! Mail: invitations and password resets, by the server that `[smtp]` names.
//!
//! Invariant: what a user typed is a header's value or plain text, never a header of its own
//! (`lettre` encodes it). Not here: what a mail is for, which the use cases know.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tose_model::error::{Error, Result, UNAVAILABLE};
use tose_model::secret::ExposeSecret;

use crate::config::{Smtp, SmtpTls};

/// How long one mail may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Sends mail, or does not where no server is named.
pub(crate) struct Mailer {
    way: Option<(AsyncSmtpTransport<Tokio1Executor>, Mailbox)>,
}

/// A mail in plain text.
pub(crate) struct Mail<'a> {
    pub(crate) to: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) text: String,
}

impl Mailer {
    /// # Errors
    /// When the server's name or the sender's address cannot be used.
    pub(crate) fn new(smtp: Option<&Smtp>) -> Result<Self> {
        let way = smtp
            .map(|smtp| Ok::<_, Error>((transport(smtp)?, sender(smtp)?)))
            .transpose()?;
        Ok(Self { way })
    }

    /// Whether mail can be sent.
    pub(crate) fn is_on(&self) -> bool {
        self.way.is_some()
    }

    /// Hands a mail to the server.
    pub(crate) async fn send(&self, mail: Mail<'_>) -> Result<()> {
        let Some((transport, from)) = &self.way else {
            return Err(unavailable("this server sends no mail", None));
        };
        let to: Mailbox = mail
            .to
            .parse()
            .map_err(|_| Error::invalid_field("email", "no mail can be sent to this address"))?;
        let message = Message::builder()
            .from(from.clone())
            .to(to)
            .subject(mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text)
            .map_err(|error| Error::internal("a mail could not be written", error))?;
        transport
            .send(message)
            .await
            .map(|_| ())
            .map_err(|error| unavailable("the mail server did not take the mail", Some(error)))
    }
}

/// Whether the mail server, or the address itself, says that it would be so again.
pub(crate) fn is_refused(error: &Error) -> bool {
    match error {
        Error::Unavailable {
            source: Some(source),
            ..
        } => source
            .downcast_ref::<lettre::transport::smtp::Error>()
            .is_some_and(lettre::transport::smtp::Error::is_permanent),
        Error::Unavailable { .. } => false,
        _ => true,
    }
}

fn unavailable(message: &str, source: Option<lettre::transport::smtp::Error>) -> Error {
    Error::Unavailable {
        code: UNAVAILABLE,
        message: format!("{message}; ask the operator"),
        source: source.map(Into::into),
    }
}

fn sender(smtp: &Smtp) -> Result<Mailbox> {
    smtp.from.parse().map_err(|_| {
        Error::invalid("smtp.from must be an address such as \"TOSE <tose@example.com>\"")
    })
}

fn transport(smtp: &Smtp) -> Result<AsyncSmtpTransport<Tokio1Executor>> {
    type Transport = AsyncSmtpTransport<Tokio1Executor>;
    let builder = match smtp.tls {
        SmtpTls::Tls => Transport::relay(&smtp.host),
        SmtpTls::Starttls => Transport::starttls_relay(&smtp.host),
        SmtpTls::None => Ok(Transport::builder_dangerous(&smtp.host)),
    };
    let builder =
        builder.map_err(|error| Error::internal("the mail server cannot be used", error))?;
    let builder = builder.port(smtp.port).timeout(Some(TIMEOUT));
    Ok(match &smtp.credentials {
        Some((name, password)) => builder
            .credentials(Credentials::new(
                name.clone(),
                password.expose_secret().to_owned(),
            ))
            .build(),
        None => builder.build(),
    })
}

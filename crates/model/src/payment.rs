//! Payments: what the services that move money say happened, in one form for all of them.
//!
//! Guarantees: pure; nothing is believed before its signature was checked over the bytes as they came, in
//! constant time; an empty secret signs nothing; the same payment has the same `external_id` whether the
//! service told of it or was asked, so that crediting once per id credits once.
//! Assumptions: the caller bounds the size of what it hands in, and keeps the ids of what it credited.
//! Not here: calling the services (`tose-server`, `payment_api.rs`), and what a payment leads to.

pub mod memo;
pub mod payos;
pub mod sepay;
mod signature;
pub mod stripe;
mod value;
pub mod vietqr;
pub mod vnpay;

use tose_api::Timestamp;

use crate::error::{Error, UNAVAILABLE};
use crate::money::Currency;

/// What says for which top-up a payment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaidReference {
    /// A text that a person or a bank wrote; [`memo::find_memos`] looks into it.
    ByMemo(String),
    /// The code that a top-up was given when the service was asked for the payment.
    ByOrder(String),
}

/// Money that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The service's own id of this payment; no other payment of the service has it.
    pub external_id: String,
    /// How much, in the smallest unit of the currency: at least 1.
    pub amount: i64,
    /// What it is counted in.
    pub currency: Currency,
    /// For which top-up. There may be none such: services send tests, and people pay unasked.
    pub reference: PaidReference,
    /// Who paid, as far as the service says.
    pub payer: Option<String>,
    /// When, as far as the service says.
    pub paid_at: Option<Timestamp>,
}

/// What a genuine message of a service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Money arrived.
    Paid(Notice),
    /// Nothing to credit. The service is answered as if there were, or it would say it again.
    Ignored(Ignored),
}

/// Why there is nothing to credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// Money left the account.
    Outgoing,
    /// The payment for this top-up failed, or was called off.
    Failed(PaidReference),
    /// The payment for this top-up has not arrived so far.
    Pending(PaidReference),
    /// It is of another kind, or of something that this server did not ask for.
    NotOurs,
}

/// Why a message of a service is not believed, or not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// There is no secret to check it with.
    #[error("no secret is set for this payment service")]
    NoSecret,
    /// The signature is missing or wrong.
    #[error("the signature is not valid")]
    BadSignature,
    /// It was signed too long ago, or in the future.
    #[error("the signature's time is too far from now")]
    Stale,
    /// It is genuine, and not what the service documents; what is wrong with it.
    #[error("{0}")]
    Malformed(&'static str),
    /// The service was asked, and answered with this code in place of a success.
    #[error("the payment service answered {0}")]
    Refused(String),
}

impl From<PaymentError> for Error {
    fn from(error: PaymentError) -> Self {
        match error {
            // Without a secret nothing can be told from a forgery.
            PaymentError::NoSecret | PaymentError::BadSignature => Self::Unauthenticated {
                code: "bad_signature",
                message: "the signature is not valid",
            },
            PaymentError::Stale => Self::Unauthenticated {
                code: "bad_signature",
                message: "the signature's time is too far from now",
            },
            PaymentError::Malformed(problem) => Self::invalid(problem),
            PaymentError::Refused(_) => Self::Unavailable {
                code: UNAVAILABLE,
                message: error.to_string(),
                source: None,
            },
        }
    }
}

#[cfg(test)]
mod tests;

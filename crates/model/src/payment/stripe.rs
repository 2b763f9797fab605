//! Stripe: pages to pay on (Checkout Sessions), and events about them.
//!
//! Sources: docs.stripe.com (webhook signatures, fulfilling Checkout payments, the Checkout Session object).
//! A session may be told of twice, when it completes and when a slow payment of it arrives, so what is
//! credited once is the session and not the event.

use serde_json::Value;
use tose_api::Timestamp;

use super::signature::{check_time, sha256};
use super::value::{amount, id, json, text};
use super::{Ignored, Notice, PaidReference, PaymentError, Received};
use crate::money::Currency;
use crate::secret::SecretString;

const NANOS: i64 = 1_000_000_000;

/// Checks and reads an event; `signature` is the header `Stripe-Signature`.
///
/// # Errors
/// When it is not Stripe's, is too old, or is not what Stripe documents.
pub fn verify(
    secret: &SecretString,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<Received, PaymentError> {
    check_signature(secret, signature, body, now)?;
    let event = json(body)?;
    let session = &event["data"]["object"];
    let told_at = event["created"].as_i64().and_then(time_of);
    match event["type"].as_str() {
        Some("checkout.session.completed") => read(session, told_at),
        Some("checkout.session.async_payment_succeeded") => {
            notice(session, told_at).map(Received::Paid)
        }
        Some("checkout.session.async_payment_failed" | "checkout.session.expired") => {
            let failed = reference(session).map(Ignored::Failed);
            Ok(Received::Ignored(failed.unwrap_or(Ignored::NotOurs)))
        }
        Some(_) => Ok(Received::Ignored(Ignored::NotOurs)),
        None => Err(PaymentError::Malformed("type is missing")),
    }
    .or_else(forget_strangers)
}

/// Reads the answer to `GET /v1/checkout/sessions/{id}`.
///
/// # Errors
/// When it is no such answer.
pub fn read_session(body: &[u8]) -> Result<Received, PaymentError> {
    read(&json(body)?, None).or_else(forget_strangers)
}

/// A page to pay on that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// The top-up's code.
    pub order_code: &'a str,
    /// How much, in the smallest unit of the currency.
    pub amount: i64,
    /// What it is counted in.
    pub currency: Currency,
    /// What the page says is bought.
    pub product_name: &'a str,
    /// Who pays, as far as it is known: the page need not ask then.
    pub customer_email: Option<&'a str>,
    /// Where who paid is sent.
    pub success_url: &'a str,
    /// Where who called it off is sent.
    pub cancel_url: &'a str,
    /// Until when it can be paid, in Unix seconds: between half an hour and a day from now.
    pub expires_at_seconds: i64,
}

impl NewSession<'_> {
    /// The body of `POST /v1/checkout/sessions`, form-encoded.
    pub fn form(&self) -> String {
        let amount = self.amount.to_string();
        let currency = self.currency.code().to_ascii_lowercase();
        let expires_at = self.expires_at_seconds.to_string();
        let email = self.customer_email.map(|email| ("customer_email", email));
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("mode", "payment"),
                ("client_reference_id", self.order_code),
                ("metadata[order_code]", self.order_code),
                ("line_items[0][quantity]", "1"),
                ("line_items[0][price_data][currency]", &currency),
                ("line_items[0][price_data][unit_amount]", &amount),
                (
                    "line_items[0][price_data][product_data][name]",
                    self.product_name,
                ),
                ("success_url", self.success_url),
                ("cancel_url", self.cancel_url),
                ("expires_at", &expires_at),
            ])
            .extend_pairs(email)
            .finish()
    }

    /// The value of `Idempotency-Key`: asking twice for one top-up makes one page.
    pub fn idempotency_key(&self) -> String {
        format!("tose-top-up-{}", self.order_code)
    }
}

/// A page to pay on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeSession {
    /// Stripe's id of it.
    pub id: String,
    /// Where it is.
    pub checkout_url: String,
}

/// Reads the answer to `POST /v1/checkout/sessions`.
///
/// # Errors
/// When it is no such answer.
pub fn read_made_session(body: &[u8]) -> Result<MadeSession, PaymentError> {
    let session = json(body)?;
    Ok(MadeSession {
        id: id(&session["id"]).ok_or(PaymentError::Malformed("id is missing"))?,
        checkout_url: text(&session["url"]).ok_or(PaymentError::Malformed("url is missing"))?,
    })
}

/// Several signatures may stand in the header while a secret is being replaced: one has to be right.
fn check_signature(
    secret: &SecretString,
    header: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), PaymentError> {
    let pairs = header
        .split(',')
        .filter_map(|pair| pair.trim().split_once('='));
    let of = |wanted: &'static str| {
        let found = pairs.clone().filter(move |(name, _)| *name == wanted);
        found.map(|(_, value)| value)
    };
    let timestamp = of("t").next().unwrap_or_default();
    let expected = sha256(secret, &[timestamp.as_bytes(), b".", body])?;
    if !of("v1").any(|signature| expected.is(signature)) {
        return Err(PaymentError::BadSignature);
    }
    check_time(timestamp, now)
}

fn read(session: &Value, told_at: Option<Timestamp>) -> Result<Received, PaymentError> {
    if session["payment_status"] == "paid" {
        return notice(session, told_at).map(Received::Paid);
    }
    let reference = reference(session)?;
    let is_over = session["status"] == "expired";
    Ok(Received::Ignored(match is_over {
        true => Ignored::Failed(reference),
        false => Ignored::Pending(reference),
    }))
}

fn notice(session: &Value, paid_at: Option<Timestamp>) -> Result<Notice, PaymentError> {
    let reference = reference(session)?;
    let currency = session["currency"].as_str();
    Ok(Notice {
        external_id: id(&session["id"]).ok_or(PaymentError::Malformed("id is missing"))?,
        amount: amount(&session["amount_total"]).ok_or(PaymentError::Malformed(
            "amount_total is not a whole number",
        ))?,
        currency: currency
            .and_then(Currency::from_code)
            .ok_or(PaymentError::Malformed(
                "the currency is none that is known",
            ))?,
        reference,
        payer: text(&session["customer_details"]["email"]),
        paid_at,
    })
}

const NO_REFERENCE: &str = "client_reference_id is missing";

fn reference(session: &Value) -> Result<PaidReference, PaymentError> {
    if session["object"] != "checkout.session" {
        return Err(PaymentError::Malformed("there is no checkout session"));
    }
    id(&session["client_reference_id"])
        .map(PaidReference::ByOrder)
        .ok_or(PaymentError::Malformed(NO_REFERENCE))
}

/// The account may sell other things: their sessions carry no code of ours.
fn forget_strangers(error: PaymentError) -> Result<Received, PaymentError> {
    match error {
        PaymentError::Malformed(NO_REFERENCE) => Ok(Received::Ignored(Ignored::NotOurs)),
        error => Err(error),
    }
}

fn time_of(seconds: i64) -> Option<Timestamp> {
    seconds.checked_mul(NANOS).map(Timestamp::from_nanos)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "whsec_test_secret";
    const BODY: &str = r#"{"id":"evt_test","object":"event","type":"checkout.session.completed"}"#;
    const SIGNATURE: &str = "9b19c30bb5f6198a9128346b4849a56c6c32857a47889eed5b47c5f30823e7dc";

    fn at(seconds: i64) -> Timestamp {
        time_of(seconds).expect("in range")
    }

    fn session() -> Value {
        json!({
            "id": "cs_test_1",
            "object": "checkout.session",
            "status": "complete",
            "payment_status": "paid",
            "amount_total": 1000,
            "currency": "usd",
            "client_reference_id": "T1",
            "customer_details": {"email": "ann@example.com"},
        })
    }

    fn told(kind: &str, session: &Value) -> Result<Received, PaymentError> {
        let event = json!({"id": "evt_1", "type": kind, "created": 1_700_000_000, "data": {"object": session}});
        let body = event.to_string();
        let signature = sha256(&SECRET.into(), &[b"1700000000.", body.as_bytes()]);
        let header = format!("t=1700000000,v1={}", signature.expect("signed").to_hex());
        verify(&SECRET.into(), &header, body.as_bytes(), at(1_700_000_000))
    }

    #[test]
    fn the_example_is_genuine() {
        let check = |secret: &str, header: &str, now| {
            check_signature(&secret.into(), header, BODY.as_bytes(), at(now))
        };
        let header = format!("t=1700000000,v1={SIGNATURE}");
        assert_eq!(check(SECRET, &header, 1_700_000_300), Ok(()));
        assert_eq!(
            check(SECRET, &header, 1_700_000_301),
            Err(PaymentError::Stale)
        );
        assert_eq!(
            check("", &header, 1_700_000_000),
            Err(PaymentError::NoSecret)
        );
        let replaced = format!("t=1700000000, v1={}, v1={SIGNATURE}, v0=1", "0".repeat(64));
        assert_eq!(check(SECRET, &replaced, 1_700_000_000), Ok(()));
        for header in [
            String::new(),
            format!("v1={SIGNATURE}"),
            "t=1700000000".to_owned(),
            format!("t=1700000000,v0={SIGNATURE}"),
            format!("t=1700000001,v1={SIGNATURE}"),
            format!("t=1700000000,v1={SIGNATURE}00"),
        ] {
            let refused = check(SECRET, &header, 1_700_000_000);
            assert_eq!(refused, Err(PaymentError::BadSignature), "{header}");
        }
        let whole = verify(&SECRET.into(), &header, BODY.as_bytes(), at(1_700_000_000));
        assert!(
            matches!(whole, Err(PaymentError::Malformed(_))),
            "{whole:?}"
        );
    }

    #[test]
    fn a_session_is_credited_by_its_own_id_whatever_tells_of_it() {
        let expected = |paid_at| {
            Ok(Received::Paid(Notice {
                external_id: "cs_test_1".to_owned(),
                amount: 1000,
                currency: Currency::Usd,
                reference: PaidReference::ByOrder("T1".to_owned()),
                payer: Some("ann@example.com".to_owned()),
                paid_at,
            }))
        };
        let then = Some(at(1_700_000_000));
        for kind in ["completed", "async_payment_succeeded"] {
            let told = told(&format!("checkout.session.{kind}"), &session());
            assert_eq!(told, expected(then));
        }
        let asked = read_session(session().to_string().as_bytes());
        assert_eq!(asked, expected(None));
    }

    #[test]
    fn what_is_not_paid_credits_nothing() {
        let mut unpaid = session();
        unpaid["payment_status"] = json!("unpaid");
        let order = PaidReference::ByOrder("T1".to_owned());
        let completed = told("checkout.session.completed", &unpaid);
        let pending = Ignored::Pending(order.clone());
        assert_eq!(completed, Ok(Received::Ignored(pending)));
        let failed = Ok(Received::Ignored(Ignored::Failed(order)));
        assert_eq!(told("checkout.session.expired", &unpaid), failed);
        unpaid["status"] = json!("expired");
        assert_eq!(read_session(unpaid.to_string().as_bytes()), failed);
        let mut other = session();
        other["client_reference_id"] = Value::Null;
        let not_ours = Ok(Received::Ignored(Ignored::NotOurs));
        assert_eq!(told("checkout.session.completed", &other), not_ours);
        assert_eq!(
            told("invoice.paid", &json!({"object": "invoice"})),
            not_ours
        );
        let mut yen = session();
        yen["currency"] = json!("jpy");
        let yen = told("checkout.session.completed", &yen);
        assert!(matches!(yen, Err(PaymentError::Malformed(_))));
    }
}

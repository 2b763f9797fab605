//! SePay: a bank account that is watched, and a notice for each transfer.
//!
//! Sources: SePay's pages on webhooks and on its transaction API, version 1
//! (developer.sepay.vn, docs.sepay.vn/api-giao-dich.html). Version 2 names transactions by another id than its
//! notices do, so what it lists could not be told from what was credited by notice.

use serde_json::Value;
use tose_api::Timestamp;

use super::signature::{check_time, is_secret, sha256};
use super::value::{amount, code, id, json, text, vietnam_time};
use super::{Ignored, Notice, PaidReference, PaymentError, Received};
use crate::money::Currency;
use crate::secret::SecretString;

/// What SePay wants to be answered, with status 200 or 201; else it says it again.
pub const ANSWER: &str = r#"{"success":true}"#;
/// Before the hex digits of a signature.
const SIGNATURE_PREFIX: &str = "sha256=";
/// Before the key in `Authorization`.
const KEY_PREFIX: &str = "Apikey ";

/// What a notice can be checked with; one of them is enough.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// What SePay signs with.
    pub webhook_secret: Option<&'a SecretString>,
    /// What SePay sends along in `Authorization`.
    pub api_key: Option<&'a SecretString>,
}

/// The headers that say where a notice is from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `X-SePay-Signature`.
    pub signature: Option<&'a str>,
    /// `X-SePay-Timestamp`.
    pub timestamp: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
}

/// Checks and reads a notice. One that carries a signature stands or falls with it.
///
/// # Errors
/// When it is not SePay's, is too old, or is not what SePay documents.
pub fn verify(
    keys: Keys<'_>,
    headers: Headers<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<Received, PaymentError> {
    match (keys.webhook_secret, headers.signature) {
        (Some(secret), Some(signature)) => check_signature(secret, signature, headers, body, now)?,
        _ => check_key(keys, headers)?,
    }
    read(&json(body)?)
}

fn check_signature(
    secret: &SecretString,
    signature: &str,
    headers: Headers<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), PaymentError> {
    let timestamp = headers.timestamp.ok_or(PaymentError::BadSignature)?;
    let hex = signature.strip_prefix(SIGNATURE_PREFIX);
    let hex = hex.ok_or(PaymentError::BadSignature)?;
    sha256(secret, &[timestamp.as_bytes(), b".", body])?.check(hex)?;
    check_time(timestamp, now)
}

fn check_key(keys: Keys<'_>, headers: Headers<'_>) -> Result<(), PaymentError> {
    let Some(key) = keys.api_key else {
        // With a secret alone, what is not signed is not SePay's.
        return Err(match keys.webhook_secret {
            Some(_) => PaymentError::BadSignature,
            None => PaymentError::NoSecret,
        });
    };
    let sent = headers.authorization.unwrap_or_default();
    let sent = sent.strip_prefix(KEY_PREFIX).unwrap_or_default();
    match is_secret(key, sent) {
        true => Ok(()),
        false => Err(PaymentError::BadSignature),
    }
}

fn read(body: &Value) -> Result<Received, PaymentError> {
    match body["transferType"].as_str() {
        Some("in") => {}
        Some("out") => return Ok(Received::Ignored(Ignored::Outgoing)),
        _ => return Err(PaymentError::Malformed("transferType is missing")),
    }
    notice(body, "content", "transferAmount", "transactionDate").map(Received::Paid)
}

/// Reads the answer to `GET /userapi/transactions/list`: what arrived.
///
/// # Errors
/// When it is no such answer.
pub fn read_list(body: &[u8]) -> Result<Vec<Notice>, PaymentError> {
    let body = json(body)?;
    if body["messages"]["success"] == false {
        return Err(PaymentError::Refused(code(&body["status"])));
    }
    let rows = body["transactions"].as_array();
    let rows = rows.ok_or(PaymentError::Malformed("transactions is missing"))?;
    // Rows of money that left have an `amount_in` of zero.
    let arrived = rows
        .iter()
        .filter(|row| amount(&row["amount_in"]).is_some());
    arrived
        .map(|row| notice(row, "transaction_content", "amount_in", "transaction_date"))
        .collect()
}

fn notice(
    row: &Value,
    content: &str,
    amount_key: &str,
    date: &str,
) -> Result<Notice, PaymentError> {
    // A code that SePay found itself may be cut out of the content.
    let words = [text(&row["code"]), text(&row[content])];
    let words: Vec<String> = words.into_iter().flatten().collect();
    Ok(Notice {
        external_id: id(&row["id"]).ok_or(PaymentError::Malformed("id is missing"))?,
        amount: amount(&row[amount_key])
            .ok_or(PaymentError::Malformed("the amount is not a whole number"))?,
        currency: Currency::Vnd,
        reference: PaidReference::ByMemo(words.join(" ")),
        payer: None,
        paid_at: row[date].as_str().and_then(vietnam_time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"id":92704,"gateway":"Vietcombank","transactionDate":"2024-07-02 11:08:33","accountNumber":"0123499999","subAccount":"","code":"DHTEST01","content":"DHTEST01 nap tien","transferType":"in","transferAmount":100000,"accumulated":0,"referenceCode":"FT24012345678"}"#;
    const SIGNATURE: &str =
        "sha256=bdb18fa3de982aba6981ee1ad34b8ed540e69d5969d22b358474ab960e56ce8f";
    const TIMESTAMP: &str = "1719893313";

    fn now(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn signed() -> Headers<'static> {
        Headers {
            signature: Some(SIGNATURE),
            timestamp: Some(TIMESTAMP),
            authorization: None,
        }
    }

    fn verify_signed(
        secret: &str,
        headers: Headers<'_>,
        body: &str,
        now: Timestamp,
    ) -> Result<Received, PaymentError> {
        let secret = SecretString::from(secret);
        let keys = Keys {
            webhook_secret: Some(&secret),
            api_key: None,
        };
        verify(keys, headers, body.as_bytes(), now)
    }

    #[test]
    fn the_example_is_read() {
        let received = verify_signed("sepay_test_secret", signed(), BODY, now(1_719_893_400));
        let expected = Notice {
            external_id: "92704".to_owned(),
            amount: 100_000,
            currency: Currency::Vnd,
            reference: PaidReference::ByMemo("DHTEST01 DHTEST01 nap tien".to_owned()),
            payer: None,
            paid_at: "2024-07-02T04:08:33Z".parse().ok(),
        };
        assert_eq!(received, Ok(Received::Paid(expected)));
    }

    #[test]
    fn what_is_not_signed_right_is_refused() {
        let at = now(1_719_893_313);
        let bad = Err(PaymentError::BadSignature);
        let unsigned = Headers::default();
        assert_eq!(verify_signed("sepay_test_secret", unsigned, BODY, at), bad);
        assert_eq!(verify_signed("another", signed(), BODY, at), bad);
        let empty = verify_signed("", signed(), BODY, at);
        assert_eq!(empty, Err(PaymentError::NoSecret));
        let moved = Headers {
            timestamp: Some("1719893314"),
            ..signed()
        };
        assert_eq!(verify_signed("sepay_test_secret", moved, BODY, at), bad);
        for (seconds, is_refused) in [(-301, true), (-300, false), (300, false), (301, true)] {
            let at = now(1_719_893_313 + seconds);
            let received = verify_signed("sepay_test_secret", signed(), BODY, at);
            assert_eq!(received == Err(PaymentError::Stale), is_refused);
        }
    }

    #[test]
    fn a_key_will_do_where_nothing_is_signed() {
        let key = SecretString::from("k3y");
        let verify_key = |api_key, webhook_secret, authorization| {
            let keys = Keys {
                webhook_secret,
                api_key,
            };
            let headers = Headers {
                authorization,
                ..Headers::default()
            };
            verify(keys, headers, BODY.as_bytes(), now(0))
        };
        assert!(verify_key(Some(&key), None, Some("Apikey k3y")).is_ok());
        assert!(verify_key(Some(&key), Some(&key), Some("Apikey k3y")).is_ok());
        for sent in [
            None,
            Some("k3y"),
            Some("Apikey k3"),
            Some("Apikey "),
            Some(""),
        ] {
            let refused = verify_key(Some(&key), None, sent);
            assert_eq!(refused, Err(PaymentError::BadSignature), "{sent:?}");
        }
        let empty = SecretString::from("");
        let refused = verify_key(Some(&empty), None, Some("Apikey "));
        assert_eq!(refused, Err(PaymentError::BadSignature));
        let refused = verify_key(None, None, Some("Apikey k3y"));
        assert_eq!(refused, Err(PaymentError::NoSecret));
    }

    #[test]
    fn money_that_left_is_ignored() {
        let body = BODY.replace("\"in\"", "\"out\"");
        let read = read(&json(body.as_bytes()).expect("json"));
        assert_eq!(read, Ok(Received::Ignored(Ignored::Outgoing)));
    }

    #[test]
    fn a_list_and_a_notice_name_a_transfer_alike() {
        let list = r#"{"status":200,"error":null,"messages":{"success":true},"transactions":[
            {"id":"92704","bank_brand_name":"Vietcombank","account_number":"0123499999","transaction_date":"2024-07-02 11:08:33","amount_out":"0.00","amount_in":"100000.00","accumulated":"0.00","transaction_content":"DHTEST01 nap tien","reference_number":"FT24012345678","code":"DHTEST01","sub_account":null,"bank_account_id":"19"},
            {"id":"92705","transaction_date":"2024-07-02 11:09:33","amount_out":"5000.00","amount_in":"0.00","transaction_content":"rent"}]}"#;
        let listed = read_list(list.as_bytes()).expect("a list");
        let noticed = read(&json(BODY.as_bytes()).expect("json"));
        assert_eq!(noticed, Ok(Received::Paid(listed[0].clone())));
        assert_eq!(listed.len(), 1);
        let refused = r#"{"status":401,"messages":{"success":false}}"#;
        let refused = read_list(refused.as_bytes());
        assert_eq!(refused, Err(PaymentError::Refused("401".to_owned())));
    }
}

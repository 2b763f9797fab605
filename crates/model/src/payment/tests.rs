//! What holds for every payment service: nothing that was changed is believed, and nothing makes us panic.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tose_api::{Kind, Timestamp};

use super::*;
use crate::secret::SecretString;

const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);
const SECONDS: &str = "1700000000";

fn secret() -> SecretString {
    SecretString::from("s3cret")
}

fn sepay(signature: &str, body: &[u8]) -> Result<Received, PaymentError> {
    let secret = secret();
    let keys = sepay::Keys {
        webhook_secret: Some(&secret),
        api_key: None,
    };
    let headers = sepay::Headers {
        signature: Some(signature),
        timestamp: Some(SECONDS),
        authorization: None,
    };
    sepay::verify(keys, headers, body, NOW)
}

fn stripe(signature: &str, body: &[u8]) -> Result<Received, PaymentError> {
    stripe::verify(&secret(), signature, body, NOW)
}

fn vnpay(query: &str) -> Result<Received, PaymentError> {
    let secret = &secret();
    let tmn_code = "T";
    vnpay::verify(vnpay::Merchant { tmn_code, secret }, query)
}

fn signed_body(body: &str) -> String {
    let parts: [&[u8]; 3] = [SECONDS.as_bytes(), b".", body.as_bytes()];
    signature::sha256(&secret(), &parts)
        .expect("signed")
        .to_hex()
}

fn is_paid(received: &Result<Received, PaymentError>) -> bool {
    matches!(received, Ok(Received::Paid(_)))
}

fn is_refused(received: &Result<Received, PaymentError>) -> bool {
    matches!(received, Err(PaymentError::BadSignature))
}

/// The bytes with one bit of one of them turned over.
fn turned(bytes: &[u8], place: Index, bit: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let place = place.index(bytes.len());
    bytes[place] ^= 1 << bit;
    bytes
}

fn session() -> String {
    let session = json!({
        "id": "cs_1", "object": "checkout.session", "payment_status": "paid",
        "amount_total": 1000, "currency": "usd", "client_reference_id": "T1",
    });
    json!({"type": "checkout.session.completed", "data": {"object": session}}).to_string()
}

fn transfer() -> String {
    json!({"id": 1, "transferType": "in", "transferAmount": 5000, "content": "TS2222222"})
        .to_string()
}

fn link() -> Value {
    json!({"orderCode": 7, "amount": 5000, "reference": "FT1", "code": "00", "desc": "Thành công"})
}

const LINK_SIGNED: &str = "amount=5000&code=00&desc=Thành công&orderCode=7&reference=FT1";
const QUERY: &str = "vnp_Amount=500000&vnp_ResponseCode=00&vnp_TmnCode=T&vnp_TransactionNo=9&vnp_TransactionStatus=00&vnp_TxnRef=T1";

proptest! {
    #[test]
    fn a_changed_body_is_refused(place: Index, bit in 0_u8..8) {
        let body = transfer();
        let signature = format!("sha256={}", signed_body(&body));
        prop_assert!(is_paid(&sepay(&signature, body.as_bytes())));
        prop_assert!(is_refused(&sepay(&signature, &turned(body.as_bytes(), place, bit))));

        let body = session();
        let signature = format!("t={SECONDS},v1={}", signed_body(&body));
        prop_assert!(is_paid(&stripe(&signature, body.as_bytes())));
        prop_assert!(is_refused(&stripe(&signature, &turned(body.as_bytes(), place, bit))));
    }

    #[test]
    fn a_changed_value_of_payos_is_refused(name in "[a-z]{1,8}|amount|orderCode|code", value in ".{0,20}") {
        let signature = signature::sha256(&secret(), &[LINK_SIGNED.as_bytes()]).expect("signed");
        let mut data = link();
        let told = |data: &Value| {
            let body = json!({"code": "00", "data": data, "signature": signature.to_hex()});
            payos::verify(&secret(), body.to_string().as_bytes())
        };
        prop_assert!(is_paid(&told(&data)));
        prop_assume!(data[&name] != json!(value));
        // PayOS signs the text of a number and the number alike.
        prop_assume!(value::text(&data[&name]).is_none_or(|text| text != value));
        data[&name] = json!(value);
        prop_assert!(is_refused(&told(&data)));
    }

    /// Other spellings of the same parameters are the same message, so what passes says the same.
    #[test]
    fn a_changed_query_of_vnpay_is_refused_or_says_the_same(place: Index, bit in 0_u8..7) {
        let signature = signature::sha512(&secret(), &[QUERY.as_bytes()]).expect("signed");
        let query = format!("{QUERY}&vnp_SecureHash={}", signature.to_hex());
        let genuine = vnpay(&query);
        prop_assert!(is_paid(&genuine));
        if let Ok(changed) = String::from_utf8(turned(query.as_bytes(), place, bit)) {
            let told = vnpay(&changed);
            prop_assert!(told.is_err() || told == genuine, "{changed}");
        }
    }

    #[test]
    fn no_bytes_make_a_parser_panic(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        header in ".{0,80}",
        query in "(vnp_[A-Za-z]{0,12}=[0-9%+&=]{0,12}&){0,6}.{0,40}",
    ) {
        let text = String::from_utf8_lossy(&body);
        for read in [sepay(&header, &body), stripe(&header, &body), payos::verify(&secret(), &body), vnpay(&query), vnpay(&text)] {
            prop_assert!(!is_paid(&read));
        }
        let merchant = vnpay::Merchant { tmn_code: "T", secret: &secret() };
        prop_assert!(!is_paid(&vnpay::read_query(merchant, &body)));
        prop_assert!(!is_paid(&stripe::read_session(&body)));
        let _ = (sepay::read_list(&body), payos::read_link(&body), payos::read_made_link(&body));
        let _ = (stripe::read_made_session(&body), memo::find_memos(&text));
    }

    /// As JSON that is signed, so that what lies behind the signature is reached too.
    #[test]
    fn no_members_make_a_parser_panic(
        names in proptest::sample::subsequence(vec!["id", "transferType", "transferAmount", "content", "code", "type", "data", "amount", "reference"], 0..6),
        value in prop_oneof![".{0,12}".prop_map(Value::from), any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from), Just(Value::Null), Just(json!([{}]))],
    ) {
        let members = names.iter().map(|name| ((*name).to_owned(), value.clone()));
        let body = Value::Object(members.collect()).to_string();
        let _ = sepay(&format!("sha256={}", signed_body(&body)), body.as_bytes());
        let _ = stripe(&format!("t={SECONDS},v1={}", signed_body(&body)), body.as_bytes());
        let _ = (sepay::read_list(body.as_bytes()), payos::read_link(body.as_bytes()));
    }
}

#[test]
fn what_is_not_believed_is_an_error_of_its_kind() {
    for (error, kind) in [
        (PaymentError::NoSecret, Kind::Unauthenticated),
        (PaymentError::BadSignature, Kind::Unauthenticated),
        (PaymentError::Stale, Kind::Unauthenticated),
        (PaymentError::Malformed("id is missing"), Kind::Invalid),
        (PaymentError::Refused("91".to_owned()), Kind::Unavailable),
    ] {
        assert_eq!(Error::from(error).kind(), kind);
    }
}

//! PayOS: links to be paid by bank transfer, and a notice for each transfer to one.
//!
//! Sources: payos.vn/docs (webhooks, signatures, `/v2/payment-requests`), and the types of its SDK for Node.
//! Assumption: an order code is a whole number below 2^53, as JavaScript can count.

use serde_json::{Value, json};

use super::signature::sha256;
use super::value::{amount, code, id, json as parse, text, vietnam_time};
use super::{Ignored, Notice, PaidReference, PaymentError, Received};
use crate::money::Currency;
use crate::secret::SecretString;

/// The most that an order code may be.
pub const MAX_ORDER_CODE: u64 = (1 << 53) - 1;
/// What stands for a success.
const SUCCESS: &str = "00";

/// Checks and reads a notice, whose signature is in its body.
///
/// PayOS sends one for order 123 when the address of notices is set. It is genuine, and answered with 200
/// as any other whose order is not known.
///
/// # Errors
/// When it is not PayOS's, or not what PayOS documents.
pub fn verify(checksum_key: &SecretString, body: &[u8]) -> Result<Received, PaymentError> {
    let body = parse(body)?;
    let data = &body["data"];
    let signed = signed_text(data).ok_or(PaymentError::Malformed(
        "data is no object with plain names",
    ))?;
    let signature = body["signature"].as_str().unwrap_or_default();
    sha256(checksum_key, &[signed.as_bytes()])?.check(signature)?;
    let order = order_code(data)?;
    if text(&data["code"]).is_some_and(|code| code != SUCCESS) {
        return Ok(Received::Ignored(Ignored::Failed(PaidReference::ByOrder(
            order,
        ))));
    }
    if data["currency"].as_str().is_some_and(|code| code != "VND") {
        return Ok(Received::Ignored(Ignored::NotOurs));
    }
    notice(&order, data).map(Received::Paid)
}

/// Reads the answer to `GET /v2/payment-requests/{order code}`: each transfer that arrived, of which there
/// may be none.
///
/// # Errors
/// When it is no such answer, or PayOS has no such order.
pub fn read_link(body: &[u8]) -> Result<Vec<Notice>, PaymentError> {
    let data = success(body)?;
    let order = order_code(&data)?;
    let transfers = data["transactions"].as_array();
    let transfers = transfers.ok_or(PaymentError::Malformed("transactions is missing"))?;
    transfers
        .iter()
        .map(|transfer| notice(&order, transfer))
        .collect()
}

/// The `data` of an answer that says that it is a success.
fn success(body: &[u8]) -> Result<Value, PaymentError> {
    let mut body = parse(body)?;
    if body["code"] != SUCCESS {
        return Err(PaymentError::Refused(code(&body["code"])));
    }
    Ok(body["data"].take())
}

fn order_code(data: &Value) -> Result<String, PaymentError> {
    let code = data["orderCode"].as_u64();
    code.filter(|code| *code <= MAX_ORDER_CODE)
        .map(|code| code.to_string())
        .ok_or(PaymentError::Malformed("orderCode is no whole number"))
}

/// One link may be paid in several transfers, each with its bank's own reference.
fn notice(order: &str, transfer: &Value) -> Result<Notice, PaymentError> {
    let reference =
        id(&transfer["reference"]).ok_or(PaymentError::Malformed("reference is missing"))?;
    Ok(Notice {
        external_id: format!("{order}/{reference}"),
        amount: amount(&transfer["amount"])
            .ok_or(PaymentError::Malformed("the amount is not a whole number"))?,
        currency: Currency::Vnd,
        reference: PaidReference::ByOrder(order.to_owned()),
        payer: text(&transfer["counterAccountName"]),
        paid_at: transfer["transactionDateTime"]
            .as_str()
            .and_then(vietnam_time),
    })
}

/// The members in the order of their names. What is null is empty; what is no text is as JSON writes it.
/// A name with `=` or `&` in it could make the same text of other members.
fn signed_text(data: &Value) -> Option<String> {
    let mut members: Vec<_> = data.as_object()?.iter().collect();
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !members.iter().all(|(name, _)| is_name(name)) {
        return None;
    }
    members.sort_unstable_by_key(|(name, _)| *name);
    let written = members.into_iter().map(|(name, value)| match value {
        Value::Null => format!("{name}="),
        // PayOS's own programs take these words for nothing.
        Value::String(text) if text == "null" || text == "undefined" => format!("{name}="),
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    });
    Some(written.collect::<Vec<_>>().join("&"))
}

/// A link to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewLink<'a> {
    /// The top-up's code, at most [`MAX_ORDER_CODE`]; PayOS takes each once.
    pub order_code: u64,
    /// How much, in đồng.
    pub amount: i64,
    /// What the transfer says: 9 characters at most, unless the bank account is linked with PayOS.
    pub description: &'a str,
    /// Where who paid is sent.
    pub return_url: &'a str,
    /// Where who called it off is sent.
    pub cancel_url: &'a str,
    /// Until when it can be paid, in Unix seconds.
    pub expires_at_seconds: i64,
}

impl NewLink<'_> {
    /// The body of `POST /v2/payment-requests`.
    ///
    /// # Errors
    /// When there is no checksum key.
    pub fn body(&self, checksum_key: &SecretString) -> Result<Value, PaymentError> {
        let Self {
            order_code,
            amount,
            description,
            return_url,
            cancel_url,
            expires_at_seconds,
        } = self;
        let signed = format!(
            "amount={amount}&cancelUrl={cancel_url}&description={description}&orderCode={order_code}&returnUrl={return_url}"
        );
        let signature = sha256(checksum_key, &[signed.as_bytes()])?.to_hex();
        Ok(json!({
            "orderCode": order_code,
            "amount": amount,
            "description": description,
            "returnUrl": return_url,
            "cancelUrl": cancel_url,
            "expiredAt": expires_at_seconds,
            "signature": signature,
        }))
    }
}

/// A link that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeLink {
    /// PayOS's id of it.
    pub id: String,
    /// The page on which it is paid.
    pub checkout_url: String,
    /// The text of a `VietQR` code that pays it.
    pub qr_payload: String,
}

/// Reads the answer to `POST /v2/payment-requests`.
///
/// # Errors
/// When it is no such answer, or PayOS made no link.
pub fn read_made_link(body: &[u8]) -> Result<MadeLink, PaymentError> {
    let data = success(body)?;
    let member = |name: &str, problem| text(&data[name]).ok_or(PaymentError::Malformed(problem));
    Ok(MadeLink {
        id: member("paymentLinkId", "paymentLinkId is missing")?,
        checkout_url: member("checkoutUrl", "checkoutUrl is missing")?,
        qr_payload: member("qrCode", "qrCode is missing")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "1a54716c8f0efb2744fb28b6e38b25da7f67a925d98bc1c18bd8faaecadd7675";
    const SIGNATURE: &str = "412e915d2871504ed31be63c8f62a149a4410d34c4c42affc9006ef9917eaa03";
    const SIGNED: &str = "accountNumber=12345678&amount=3000&code=00&counterAccountBankId=&counterAccountBankName=&counterAccountName=&counterAccountNumber=&currency=VND&desc=Thành công&description=VQRIO123&orderCode=123&paymentLinkId=124c33293c43417ab7879e14c8d9eb18&reference=TF230204212323&transactionDateTime=2023-02-04 18:25:00&virtualAccountName=&virtualAccountNumber=";

    /// The notice that PayOS sends as a test, in another order than the signed text.
    fn example() -> Value {
        json!({
            "code": "00",
            "desc": "success",
            "success": true,
            "data": {
                "orderCode": 123,
                "amount": 3000,
                "description": "VQRIO123",
                "accountNumber": "12345678",
                "reference": "TF230204212323",
                "transactionDateTime": "2023-02-04 18:25:00",
                "currency": "VND",
                "paymentLinkId": "124c33293c43417ab7879e14c8d9eb18",
                "code": "00",
                "desc": "Thành công",
                "counterAccountBankId": "",
                "counterAccountBankName": "",
                "counterAccountName": "",
                "counterAccountNumber": null,
                "virtualAccountName": "undefined",
                "virtualAccountNumber": "",
            },
            "signature": SIGNATURE,
        })
    }

    fn verify_json(key: &str, body: &Value) -> Result<Received, PaymentError> {
        verify(&SecretString::from(key), body.to_string().as_bytes())
    }

    fn expected() -> Notice {
        Notice {
            external_id: "123/TF230204212323".to_owned(),
            amount: 3000,
            currency: Currency::Vnd,
            reference: PaidReference::ByOrder("123".to_owned()),
            payer: None,
            paid_at: "2023-02-04T11:25:00Z".parse().ok(),
        }
    }

    #[test]
    fn the_example_is_read() {
        let body = example();
        assert_eq!(signed_text(&body["data"]).as_deref(), Some(SIGNED));
        assert_eq!(verify_json(KEY, &body), Ok(Received::Paid(expected())));
        assert_eq!(verify_json("", &body), Err(PaymentError::NoSecret));
        assert_eq!(verify_json("k", &body), Err(PaymentError::BadSignature));
    }

    #[test]
    fn what_was_changed_is_refused() {
        for (name, value) in [
            ("amount", json!(3001)),
            ("amount", json!("3000&code=00")),
            ("orderCode", json!(124)),
            ("more", json!("")),
        ] {
            let mut body = example();
            body["data"][name] = value;
            assert_eq!(verify_json(KEY, &body), Err(PaymentError::BadSignature));
        }
        // The same signed text, cut into other members.
        let mut cut = example();
        let members = cut["data"].as_object_mut().expect("members");
        members.remove("code");
        members["amount"] = json!(3);
        members.insert("amount=3000&code".to_owned(), json!("00"));
        assert!(matches!(
            verify_json(KEY, &cut),
            Err(PaymentError::Malformed(_))
        ));
        let mut unsigned = example();
        unsigned["signature"] = Value::Null;
        assert_eq!(verify_json(KEY, &unsigned), Err(PaymentError::BadSignature));
    }

    #[test]
    fn a_failure_credits_nothing() {
        let mut body = example();
        body["data"]["code"] = json!("01");
        let signed = signed_text(&body["data"]).expect("members");
        let signature = sha256(&KEY.into(), &[signed.as_bytes()]).expect("signed");
        body["signature"] = json!(signature.to_hex());
        let failed = Ignored::Failed(PaidReference::ByOrder("123".to_owned()));
        assert_eq!(verify_json(KEY, &body), Ok(Received::Ignored(failed)));
    }

    #[test]
    fn a_link_and_a_notice_name_a_transfer_alike() {
        let answer = json!({
            "code": "00",
            "data": {
                "id": "124c33293c43417ab7879e14c8d9eb18",
                "orderCode": 123,
                "amount": 5000,
                "amountPaid": 3000,
                "amountRemaining": 2000,
                "status": "UNDERPAID",
                "transactions": [{
                    "reference": "TF230204212323",
                    "amount": 3000,
                    "accountNumber": "12345678",
                    "description": "VQRIO123",
                    "transactionDateTime": "2023-02-04T18:25:00+07:00",
                    "counterAccountName": null,
                }],
            },
        });
        let read = |answer: &Value| read_link(answer.to_string().as_bytes());
        assert_eq!(read(&answer), Ok(vec![expected()]));
        let missing = read(&json!({"code": "101", "desc": "none", "data": null}));
        assert_eq!(missing, Err(PaymentError::Refused("101".to_owned())));
    }

    #[test]
    fn a_new_link_is_signed_and_its_answer_read() {
        let link = NewLink {
            order_code: 123,
            amount: 3000,
            description: "TSABCDEFG",
            return_url: "https://tose.example/paid",
            cancel_url: "https://tose.example/cancelled",
            expires_at_seconds: 1_700_000_000,
        };
        let body = link.body(&KEY.into()).expect("signed");
        let signed = "amount=3000&cancelUrl=https://tose.example/cancelled&description=TSABCDEFG&orderCode=123&returnUrl=https://tose.example/paid";
        let expected = sha256(&KEY.into(), &[signed.as_bytes()]).expect("signed");
        assert_eq!(body["signature"], expected.to_hex());
        assert_eq!(body["expiredAt"], 1_700_000_000);
        let answer = json!({"code": "00", "data": {"paymentLinkId": "p", "checkoutUrl": "https://pay.example/p", "qrCode": "0002"}});
        let made = read_made_link(answer.to_string().as_bytes()).expect("made");
        assert_eq!(made.checkout_url, "https://pay.example/p");
        let refused = read_made_link(br#"{"code":"231","desc":"there is one","data":null}"#);
        assert_eq!(refused, Err(PaymentError::Refused("231".to_owned())));
    }
}

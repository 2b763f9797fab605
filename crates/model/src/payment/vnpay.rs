//! VNPay 2.1.0: a page to pay on, a notice by GET, and a question about one payment.
//!
//! Sources: sandbox.vnpayment.vn/apis/docs (`thanh-toan-pay`, `truy-van-hoan-tien`).
//! Amounts are a hundred times the đồng, on both ways.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tose_api::Timestamp;

use super::signature::sha512;
use super::value::{amount, code, json, text, vietnam_digits, vietnam_time_of_digits};
use super::{Ignored, Notice, PaidReference, PaymentError, Received};
use crate::money::Currency;
use crate::secret::SecretString;

const VERSION: &str = "2.1.0";
const PREFIX: &str = "vnp_";
const HASH: &str = "vnp_SecureHash";
const HASH_TYPE: &str = "vnp_SecureHashType";
const SUCCESS: &str = "00";
/// A payment that is still under way.
const UNDER_WAY: &str = "01";
const AMOUNT_FACTOR: i64 = 100;

/// What VNPay is answered, always with status 200: all but the first two are told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was taken down, whether paid or failed.
    Confirmed,
    /// It was taken down before.
    AlreadyConfirmed,
    /// There is no such top-up.
    OrderNotFound,
    /// The top-up is of another amount.
    WrongAmount,
    /// It is not VNPay's.
    BadSignature,
    /// Something went wrong here.
    Failed,
}

impl Answer {
    /// The body, in JSON.
    pub const fn body(self) -> &'static str {
        match self {
            Self::Confirmed => r#"{"RspCode":"00","Message":"Confirm Success"}"#,
            Self::AlreadyConfirmed => r#"{"RspCode":"02","Message":"Order already confirmed"}"#,
            Self::OrderNotFound => r#"{"RspCode":"01","Message":"Order not found"}"#,
            Self::WrongAmount => r#"{"RspCode":"04","Message":"Invalid amount"}"#,
            Self::BadSignature => r#"{"RspCode":"97","Message":"Invalid signature"}"#,
            Self::Failed => r#"{"RspCode":"99","Message":"Unknown error"}"#,
        }
    }
}

/// A merchant's account.
#[derive(Debug, Clone, Copy)]
pub struct Merchant<'a> {
    /// Its code.
    pub tmn_code: &'a str,
    /// What both sides sign with.
    pub secret: &'a SecretString,
}

/// Checks and reads a notice: the query of a GET, as it came. What comes back with the payer's browser has
/// the same form.
///
/// # Errors
/// When it is not VNPay's, or not what VNPay documents.
pub fn verify(merchant: Merchant<'_>, query: &str) -> Result<Received, PaymentError> {
    let mut parameters = Parameters::parse(query)?;
    let hash = parameters.0.remove(HASH).unwrap_or_default();
    parameters.0.remove(HASH_TYPE);
    sha512(merchant.secret, &[parameters.encode().as_bytes()])?.check(&hash)?;
    let member = |name: &str| parameters.0.get(name).map_or("", String::as_str);
    if member("vnp_TmnCode") != merchant.tmn_code {
        return Ok(Received::Ignored(Ignored::NotOurs));
    }
    let status = [member("vnp_ResponseCode"), member("vnp_TransactionStatus")];
    read(status, &|name| Value::from(member(name)))
}

fn read(status: [&str; 2], member: &dyn Fn(&str) -> Value) -> Result<Received, PaymentError> {
    let order =
        text(&member("vnp_TxnRef")).ok_or(PaymentError::Malformed("vnp_TxnRef is missing"))?;
    let reference = PaidReference::ByOrder(order);
    match status {
        [SUCCESS, SUCCESS] => {}
        [SUCCESS, UNDER_WAY] => return Ok(Received::Ignored(Ignored::Pending(reference))),
        _ => return Ok(Received::Ignored(Ignored::Failed(reference))),
    }
    let hundredfold = amount(&member("vnp_Amount"));
    let whole = hundredfold.filter(|amount| amount % AMOUNT_FACTOR == 0);
    let number = text(&member("vnp_TransactionNo")).filter(|number| number != "0");
    let date = text(&member("vnp_PayDate"));
    Ok(Received::Paid(Notice {
        external_id: number.ok_or(PaymentError::Malformed("vnp_TransactionNo is missing"))?,
        amount: whole.ok_or(PaymentError::Malformed("vnp_Amount is not a whole number"))?
            / AMOUNT_FACTOR,
        currency: Currency::Vnd,
        reference,
        payer: None,
        paid_at: date.as_deref().and_then(vietnam_time_of_digits),
    }))
}

/// The parameters that are signed, by name. Empty ones are not.
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn parse(query: &str) -> Result<Self, PaymentError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !name.starts_with(PREFIX) || value.is_empty() {
                continue;
            }
            if parameters
                .insert(name.into_owned(), value.into_owned())
                .is_some()
            {
                return Err(PaymentError::Malformed("a parameter is there twice"));
            }
        }
        Ok(Self(parameters))
    }

    fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0)
            .finish()
    }
}

/// A payment that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct NewPayment<'a> {
    /// The top-up's code: letters and digits, unlike any other of the day.
    pub order_code: &'a str,
    /// How much, in đồng.
    pub amount: i64,
    /// What it is for: letters without accents, digits and spaces.
    pub order_info: &'a str,
    /// Where the payer's browser is sent afterwards.
    pub return_url: &'a str,
    /// The payer's address.
    pub ip_addr: &'a str,
    /// Now. A question about the payment repeats it.
    pub created_at: Timestamp,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
}

/// The address of the page on which a payment is made; `pay_url` is VNPay's.
///
/// # Errors
/// When there is no secret, or the amount is beyond what can be written.
pub fn payment_url(
    pay_url: &str,
    merchant: Merchant<'_>,
    payment: &NewPayment<'_>,
) -> Result<String, PaymentError> {
    let hundredfold = payment.amount.checked_mul(AMOUNT_FACTOR);
    let hundredfold = hundredfold.filter(|amount| *amount > 0);
    let hundredfold = hundredfold.ok_or(PaymentError::Malformed("the amount is out of range"))?;
    let pairs = [
        ("vnp_Version", VERSION.to_owned()),
        ("vnp_Command", "pay".to_owned()),
        ("vnp_TmnCode", merchant.tmn_code.to_owned()),
        ("vnp_Amount", hundredfold.to_string()),
        ("vnp_CurrCode", Currency::Vnd.code().to_owned()),
        ("vnp_TxnRef", payment.order_code.to_owned()),
        ("vnp_OrderInfo", payment.order_info.to_owned()),
        ("vnp_OrderType", "other".to_owned()),
        ("vnp_Locale", "vn".to_owned()),
        ("vnp_ReturnUrl", payment.return_url.to_owned()),
        ("vnp_IpAddr", payment.ip_addr.to_owned()),
        ("vnp_CreateDate", vietnam_digits(payment.created_at)),
        ("vnp_ExpireDate", vietnam_digits(payment.expires_at)),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
    let query = Parameters(pairs.into()).encode();
    let hash = sha512(merchant.secret, &[query.as_bytes()])?.to_hex();
    Ok(format!("{pay_url}?{query}&{HASH}={hash}"))
}

/// A question about one payment.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Unlike that of any other question of the day: 32 letters and digits at most.
    pub request_id: &'a str,
    /// The top-up's code.
    pub order_code: &'a str,
    /// When the payment was asked for.
    pub created_at: Timestamp,
    /// Our own address.
    pub ip_addr: &'a str,
    /// Now.
    pub now: Timestamp,
}

impl Query<'_> {
    /// The body of the POST that asks.
    ///
    /// # Errors
    /// When there is no secret.
    pub fn body(&self, merchant: Merchant<'_>) -> Result<Value, PaymentError> {
        let pairs = [
            ("vnp_RequestId", self.request_id.to_owned()),
            ("vnp_Version", VERSION.to_owned()),
            ("vnp_Command", "querydr".to_owned()),
            ("vnp_TmnCode", merchant.tmn_code.to_owned()),
            ("vnp_TxnRef", self.order_code.to_owned()),
            ("vnp_TransactionDate", vietnam_digits(self.created_at)),
            ("vnp_CreateDate", vietnam_digits(self.now)),
            ("vnp_IpAddr", self.ip_addr.to_owned()),
            ("vnp_OrderInfo", format!("Query {}", self.order_code)),
        ];
        let signed: Vec<&str> = pairs.iter().map(|(_, value)| value.as_str()).collect();
        let hash = sha512(merchant.secret, &[signed.join("|").as_bytes()])?.to_hex();
        let members = pairs.into_iter().chain([(HASH, hash)]);
        let members: Map<String, Value> = members
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect();
        Ok(Value::Object(members))
    }
}

/// What an answer to a question is signed over, in this order.
const ANSWERED: [&str; 15] = [
    "vnp_ResponseId",
    "vnp_Command",
    "vnp_ResponseCode",
    "vnp_Message",
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_BankCode",
    "vnp_PayDate",
    "vnp_TransactionNo",
    "vnp_TransactionType",
    "vnp_TransactionStatus",
    "vnp_OrderInfo",
    "vnp_PromotionCode",
    "vnp_PromotionAmount",
];

/// Checks and reads the answer to a [`Query`].
///
/// # Errors
/// When it is not signed right or no such answer, or VNPay has no such payment.
pub fn read_query(merchant: Merchant<'_>, body: &[u8]) -> Result<Received, PaymentError> {
    let body = json(body)?;
    let response = text(&body["vnp_ResponseCode"]).unwrap_or_default();
    let signed: Vec<String> = ANSWERED.iter().map(|name| plain(&body[*name])).collect();
    let hash = body[HASH].as_str().unwrap_or_default();
    let expected = sha512(merchant.secret, &[signed.join("|").as_bytes()])?;
    // A refusal credits nothing, and VNPay does not sign all of them.
    if response != SUCCESS {
        return Err(PaymentError::Refused(code(&body["vnp_ResponseCode"])));
    }
    expected.check(hash)?;
    if body["vnp_TmnCode"] != merchant.tmn_code {
        return Ok(Received::Ignored(Ignored::NotOurs));
    }
    let status = plain(&body["vnp_TransactionStatus"]);
    read([&response, &status], &|name| body[name].clone())
}

/// A member as it is signed.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const QUERY: &str = "vnp_Amount=10000000&vnp_BankCode=NCB&vnp_BankTranNo=VNP14226112&vnp_CardType=ATM&vnp_OrderInfo=Nap+tien+vi%3A+DHTEST01&vnp_PayDate=20231207170112&vnp_ResponseCode=00&vnp_TmnCode=TESTTMN1&vnp_TransactionNo=14226112&vnp_TransactionStatus=00&vnp_TxnRef=DHTEST01";
    const SIGNATURE: &str = "9af26da712119e1ce15d890a7fd59c78e08c479e5efc9db80e65754fd02dd8574557a044a7f101101450cbb1f3f034d0249a161b528421bde2703f2c8e9759c0";

    fn verify_with(secret: &str, tmn_code: &str, query: &str) -> Result<Received, PaymentError> {
        let secret = &SecretString::from(secret);
        verify(Merchant { tmn_code, secret }, query)
    }

    fn verify_query(query: &str) -> Result<Received, PaymentError> {
        verify_with("VNPAYTESTSECRET", "TESTTMN1", query)
    }

    fn sign(query: &str) -> String {
        let signature = sha512(&"VNPAYTESTSECRET".into(), &[query.as_bytes()]);
        format!("{query}&{HASH}={}", signature.expect("signed").to_hex())
    }

    fn expected() -> Notice {
        Notice {
            external_id: "14226112".to_owned(),
            amount: 100_000,
            currency: Currency::Vnd,
            reference: PaidReference::ByOrder("DHTEST01".to_owned()),
            payer: None,
            paid_at: "2023-12-07T10:01:12Z".parse().ok(),
        }
    }

    #[test]
    fn the_example_is_read_in_any_order() {
        let paid = Ok(Received::Paid(expected()));
        assert_eq!(verify_query(&format!("{QUERY}&{HASH}={SIGNATURE}")), paid);
        let mut parts: Vec<&str> = QUERY.split('&').collect();
        parts.reverse();
        let reversed = format!(
            "{HASH_TYPE}=HmacSHA512&other=1&vnp_Empty=&{HASH}={}&{}",
            SIGNATURE.to_uppercase(),
            parts.join("&").replace('+', "%20")
        );
        assert_eq!(verify_query(&reversed), paid);
    }

    #[test]
    fn what_is_not_signed_right_is_refused() {
        let bad = Err(PaymentError::BadSignature);
        assert_eq!(verify_query(QUERY), bad);
        let more = QUERY.replace("=10000000", "=20000000");
        assert_eq!(verify_query(&format!("{more}&{HASH}={SIGNATURE}")), bad);
        let signed = sign(QUERY);
        assert_eq!(verify_with("other", "TESTTMN1", &signed), bad);
        let none = verify_with("", "TESTTMN1", &signed);
        assert_eq!(none, Err(PaymentError::NoSecret));
        let twice = verify_query(&format!("{signed}&vnp_TxnRef=OTHER"));
        assert!(
            matches!(twice, Err(PaymentError::Malformed(_))),
            "{twice:?}"
        );
    }

    #[test]
    fn only_a_success_of_both_codes_is_paid() {
        let order = PaidReference::ByOrder("DHTEST01".to_owned());
        for (response, status, expected) in [
            ("24", "02", Ignored::Failed(order.clone())),
            ("00", "02", Ignored::Failed(order.clone())),
            ("07", "00", Ignored::Failed(order.clone())),
            ("00", "01", Ignored::Pending(order.clone())),
        ] {
            let query = QUERY
                .replace("ResponseCode=00", &format!("ResponseCode={response}"))
                .replace("Status=00", &format!("Status={status}"));
            assert_eq!(verify_query(&sign(&query)), Ok(Received::Ignored(expected)));
        }
        let other = verify_with("VNPAYTESTSECRET", "OTHER", &sign(QUERY));
        assert_eq!(other, Ok(Received::Ignored(Ignored::NotOurs)));
        let uneven = verify_query(&sign(&QUERY.replace("=10000000", "=10000001")));
        assert!(matches!(uneven, Err(PaymentError::Malformed(_))));
    }

    #[test]
    fn a_payment_url_is_signed_as_a_notice_is() {
        let secret = &SecretString::from("VNPAYTESTSECRET");
        let merchant = Merchant {
            tmn_code: "TESTTMN1",
            secret,
        };
        let payment = NewPayment {
            order_code: "DHTEST01",
            amount: 100_000,
            order_info: "Nap tien vi DHTEST01",
            return_url: "https://tose.example/paid?a=b",
            ip_addr: "203.0.113.9",
            created_at: "2023-12-07T10:00:00Z".parse().expect("a time"),
            expires_at: "2023-12-07T18:15:00Z".parse().expect("a time"),
        };
        let url = payment_url("https://pay.example/vpcpay.html", merchant, &payment);
        let url = url.expect("signed");
        let (address, query) = url.split_once('?').expect("a query");
        assert_eq!(address, "https://pay.example/vpcpay.html");
        let (signed, _) = query.split_once("&vnp_SecureHash=").expect("a hash");
        assert_eq!(
            signed,
            "vnp_Amount=10000000&vnp_Command=pay&vnp_CreateDate=20231207170000&vnp_CurrCode=VND&vnp_ExpireDate=20231208011500&vnp_IpAddr=203.0.113.9&vnp_Locale=vn&vnp_OrderInfo=Nap+tien+vi+DHTEST01&vnp_OrderType=other&vnp_ReturnUrl=https%3A%2F%2Ftose.example%2Fpaid%3Fa%3Db&vnp_TmnCode=TESTTMN1&vnp_TxnRef=DHTEST01&vnp_Version=2.1.0"
        );
        assert_eq!(query, sign(signed));
        for amount in [0, -1, i64::MAX] {
            let payment = NewPayment { amount, ..payment };
            assert!(payment_url("https://pay.example", merchant, &payment).is_err());
        }
    }

    #[test]
    fn a_question_and_a_notice_name_a_payment_alike() {
        let secret = &SecretString::from("VNPAYTESTSECRET");
        let merchant = Merchant {
            tmn_code: "TESTTMN1",
            secret,
        };
        let query = Query {
            request_id: "r1",
            order_code: "DHTEST01",
            created_at: "2023-12-07T10:00:00Z".parse().expect("a time"),
            ip_addr: "203.0.113.1",
            now: "2023-12-07T10:20:00Z".parse().expect("a time"),
        };
        let body = query.body(merchant).expect("signed");
        let signed = "r1|2.1.0|querydr|TESTTMN1|DHTEST01|20231207170000|20231207172000|203.0.113.1|Query DHTEST01";
        let hash = sha512(secret, &[signed.as_bytes()]).expect("signed");
        assert_eq!(body[HASH], hash.to_hex());

        let signed = "s1|querydr|00|OK|TESTTMN1|DHTEST01|10000000|NCB|20231207170112|14226112|01|00|Query DHTEST01||";
        let hash = sha512(secret, &[signed.as_bytes()]).expect("signed");
        let mut answer = json!({
            "vnp_ResponseId": "s1", "vnp_Command": "querydr", "vnp_ResponseCode": "00",
            "vnp_Message": "OK", "vnp_TmnCode": "TESTTMN1", "vnp_TxnRef": "DHTEST01",
            "vnp_Amount": 10_000_000, "vnp_BankCode": "NCB", "vnp_PayDate": "20231207170112",
            "vnp_TransactionNo": "14226112", "vnp_TransactionType": "01",
            "vnp_TransactionStatus": "00", "vnp_OrderInfo": "Query DHTEST01",
            "vnp_SecureHash": hash.to_hex(),
        });
        let read = |answer: &Value| read_query(merchant, answer.to_string().as_bytes());
        assert_eq!(read(&answer), Ok(Received::Paid(expected())));
        answer["vnp_Amount"] = json!(20_000_000);
        assert_eq!(read(&answer), Err(PaymentError::BadSignature));
        answer["vnp_ResponseCode"] = json!("91");
        assert_eq!(read(&answer), Err(PaymentError::Refused("91".to_owned())));
    }
}

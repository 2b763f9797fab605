//! Each call against a stand-in of its service: what is sent, and what is made of the answer.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha512;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tose_api::Timestamp;
use tose_model::money::Currency;
use tose_model::payment::{Ignored, PaidReference};
use tose_model::secret::SecretString;

use super::*;

const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

/// All services at one address.
fn payments(base_url: &str) -> Payments {
    let secret = |text: &str| SecretString::from(text);
    Payments {
        sepay: Some(SepayConfig {
            account: "0123499999".to_owned(),
            bank_bin: "970436".to_owned(),
            account_name: "TOSE".to_owned(),
            webhook_secret: None,
            api_key: None,
            api_token: Some(secret("sepay-token")),
            base_url: base_url.to_owned(),
        }),
        payos: Some(PayosConfig {
            client_id: "client".to_owned(),
            api_key: secret("payos-key"),
            checksum_key: secret("checksum"),
            base_url: base_url.to_owned(),
        }),
        vnpay: Some(VnpayConfig {
            tmn_code: "TMN1".to_owned(),
            secret: secret("vnpay-secret"),
            pay_url: format!("{base_url}/pay"),
            api_url: format!("{base_url}/merchant_webapi/api/transaction"),
        }),
        stripe: Some(StripeConfig {
            secret_key: secret("sk_test"),
            webhook_secret: secret("whsec"),
            base_url: base_url.to_owned(),
        }),
    }
}

/// A request as the stand-in got it.
struct Seen {
    /// Method and path.
    line: String,
    /// In lower case.
    head: String,
    body: String,
}

/// Takes one request and answers it.
async fn serve(listener: &TcpListener, status: &str, answer: &str) -> Seen {
    let (mut stream, _) = listener.accept().await.expect("a caller");
    let mut seen = Vec::new();
    let (head, body) = loop {
        assert!(stream.read_buf(&mut seen).await.expect("bytes") > 0);
        let text = String::from_utf8_lossy(&seen);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_owned();
        let length = head.to_lowercase();
        let length = length.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break (head, body.to_owned());
        }
    };
    let length = answer.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{answer}");
    stream.write_all(answer.as_bytes()).await.expect("written");
    let line = head.lines().next().expect("a line");
    Seen {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        head: head.to_lowercase(),
        body,
    }
}

/// One call, and the stand-in's answer to it.
async fn exchange<T, F>(status: &str, answer: &str, call: F) -> (T, Seen)
where
    F: AsyncFnOnce(&PaymentApi) -> T,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("its address");
    let api = PaymentApi::new(&payments(&format!("http://{addr}"))).expect("a client");
    tokio::join!(call(&api), serve(&listener, status, answer))
}

async fn exchange_json<T, F>(answer: Value, call: F) -> (T, Seen)
where
    F: AsyncFnOnce(&PaymentApi) -> T,
{
    exchange("200 OK", &answer.to_string(), call).await
}

fn has_header(seen: &Seen, header: &str) -> bool {
    seen.head.lines().any(|line| line == header)
}

#[tokio::test]
async fn transfers_are_listed_by_sepay() {
    let answer = json!({"status": 200, "messages": {"success": true}, "transactions": [
        {"id": "92704", "transaction_date": "2024-07-02 11:08:33", "amount_in": "100000.00", "amount_out": "0.00",
         "transaction_content": "TS2222222 nap tien", "code": null},
    ]});
    let (listed, seen) = exchange_json(answer, async |api| {
        api.list_sepay_transfers(92_700, 100).await
    })
    .await;
    let listed = listed.expect("a list");
    assert_eq!(listed[0].external_id, "92704");
    let memo = PaidReference::ByMemo("TS2222222 nap tien".to_owned());
    assert_eq!((listed[0].amount, &listed[0].reference), (100_000, &memo));
    assert_eq!(
        seen.line,
        "GET /userapi/transactions/list?since_id=92700&limit=100"
    );
    assert!(has_header(&seen, "authorization: bearer sepay-token"));
}

#[tokio::test]
async fn links_are_made_by_payos() {
    let link = NewLink {
        order_code: 42,
        amount: 100_000,
        description: "TS2222222",
        return_url: "https://tose.example/paid",
        cancel_url: "https://tose.example/off",
        expires_at_seconds: 1_700_000_900,
    };
    let answer = json!({"code": "00", "desc": "success", "data": {
        "paymentLinkId": "p1", "checkoutUrl": "https://pay.example/p1", "qrCode": "000201", "status": "PENDING"}});
    let (made, seen) = exchange_json(answer, async |api| api.create_payos_link(&link).await).await;
    assert_eq!(made.expect("a link").checkout_url, "https://pay.example/p1");
    assert_eq!(seen.line, "POST /v2/payment-requests");
    assert!(has_header(&seen, "x-client-id: client"));
    assert!(has_header(&seen, "x-api-key: payos-key"));
    let body: Value = serde_json::from_str(&seen.body).expect("json");
    let expected = link.body(&SecretString::from("checksum")).expect("signed");
    assert_eq!(body, expected);
}

#[tokio::test]
async fn what_was_paid_to_a_link_is_told_by_payos() {
    let answer = json!({"code": "00", "data": {"id": "p1", "orderCode": 42, "status": "PAID", "transactions": [
        {"reference": "FT1", "amount": 60_000, "transactionDateTime": "2024-07-02T11:08:33+07:00"},
        {"reference": "FT2", "amount": 40_000, "transactionDateTime": "2024-07-02T11:09:33+07:00"},
    ]}});
    let (listed, seen) =
        exchange_json(answer, async |api| api.list_payos_transfers(42).await).await;
    let listed = listed.expect("a list");
    let ids: Vec<&str> = listed
        .iter()
        .map(|notice| notice.external_id.as_str())
        .collect();
    assert_eq!(ids, ["42/FT1", "42/FT2"]);
    assert_eq!(seen.line, "GET /v2/payment-requests/42");
    assert!(has_header(&seen, "x-api-key: payos-key"));
}

#[tokio::test]
async fn vnpay_is_asked_with_a_signature_and_its_answer_needs_one() {
    let query = Query {
        request_id: "r1",
        order_code: "T1",
        created_at: NOW,
        ip_addr: "127.0.0.1",
        now: NOW,
    };
    let unsigned = json!({"vnp_ResponseCode": "00", "vnp_TransactionStatus": "00", "vnp_TmnCode": "TMN1",
        "vnp_TxnRef": "T1", "vnp_Amount": "10000000", "vnp_TransactionNo": "9"});
    let (received, seen) =
        exchange_json(unsigned, async |api| api.get_vnpay_payment(&query).await).await;
    assert!(matches!(
        received,
        Err(CallError::Answer(PaymentError::BadSignature))
    ));
    assert_eq!(seen.line, "POST /merchant_webapi/api/transaction");
    let body: Value = serde_json::from_str(&seen.body).expect("json");
    let own = payments("http://127.0.0.1:1").vnpay.expect("an account");
    assert_eq!(body, query.body(own.merchant()).expect("signed"));
}

#[tokio::test]
async fn how_a_page_of_vnpay_fares_is_told_with_the_id_of_its_notice() {
    let query = Query {
        request_id: "r1",
        order_code: "T1",
        created_at: NOW,
        ip_addr: "127.0.0.1",
        now: NOW,
    };
    let signed = "s1|querydr|00|OK|TMN1|T1|10000000|NCB|20231115051320|9|01|00|Query T1||";
    let mut mac = Hmac::<Sha512>::new_from_slice(b"vnpay-secret").expect("a key");
    mac.update(signed.as_bytes());
    let answer = json!({
        "vnp_ResponseId": "s1", "vnp_Command": "querydr", "vnp_ResponseCode": "00", "vnp_Message": "OK",
        "vnp_TmnCode": "TMN1", "vnp_TxnRef": "T1", "vnp_Amount": "10000000", "vnp_BankCode": "NCB",
        "vnp_PayDate": "20231115051320", "vnp_TransactionNo": "9", "vnp_TransactionType": "01",
        "vnp_TransactionStatus": "00", "vnp_OrderInfo": "Query T1",
        "vnp_SecureHash": hex::encode(mac.finalize().into_bytes()),
    });
    let (received, _) =
        exchange_json(answer, async |api| api.get_vnpay_payment(&query).await).await;
    let expected = Notice {
        external_id: "9".to_owned(),
        amount: 100_000,
        currency: Currency::Vnd,
        reference: PaidReference::ByOrder("T1".to_owned()),
        payer: None,
        paid_at: Some(NOW),
    };
    assert_eq!(received.expect("an answer"), Received::Paid(expected));
}

#[tokio::test]
async fn pages_are_made_by_stripe() {
    let session = NewSession {
        order_code: "T1",
        amount: 1_000,
        currency: Currency::Usd,
        product_name: "TOSE credit",
        customer_email: Some("ann@example.com"),
        success_url: "https://tose.example/paid",
        cancel_url: "https://tose.example/off",
        expires_at_seconds: 1_700_003_600,
    };
    let answer =
        json!({"id": "cs_1", "object": "checkout.session", "url": "https://pay.example/cs_1"});
    let (made, seen) = exchange_json(answer, async |api| {
        api.create_stripe_session(&session).await
    })
    .await;
    let made = made.expect("a page");
    assert_eq!(
        (made.id.as_str(), made.checkout_url.as_str()),
        ("cs_1", "https://pay.example/cs_1")
    );
    assert_eq!(seen.line, "POST /v1/checkout/sessions");
    assert!(has_header(&seen, "authorization: bearer sk_test"));
    assert!(has_header(&seen, "idempotency-key: tose-top-up-t1"));
    assert!(has_header(
        &seen,
        "content-type: application/x-www-form-urlencoded"
    ));
    let pairs: Vec<_> = form_urlencoded::parse(seen.body.as_bytes()).collect();
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(
        pairs,
        [
            ("mode", "payment"),
            ("client_reference_id", "T1"),
            ("metadata[order_code]", "T1"),
            ("line_items[0][quantity]", "1"),
            ("line_items[0][price_data][currency]", "usd"),
            ("line_items[0][price_data][unit_amount]", "1000"),
            (
                "line_items[0][price_data][product_data][name]",
                "TOSE credit"
            ),
            ("success_url", "https://tose.example/paid"),
            ("cancel_url", "https://tose.example/off"),
            ("expires_at", "1700003600"),
            ("customer_email", "ann@example.com"),
        ]
    );
}

#[tokio::test]
async fn how_a_page_fares_is_told_by_stripe() {
    let answer = json!({"id": "cs_1", "object": "checkout.session", "status": "open", "payment_status": "unpaid",
        "client_reference_id": "T1"});
    let (received, seen) =
        exchange_json(answer, async |api| api.get_stripe_session("cs_1").await).await;
    let pending = Ignored::Pending(PaidReference::ByOrder("T1".to_owned()));
    assert_eq!(received.expect("an answer"), Received::Ignored(pending));
    assert_eq!(seen.line, "GET /v1/checkout/sessions/cs_1");
    assert!(has_header(&seen, "authorization: bearer sk_test"));
    let api = PaymentApi::new(&payments("http://127.0.0.1:1")).expect("a client");
    let refused = api.get_stripe_session("../charges").await;
    assert!(matches!(refused, Err(CallError::Answer(_))));
}

#[tokio::test]
async fn no_redirect_is_followed_and_refusals_are_told_apart() {
    let moved = "307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/elsewhere";
    for (status, expected) in [
        (moved, 307),
        ("401 Unauthorized", 401),
        ("429 Too Many Requests", 429),
        ("503 Service Unavailable", 503),
    ] {
        let (refused, _) =
            exchange(status, "", async |api| api.list_payos_transfers(1).await).await;
        let refused = refused.expect_err("refused");
        assert!(
            matches!(refused, CallError::Status(status) if status == expected),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_kept() {
    let answer = "x".repeat(MAX_ANSWER + 1);
    let (refused, _) = exchange("200 OK", &answer, async |api| {
        api.list_sepay_transfers(1, 1).await
    })
    .await;
    assert!(matches!(refused, Err(CallError::Silent)));
}

#[tokio::test]
async fn what_is_not_set_up_is_not_called() {
    let api = PaymentApi::new(&Payments::default()).expect("a client");
    let error = api.list_payos_transfers(1).await.expect_err("refused");
    assert_eq!(Error::from(error).kind(), tose_api::Kind::NotFound);
}

#[test]
fn a_page_of_vnpay_has_the_configured_address() {
    let api = PaymentApi::new(&payments("https://pay.example")).expect("a client");
    let payment = NewPayment {
        order_code: "T1",
        amount: 100_000,
        order_info: "Top-up T1",
        return_url: "https://tose.example/paid",
        ip_addr: "203.0.113.9",
        created_at: NOW,
        expires_at: NOW,
    };
    let page = api.vnpay_page(&payment).expect("a page");
    assert!(
        page.starts_with("https://pay.example/pay?vnp_Amount=10000000&"),
        "{page}"
    );
}

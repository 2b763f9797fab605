//! `…/wallet`: what is charged, what follows when nothing is left, and how money comes in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use futures_util::future::join_all;
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tose_model::Clock;
use tose_model::driver::ReplicaState;
use tose_model::money::Money;
use tose_model::secret::SecretString;
use tose_server::config::{Config, Payments, PayosConfig, SepayConfig, StripeConfig, VnpayConfig};
use tose_testkit::{Act, Program};

use crate::harness::{Answer, Client, Lab, eventually};

const HOUR: Duration = Duration::from_secs(3600);
const SEPAY_SECRET: &str = "sepay_test_secret";
const STRIPE_SECRET: &str = "whsec_test_secret";
const VNPAY_SECRET: &str = "VNPAYTESTSECRET";

fn prepaid(config: &mut Config) {
    config.billing.enabled = true;
    config.payments = Payments {
        sepay: Some(SepayConfig {
            account: "0123456789".to_owned(),
            bank_bin: "970422".to_owned(),
            account_name: "TOSE".to_owned(),
            webhook_secret: Some(SecretString::from(SEPAY_SECRET)),
            api_key: None,
            api_token: None,
            base_url: "http://127.0.0.1:1".to_owned(),
        }),
        payos: None,
        vnpay: Some(VnpayConfig {
            tmn_code: "TESTTMN1".to_owned(),
            secret: SecretString::from(VNPAY_SECRET),
            pay_url: "https://pay.example.com/".to_owned(),
            api_url: "http://127.0.0.1:1/".to_owned(),
        }),
        stripe: Some(StripeConfig {
            secret_key: SecretString::from("sk_test"),
            webhook_secret: SecretString::from(STRIPE_SECRET),
            base_url: "http://127.0.0.1:1".to_owned(),
        }),
    };
}

/// A server whose new accounts are given so much.
async fn start(credit: i64) -> Lab {
    Lab::start_with(move |config| {
        prepaid(config);
        config.billing.signup_credit = Money::of(credit);
    })
    .await
}

async fn wallet(client: &Client) -> Value {
    client.get("wallet").await.data().clone()
}

/// Waits until the wallet is as `is_there` wants it.
async fn wallet_is(client: &Client, what: &str, is_there: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || {
        let wallet = wallet(client).await;
        match is_there(&wallet) {
            true => Ok(wallet),
            false => Err(wallet.to_string()),
        }
    })
    .await
}

/// Lets time pass until the meter has looked.
async fn pass(lab: &Lab, client: &Client, time: Duration) {
    let before = wallet(client).await;
    lab.clock.advance(time);
    let of = |wallet: &Value| (wallet["balance"].clone(), wallet["accrued"].clone());
    let was = of(&before);
    wallet_is(client, "the meter looks", |wallet| of(wallet) != was).await;
}

fn hmac(secret: &str, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

/// A bank transfer, as SePay tells of it.
async fn transfer(lab: &Lab, id: u64, content: &str, amount: i64) -> Answer {
    let body = json!({
        "id": id, "gateway": "Vietcombank", "transactionDate": "2024-07-02 11:08:33",
        "accountNumber": "0123456789", "subAccount": "", "code": null, "content": content,
        "transferType": "in", "transferAmount": amount, "accumulated": 0,
        "referenceCode": "FT24012345678",
    })
    .to_string();
    let now = (lab.clock.now().as_nanos() / 1_000_000_000).to_string();
    let signature = hmac(SEPAY_SECRET, &[now.as_bytes(), b".", body.as_bytes()]);
    let headers = [
        ("X-SePay-Signature", format!("sha256={signature}")),
        ("X-SePay-Timestamp", now),
    ];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    notice(lab, "sepay", &headers, body).await
}

async fn notice(lab: &Lab, provider: &str, headers: &[(&str, &str)], body: String) -> Answer {
    let path = format!("/api/payments/{provider}/webhook");
    let client = lab.anonymous();
    let body = Some(body.into_bytes());
    client.raw(Method::POST, &path, headers, body).await.0
}

async fn topup(client: &Client, amount: i64) -> Value {
    let made = client.post("wallet/topup", json!({"amount": amount})).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.data().clone()
}

fn memo(topup: &Value) -> &str {
    topup["memo"].as_str().expect("a memo")
}

async fn assert_clean(lab: &Lab) {
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_runs_is_charged_by_the_hour_and_told_of() {
    let lab = start(250_000).await;
    let owner = lab.owner("demo").await;
    assert_eq!(wallet(&owner).await["balance"], 250_000);
    lab.live(&owner, "shop:1").await;
    wallet_is(&owner, "the first look", |wallet| {
        wallet["burn_per_hour"] == 375
    })
    .await;
    for _ in 0..3 {
        pass(&lab, &owner, HOUR).await;
    }
    let now = wallet_is(&owner, "three hours are charged", |wallet| {
        wallet["balance"] == 248_875
    })
    .await;
    assert_eq!(now["status"], "active");
    assert_eq!(now["hours_left"], 248_875 / 375);
    let usage = owner.get("wallet/usage").await;
    let shop = &usage.data()["resources"][0];
    assert_eq!(
        (&shop["slug"], &shop["kind"]),
        (&json!("shop"), &json!("app"))
    );
    assert_eq!(
        (&shop["cpu_hours"], &shop["gb_hours"]),
        (&json!("1.5"), &json!("1.5"))
    );
    assert_eq!(shop["amount"], 1_125);
    let csv = String::from_utf8(owner.download("wallet/usage?format=csv").await).expect("text");
    assert!(
        csv.lines()
            .nth(1)
            .is_some_and(|line| line.starts_with("app,shop,")),
        "{csv}"
    );
    let transactions = owner.get("wallet/transactions?limit=2").await;
    let lines = transactions.data();
    assert_eq!(
        (&lines[0]["kind"], &lines[0]["amount"]),
        (&json!("usage"), &json!(-375))
    );
    assert_eq!(lines[0]["balance_after"], 248_875);
    assert_eq!(transactions.body["meta"]["total"], 4);
    let invoices = owner.get("wallet/invoices").await;
    assert_eq!(invoices.data()[0]["total"], 1_125);
    assert_eq!(invoices.data()[0]["is_final"], false);
    let pdf = owner.download("wallet/invoices/2026-01").await;
    assert!(pdf.starts_with(b"%PDF-"));
    assert_eq!(owner.get("wallet/invoices/2025-12").await.status, 404);
    // The same by the key's own workspace.
    assert_eq!(owner.get("/api/wallet").await.data(), &wallet(&owner).await);
    assert_clean(&lab).await;
}

#[tokio::test]
async fn a_second_is_charged_though_the_server_is_killed_and_the_replica_is_gone() {
    let mut lab = Lab::start_to_be_killed(|config| {
        prepaid(config);
        config.billing.signup_credit = Money::of(10_000_000);
    })
    .await;
    let owner = lab.owner("demo").await;
    lab.driver.add_image("shop:1", Program::default());
    let big = json!({"name": "shop", "image": "shop:1", "cpu": "4", "ram": "8"});
    assert_eq!(owner.post("projects", big).await.status, 201);
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    wallet_is(&owner, "it burns", |wallet| {
        wallet["burn_per_hour"] == 4_000
    })
    .await;
    pass(&lab, &owner, HOUR / 2).await;
    lab.kill().await;
    let owner = owner.at(&lab);
    // While nobody looked: half an hour. Then it is stopped, and gone before the next look.
    lab.clock.advance(HOUR / 2 - Duration::from_secs(36));
    assert_eq!(
        owner.post("projects/shop/stop", json!({})).await.status,
        200
    );
    lab.has_replicas(0).await;
    lab.clock.advance(HOUR);
    let now = wallet_is(&owner, "it is charged", |wallet| {
        wallet["balance"] != 10_000_000
    })
    .await;
    // 3,564 seconds of 4,000 an hour.
    assert_eq!(now["balance"], 10_000_000 - 3_960);
    assert_clean(&lab).await;
}

#[tokio::test]
async fn of_fifty_creations_with_funds_for_one_there_is_one() {
    let lab = start(500).await;
    let owner = lab.owner("demo").await;
    let body = |index: usize| json!({"name": format!("app {index}"), "image": "shop:1"});
    let made = join_all((0..50).map(|index| owner.post("projects", body(index)))).await;
    let statuses: Vec<u16> = made.iter().map(|answer| answer.status).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(statuses.iter().filter(|status| **status == 402).count(), 49);
    let refused = made
        .iter()
        .find(|answer| answer.status == 402)
        .expect("a refusal");
    assert_eq!(refused.code(), "wallet_empty");
    assert!(
        refused
            .error()
            .contains("an hour of this costs 375 VND, and the wallet has 125 VND left")
    );
    assert_eq!(owner.get("projects").await.body["meta"]["total"], 1);
    assert_eq!(wallet(&owner).await["held"], 375);
    // What was set aside is free again when what it was for is gone.
    let list = owner.get("projects").await;
    let slug = list.data()[0]["slug"].as_str().expect("a slug").to_owned();
    assert_eq!(owner.delete(&format!("projects/{slug}")).await.status, 200);
    assert_eq!(wallet(&owner).await["held"], 0);
}

#[tokio::test]
async fn an_empty_wallet_suspends_after_its_grace_and_a_top_up_brings_all_of_it_back() {
    let lab = start(400).await;
    let owner = lab.owner("demo").await;
    let program = Program::new([Act::Serve { status: 200 }]);
    lab.driver.add_image("shop:1", program);
    let body =
        json!({"name": "shop", "image": "shop:1", "volumes": [{"name": "data", "path": "/data"}]});
    assert_eq!(owner.post("projects", body).await.status, 201);
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    wallet_is(&owner, "it burns", |wallet| wallet["burn_per_hour"] == 375).await;
    pass(&lab, &owner, HOUR + HOUR / 2).await;
    let grace = wallet_is(&owner, "grace", |wallet| wallet["status"] == "grace").await;
    assert!(grace["suspends_at"].is_string());
    // Visitors notice nothing, and nothing new is started.
    owner.project_is("shop", "running").await;
    let refused = owner.post("projects/shop/deployments", json!({})).await;
    assert_eq!((refused.status, refused.code()), (402, "wallet_empty"));
    for _ in 0..25 {
        lab.clock.advance(HOUR);
    }
    let suspended = wallet_is(&owner, "suspended", |wallet| {
        wallet["status"] == "suspended"
    })
    .await;
    assert_eq!(
        suspended["suspended_reason"],
        "the workspace's wallet is empty"
    );
    owner.project_is("shop", "suspended").await;
    lab.has_replicas(0).await;
    let refused = owner.post("projects/shop/start", json!({})).await;
    assert_eq!(
        (refused.status, refused.code()),
        (402, "workspace_suspended")
    );
    // Nothing is charged for what is kept.
    let debt = wallet(&owner).await["available"].clone();
    lab.clock.advance(3 * HOUR);
    let asked = topup(&owner, 100_000).await;
    let paid = transfer(
        &lab,
        92_704,
        &format!("MBVCB.123 {} nap tien", memo(&asked)),
        100_000,
    )
    .await;
    assert_eq!((paid.status, &paid.body), (200, &json!({"success": true})));
    let again = wallet_is(&owner, "it is back", |wallet| wallet["status"] == "active").await;
    assert_eq!(
        again["available"].as_i64(),
        debt.as_i64().map(|debt| debt + 100_000)
    );
    owner.project_is("shop", "running").await;
    assert_eq!(owner.deployment("shop", &id).await["status"], "running");
    let replicas = lab.driver.peek();
    assert_eq!(replicas[0].state, ReplicaState::Running);
    let events = owner.get("events").await;
    let actions: Vec<_> = events
        .data()
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["action"].clone())
        .collect();
    assert!(
        actions.contains(&json!("workspace.suspend"))
            && actions.contains(&json!("workspace.resume"))
    );
    assert_clean(&lab).await;
}

#[tokio::test]
async fn a_notice_that_is_told_a_hundred_times_at_once_is_credited_once() {
    let lab = start(0).await;
    let owner = lab.owner("demo").await;
    let asked = topup(&owner, 100_000).await;
    assert!(
        asked["qr_payload"]
            .as_str()
            .is_some_and(|text| text.contains(memo(&asked)))
    );
    assert!(
        asked["qr_svg"]
            .as_str()
            .is_some_and(|text| text.starts_with("<svg"))
    );
    assert_eq!(asked["account"]["number"], "0123456789");
    let content = format!("{} chuyen tien", memo(&asked).to_lowercase());
    let told = join_all((0..100).map(|_| transfer(&lab, 7, &content, 100_000))).await;
    assert!(told.iter().all(|answer| answer.status == 200));
    assert_eq!(wallet(&owner).await["balance"], 100_000);
    let path = format!("wallet/topups/{}", asked["id"].as_str().expect("an id"));
    let paid = owner.get(&path).await;
    assert_eq!(
        (&paid.data()["status"], &paid.data()["credited"]),
        (&json!("paid"), &json!(100_000))
    );
    assert_clean(&lab).await;
}

#[tokio::test]
async fn what_is_not_signed_right_changes_nothing() {
    let lab = start(0).await;
    let body = r#"{"id":1,"transferType":"in","transferAmount":5,"content":"x"}"#.to_owned();
    for (provider, headers) in [
        ("sepay", vec![]),
        ("sepay", vec![("Authorization", "Apikey guess")]),
        (
            "sepay",
            vec![
                ("X-SePay-Signature", "sha256=00"),
                ("X-SePay-Timestamp", "1767225600"),
            ],
        ),
        ("stripe", vec![]),
        ("stripe", vec![("Stripe-Signature", "t=1767225600,v1=00")]),
    ] {
        let refused = notice(&lab, provider, &headers, body.clone()).await;
        assert_eq!(
            (refused.status, refused.code()),
            (401, "bad_signature"),
            "{provider} {headers:?}"
        );
    }
    // Of one that is not set up nothing is believed.
    assert_eq!(notice(&lab, "payos", &[], body).await.status, 401);
    let query = "vnp_Amount=10000000&vnp_TxnRef=DHTEST01&vnp_SecureHash=00";
    let told = lab
        .anonymous()
        .get(&format!("/api/payments/vnpay/webhook?{query}"))
        .await;
    assert_eq!((told.status, &told.body["RspCode"]), (200, &json!("97")));
}

/// A user who may see to the whole installation.
async fn operator(lab: &Lab) -> Client {
    let operator = lab.owner("staff").await;
    lab.make_operator("staff@example.com").await;
    operator
}

#[tokio::test]
async fn a_payment_that_fits_nothing_waits_for_an_operator() {
    let lab = start(0).await;
    let owner = lab.owner("demo").await;
    let operator = operator(&lab).await;
    assert_eq!(transfer(&lab, 31, "chuyen tien", 60_000).await.status, 200);
    let list = operator.get("/api/operator/payments?status=review").await;
    let payment = &list.data()[0];
    assert_eq!(
        (&payment["amount"], &payment["workspace"]),
        (&json!(60_000), &Value::Null)
    );
    assert_eq!(payment["problem"], "no top-up is meant by it");
    let id = payment["id"].as_str().expect("an id");
    let path = format!("/api/operator/payments/{id}/resolve");
    let resolve = json!({"workspace": "demo", "reason": "the payer called"});
    // Nobody else may.
    assert_eq!(owner.post(&path, resolve.clone()).await.status, 403);
    let resolved = operator.post(&path, resolve.clone()).await;
    assert_eq!(resolved.data()["status"], "resolved");
    assert_eq!(resolved.data()["credited"], 60_000);
    assert_eq!(wallet(&owner).await["balance"], 60_000);
    assert_eq!(operator.post(&path, resolve).await.status, 409);
    // Another amount than was asked for is credited as it came, and looked at.
    let asked = topup(&owner, 50_000).await;
    assert_eq!(transfer(&lab, 32, memo(&asked), 20_000).await.status, 200);
    assert_eq!(wallet(&owner).await["balance"], 80_000);
    let list = operator.get("/api/operator/payments?status=review").await;
    assert_eq!(list.data()[0]["problem"], "50,000 VND was asked for");
    assert_eq!(list.data()[0]["credited"], 20_000);
    assert_clean(&lab).await;
}

#[tokio::test]
async fn dollars_are_credited_at_the_rate_once_for_each_checkout() {
    let lab = start(0).await;
    let owner = lab.owner("demo").await;
    // The provider cannot be reached here: the payment is still known to be waited for.
    let refused = owner.post("wallet/topup/usd", json!({"amount": 10})).await;
    assert_eq!(refused.status, 503);
    let asked = owner.get("wallet/topups").await.data()[0].clone();
    assert_eq!(
        (&asked["provider"], &asked["amount"]),
        (&json!("stripe"), &json!(1_000))
    );
    let event = |id: &str, kind: &str| {
        json!({
            "id": id, "object": "event", "type": kind, "created": 1_767_225_600,
            "data": {"object": {
                "id": "cs_test_1", "object": "checkout.session", "mode": "payment",
                "payment_status": "paid", "status": "complete", "amount_total": 1_000,
                "currency": "usd", "client_reference_id": memo(&asked),
                "metadata": {"order_code": memo(&asked)},
            }},
        })
        .to_string()
    };
    for (id, kind) in [
        ("evt_1", "checkout.session.completed"),
        ("evt_1", "checkout.session.completed"),
        ("evt_2", "checkout.session.async_payment_succeeded"),
    ] {
        let body = event(id, kind);
        let now = (lab.clock.now().as_nanos() / 1_000_000_000).to_string();
        let signature = hmac(STRIPE_SECRET, &[now.as_bytes(), b".", body.as_bytes()]);
        let header = format!("t={now},v1={signature}");
        let told = notice(&lab, "stripe", &[("Stripe-Signature", &header)], body).await;
        assert_eq!(told.status, 200, "{told:?}");
    }
    assert_eq!(wallet(&owner).await["balance"], 250_000);
    assert_clean(&lab).await;
}

/// What VNPay calls, signed.
fn vnpay_query(order: &str, amount: i64, transaction: &str) -> String {
    use sha2::Sha512;
    let query = format!(
        "vnp_Amount={}&vnp_BankCode=NCB&vnp_BankTranNo=VNP{transaction}&vnp_CardType=ATM&vnp_OrderInfo=Nap+tien&vnp_PayDate=20260101170112&vnp_ResponseCode=00&vnp_TmnCode=TESTTMN1&vnp_TransactionNo={transaction}&vnp_TransactionStatus=00&vnp_TxnRef={order}",
        amount * 100
    );
    let mut mac = Hmac::<Sha512>::new_from_slice(VNPAY_SECRET.as_bytes()).expect("a key");
    mac.update(query.as_bytes());
    let hash = hex::encode(mac.finalize().into_bytes());
    format!("/api/payments/vnpay/webhook?{query}&vnp_SecureHash={hash}")
}

#[tokio::test]
async fn vnpay_is_answered_in_its_own_codes() {
    let lab = start(0).await;
    let owner = lab.owner("demo").await;
    let body = json!({"amount": 100_000, "provider": "vnpay"});
    let asked = owner.post("wallet/topup", body).await;
    let asked = asked.data();
    let url = asked["checkout_url"].as_str().expect("an address");
    assert!(url.starts_with("https://pay.example.com/?") && url.contains("vnp_SecureHash="));
    let answer = async |query: String| lab.anonymous().get(&query).await.body["RspCode"].clone();
    assert_eq!(answer(vnpay_query("TSUNKNOWN", 100_000, "1")).await, "01");
    assert_eq!(answer(vnpay_query(memo(asked), 90_000, "2")).await, "04");
    assert_eq!(wallet(&owner).await["balance"], 0);
    assert_eq!(answer(vnpay_query(memo(asked), 100_000, "3")).await, "00");
    assert_eq!(answer(vnpay_query(memo(asked), 100_000, "3")).await, "02");
    assert_eq!(wallet(&owner).await["balance"], 100_000);
    assert_clean(&lab).await;
}

#[tokio::test]
async fn a_budget_that_stops_stops_until_it_grows() {
    let lab = start(250_000).await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "shop:1").await;
    wallet_is(&owner, "it burns", |wallet| wallet["burn_per_hour"] == 375).await;
    let budget = json!({"monthly_limit": 700, "action": "stop"});
    assert_eq!(
        owner.put("wallet/budget", budget).await.data()["budget"]["monthly_limit"],
        700
    );
    pass(&lab, &owner, HOUR).await;
    pass(&lab, &owner, HOUR).await;
    let suspended = wallet_is(&owner, "suspended", |wallet| {
        wallet["status"] == "suspended"
    })
    .await;
    assert_eq!(
        suspended["suspended_reason"],
        "the workspace has used its budget of this month"
    );
    owner.project_is("shop", "suspended").await;
    let refused = owner.post("projects/shop/redeploy", json!({})).await;
    assert!(refused.error().contains("raise the budget"), "{refused:?}");
    let more = json!({"monthly_limit": 100_000, "action": "stop"});
    assert_eq!(owner.put("wallet/budget", more).await.status, 200);
    owner.project_is("shop", "running").await;
    let none = owner.put("wallet/budget", json!({})).await;
    assert_eq!(none.data()["budget"]["monthly_limit"], Value::Null);
}

#[tokio::test]
async fn prices_and_estimates_are_told() {
    let lab = start(1_000).await;
    let owner = lab.owner("demo").await;
    let pricing = lab.anonymous().get("/api/pricing").await;
    assert_eq!(pricing.data()["current"]["cpu_hour"]["price"], "500");
    assert_eq!(pricing.data()["usd_rate"], 25_000);
    let wanted = json!({"cpu": "0.5", "ram": "1", "replicas": 2, "storage_gb": 10});
    let estimate = owner.post("estimate", wanted).await;
    assert_eq!(estimate.data()["per_hour"], 1_050);
    assert_eq!(estimate.data()["per_month"], 1_050 * 730);
    assert_eq!(estimate.data()["hours_left"], 0);
    let too_many = json!({"cpu": "1", "ram": "1", "replicas": 1001});
    assert_eq!(owner.post("estimate", too_many).await.status, 400);
}

#[tokio::test]
async fn operators_give_credit_with_a_reason_and_note_refunds() {
    let lab = start(0).await;
    let owner = lab.owner("demo").await;
    let operator = operator(&lab).await;
    let credit = json!({"amount": 5_000, "reason": "a long outage"});
    let path = "/api/operator/workspaces/demo/credit";
    assert_eq!(owner.post(path, credit.clone()).await.status, 403);
    let made = operator.post(path, credit).await;
    assert_eq!(
        (made.status, &made.data()["balance_after"]),
        (201, &json!(5_000))
    );
    assert_eq!(
        owner.get("wallet/transactions").await.data()[0]["reason"],
        "a long outage"
    );
    let none = json!({"amount": 5_000, "reason": "x"});
    assert_eq!(
        operator
            .post("/api/operator/workspaces/nobody/credit", none)
            .await
            .status,
        404
    );
    for bad in [
        json!({"amount": 0, "reason": "x"}),
        json!({"amount": 5, "reason": "  "}),
        json!({"amount": 1.5, "reason": "x"}),
        json!({"amount": "5", "reason": "x"}),
    ] {
        assert_eq!(operator.post(path, bad.clone()).await.status, 400, "{bad}");
    }
    let path = "/api/operator/workspaces/demo/refund";
    let refund =
        |amount: i64| json!({"amount": amount, "provider": "sepay", "reason": "asked for"});
    assert_eq!(
        operator.post(path, refund(5_001)).await.code(),
        "not_enough"
    );
    assert_eq!(
        operator.post(path, refund(2_000)).await.data()["balance_after"],
        3_000
    );
    assert_clean(&lab).await;
}

#[tokio::test]
async fn only_owners_change_a_wallet_and_members_see_it() {
    let lab = start(1_000).await;
    let owner = lab.owner("demo").await;
    let member = lab.member(&owner, "admin").await;
    assert_eq!(member.get("wallet").await.status, 200);
    for (path, body) in [
        ("wallet/threshold", json!({"threshold": 5})),
        ("wallet/budget", json!({"monthly_limit": 5})),
    ] {
        assert_eq!(member.put(path, body.clone()).await.status, 403);
        assert_eq!(owner.put(path, body).await.status, 200);
    }
    assert_eq!(
        member
            .post("wallet/topup", json!({"amount": 5}))
            .await
            .status,
        403
    );
    assert_eq!(
        owner
            .put("wallet/threshold", json!({"threshold": -1}))
            .await
            .status,
        400
    );
    assert_eq!(wallet(&owner).await["threshold"], 5);
}

#[tokio::test]
async fn a_server_that_charges_nothing_says_so() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    assert_eq!(wallet(&owner).await["status"], "off");
    assert_eq!(
        lab.anonymous().get("/api/pricing").await.data()["enabled"],
        false
    );
    let refused = owner.post("wallet/topup", json!({"amount": 5})).await;
    assert_eq!((refused.status, refused.code()), (409, "billing_off"));
}

/// What payment services are asked, on loopback: SePay's list of transfers, and PayOS' links.
async fn services() -> (String, Arc<Mutex<Vec<Value>>>, JoinSet<()>) {
    let transfers: Arc<Mutex<Vec<Value>>> = Arc::default();
    let listed = Arc::clone(&transfers);
    let list = get(async move || {
        let transfers = listed.lock().expect("no panic").clone();
        axum::Json(json!({"status": 200, "messages": {"success": true}, "transactions": transfers}))
    });
    let made: Arc<Mutex<Value>> = Arc::default();
    let (making, asking) = (Arc::clone(&made), made);
    let make = post(async move |axum::Json(body): axum::Json<Value>| {
        *making.lock().expect("no panic") = body.clone();
        axum::Json(json!({"code": "00", "desc": "success", "data": {
            "paymentLinkId": "link-1", "checkoutUrl": "https://pay.example.com/link-1",
            "orderCode": body["orderCode"], "amount": body["amount"], "qrCode": "x", "status": "PENDING",
        }}))
    });
    let ask = get(async move || {
        let body = asking.lock().expect("no panic").clone();
        axum::Json(json!({"code": "00", "desc": "success", "data": {
            "id": "link-1", "orderCode": body["orderCode"], "amount": body["amount"], "status": "PAID",
            "amountPaid": body["amount"], "transactions": [{
                "reference": "TF1", "amount": body["amount"], "description": "nap tien",
                "transactionDateTime": "2026-01-01T08:00:00+07:00",
            }],
        }}))
    });
    let router = Router::new()
        .route("/userapi/transactions/list", list)
        .route("/v2/payment-requests", make)
        .route("/v2/payment-requests/{order}", ask);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        axum::serve(listener, router).await.expect("it serves");
    });
    (url, transfers, serving)
}

#[tokio::test]
async fn what_no_notice_ever_told_of_is_asked_after_and_credited_once() {
    let (url, transfers, _serving) = services().await;
    let lab = Lab::start_with(move |config| {
        prepaid(config);
        config.billing.signup_credit = Money::ZERO;
        let sepay = config.payments.sepay.as_mut().expect("it is set up");
        (sepay.base_url, sepay.api_token) = (url.clone(), Some(SecretString::from("token")));
        config.payments.payos = Some(PayosConfig {
            client_id: "client".to_owned(),
            api_key: SecretString::from("key"),
            checksum_key: SecretString::from("checksum"),
            base_url: url.clone(),
        });
    })
    .await;
    let owner = lab.owner("demo").await;
    let asked = topup(&owner, 70_000).await;
    transfers.lock().expect("no panic").push(json!({
        "id": "501", "transaction_date": "2026-01-01 08:00:00", "amount_in": "70000.00",
        "amount_out": "0.00", "transaction_content": format!("{} chuyen khoan", memo(&asked)),
        "code": null,
    }));
    let body = json!({"amount": 30_000, "provider": "payos"});
    let page = owner.post("wallet/topup", body).await;
    assert_eq!(
        page.data()["checkout_url"],
        "https://pay.example.com/link-1"
    );
    lab.clock.advance(Duration::from_secs(61));
    wallet_is(&owner, "both have arrived", |wallet| {
        wallet["balance"] == 100_000
    })
    .await;
    // The notice comes after all.
    assert_eq!(transfer(&lab, 501, memo(&asked), 70_000).await.status, 200);
    lab.clock.advance(Duration::from_secs(61));
    let late = topup(&owner, 5_000).await;
    lab.clock.advance(Duration::from_secs(25 * 3600));
    let path = format!("wallet/topups/{}", late["id"].as_str().expect("an id"));
    assert_eq!(owner.get(&path).await.data()["status"], "expired");
    assert_eq!(wallet(&owner).await["balance"], 100_000);
    assert_clean(&lab).await;
}

#[tokio::test]
async fn what_is_on_its_way_ends_with_a_reason_when_the_workspace_is_suspended() {
    let lab = Lab::start_with(|config| {
        prepaid(config);
        config.billing.grace = Duration::ZERO;
        config.billing.interval = Duration::from_secs(1);
    })
    .await;
    let owner = lab.owner("demo").await;
    let operator = operator(&lab).await;
    lab.live(&owner, "shop:1").await;
    // Its new version never listens, and its job never ends.
    lab.driver.add_image("shop:2", Program::new([]));
    let job = owner
        .post("projects/shop/jobs", json!({"command": ["cat"]}))
        .await;
    assert_eq!(job.status, 201, "{job:?}");
    let change = json!({"image": "shop:2"});
    assert_eq!(owner.put("projects/shop", change).await.status, 200);
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "deploying").await;
    pass(&lab, &owner, Duration::from_secs(30)).await;
    let refund = json!({"amount": 250_000, "provider": "sepay", "reason": "asked for"});
    let path = "/api/operator/workspaces/demo/refund";
    assert_eq!(operator.post(path, refund).await.status, 201);
    let failed = owner.deployment_is("shop", &id, "failed").await;
    let error = failed["error"].as_str().expect("a reason");
    assert!(
        error.starts_with("the workspace's wallet is empty"),
        "{error}"
    );
    lab.has_replicas(0).await;
    let jobs = owner.get("projects/shop/jobs").await;
    assert_eq!(jobs.data()[0]["status"], "cancelled");
    owner.project_is("shop", "suspended").await;
    assert_clean(&lab).await;
}

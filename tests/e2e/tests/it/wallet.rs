//! Money, with real containers and real mail.

use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tose_e2e::{Api, Installation, Smtp, Source, eventually, when};

const SECRET: &str = "sepay_test_secret";

fn settings(smtp: std::net::SocketAddr) -> String {
    format!(
        "[billing]\ngrace_hours = 0\ninterval_seconds = 1\n\
         [payments.sepay]\naccount = \"0123456789\"\nbank_bin = \"970422\"\naccount_name = \"TOSE\"\nwebhook_secret = \"{SECRET}\"\n{}",
        Smtp::settings(smtp)
    )
}

/// A bank transfer, told of and signed as SePay does.
async fn transfer(api: &Api, content: &str, amount: i64) {
    let notice = json!({
        "id": 92_704, "gateway": "Vietcombank", "transactionDate": "2026-01-02 11:08:33",
        "accountNumber": "0123456789", "subAccount": "", "code": null, "content": content,
        "transferType": "in", "transferAmount": amount, "accumulated": 0, "referenceCode": "FT24",
    });
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .expect("a time")
        .as_secs()
        .to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(format!("{now}.{notice}").as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let headers = [
        ("X-SePay-Signature", signature.as_str()),
        ("X-SePay-Timestamp", &now),
    ];
    let path = "/api/payments/sepay/webhook";
    let told = api.send_event(path, &headers, &notice).await;
    assert_eq!(told, Value::Null);
}

async fn wallet_is(api: &Api, status: &str) -> Value {
    eventually(&format!("the wallet is {status}"), async || {
        let wallet = api.get("/wallet").await;
        when(wallet["status"] == status, wallet.clone()).map(|_| wallet)
    })
    .await
}

#[tokio::test]
async fn an_empty_wallet_stops_everything_and_a_transfer_brings_it_back_with_its_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let addr = tose_e2e::free_addr();
    let Some(site) = Installation::start_with(&settings(addr)).await else {
        return;
    };
    let smtp = Smtp::start(folder.path(), addr).await;
    site.admin(&["admin", "operator", "--email", "demo@example.com"])
        .await
        .ok();
    let api = site.api();
    let with_volume = json!({"volumes": [{"name": "data", "path": "/data"}]});
    let project = site
        .project_of(api, "web", &Source::app("one"), with_volume)
        .await;
    let deployment = project.deploy_live().await;
    let write = json!({"command": ["sh", "-c", "printf precious > /data/kept"]});
    assert_eq!(project.post("/exec", &write).await["exit_code"], 0);
    let wallet = wallet_is(api, "active").await;
    assert_eq!(
        (&wallet["balance"], &wallet["burn_per_hour"]),
        (&json!(250_000), &json!(563))
    );
    eventually("what runs is metered", async || {
        let usage = api.get("/wallet/usage").await;
        let hours = usage["resources"][0]["cpu_hours"]
            .as_str()
            .unwrap_or("0")
            .to_owned();
        when(hours != "0", usage)
    })
    .await;
    // The money goes back.
    let refund = json!({"amount": 250_000, "provider": "sepay", "reason": "asked for"});
    let path = "/api/operator/workspaces/demo/refund";
    // A key is remembered for a moment, and with it who may do what.
    eventually("the operator may note it", async || {
        let noted = api.send(Method::POST, path, Some(&refund)).await;
        when(noted.status == 201, noted.body)
    })
    .await;
    wallet_is(api, "suspended").await;
    project.has_no_container().await;
    project.becomes("suspended").await;
    let page = site.visit(&project.host, "/").await;
    assert!(page.text.contains("wallet is empty"), "{}", page.text);
    let start = api
        .call(Method::POST, &project.path("/redeploy"), None)
        .await;
    assert_eq!(start.status, 402, "{:?}", start.body);
    // And comes again.
    let asked = api.post("/wallet/topup", &json!({"amount": 100_000})).await;
    let memo = asked["memo"].as_str().expect("a memo");
    transfer(api, &format!("MBVCB.77 {memo} nap tien"), 100_000).await;
    wallet_is(api, "active").await;
    project.becomes("running").await;
    site.shows(&project.host, 200).await;
    let read = json!({"command": ["cat", "/data/kept"]});
    assert_eq!(project.post("/exec", &read).await["stdout"], "precious");
    let record = project.get(&format!("/deployments/{deployment}")).await;
    assert_eq!(
        record["status"], "running",
        "it is the version that was there"
    );
    // Each of these once: low, suspended, the receipt, again.
    let mails = smtp.mails(4).await;
    for subject in [
        "is low",
        "is suspended",
        "Receipt: 100,000 VND",
        "runs again",
    ] {
        let found = mails.iter().filter(|mail| mail.contains(subject)).count();
        assert_eq!(found, 1, "{subject}: {mails:?}");
    }
    // It ends with an error if anything is found.
    site.admin(&["admin", "fsck"]).await.ok();
}

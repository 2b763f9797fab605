//! What leaves by mail: invitations, password resets, and word of what happens.

use http::Method;
use serde_json::{Value, json};
use tose_e2e::{Installation, Smtp, eventually, when};

/// The token in a mail: 40 hex digits on a line of their own.
fn token(mail: &str) -> String {
    let is_token =
        |line: &&str| line.len() == 40 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = mail.lines().map(str::trim).find(is_token);
    found
        .unwrap_or_else(|| panic!("no token in {mail}"))
        .to_owned()
}

#[tokio::test]
async fn an_invitation_and_a_reset_arrive_and_their_tokens_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = free.local_addr().expect("its address");
    drop(free);
    let Some(site) = Installation::start_with(&Smtp::settings(addr)).await else {
        return;
    };
    let smtp = Smtp::start(folder.path(), addr).await;
    let api = site.api();
    let invitation = json!({"email": "ann@example.com", "role": "member"});
    let invited = api.post("/invitations", &invitation).await;
    assert_eq!(invited["mailed"], true, "{invited}");
    let mails = smtp.mails(1).await;
    assert!(mails[0].contains("To: ann@example.com"), "{}", mails[0]);
    assert!(
        mails[0].contains("demo@example.com invites you to the workspace demo"),
        "{}",
        mails[0]
    );

    let account = json!({
        "email": "ann@example.com", "password": "correct horse battery",
        "invitation_token": token(&mails[0]),
    });
    let send = async |path: &str, body: &Value| api.send(Method::POST, path, Some(body)).await;
    assert_eq!(send("/api/auth/register", &account).await.status, 201);

    let forgot = json!({"email": "ann@example.com"});
    let unknown = json!({"email": "nobody@example.com"});
    let known = send("/api/auth/password/forgot", &forgot).await;
    let nobody = send("/api/auth/password/forgot", &unknown).await;
    assert_eq!((known.status.as_u16(), &known.body), (202, &nobody.body));
    let mails = smtp.mails(2).await;
    let reset = mails
        .iter()
        .find(|mail| mail.contains("A new password"))
        .expect("the reset mail");
    let body = json!({"token": token(reset), "new_password": "another good password"});
    assert_eq!(send("/api/auth/password/reset", &body).await.status, 200);
    assert_eq!(
        send("/api/auth/password/reset", &body).await.status,
        401,
        "it works once"
    );
    let login = |password: &str| json!({"email": "ann@example.com", "password": password});
    assert_eq!(
        send("/api/auth/login", &login("another good password"))
            .await
            .status,
        200
    );
    assert_eq!(
        send("/api/auth/login", &login("correct horse battery"))
            .await
            .status,
        401
    );
    assert!(smtp.addr().ip().is_loopback());
}

#[tokio::test]
async fn a_backup_that_fails_is_mailed_once_to_those_who_can_mend_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let addr = tose_e2e::free_addr();
    let Some(site) = Installation::start_with(&Smtp::settings(addr)).await else {
        return;
    };
    let smtp = Smtp::start(folder.path(), addr).await;
    let api = site.api();
    let body = json!({"name": "cache", "type": "redis"});
    api.post("/databases", &body).await;
    let is = async |path: &str, field: &str, value: &str| {
        eventually(&format!("{path} has {field} {value}"), async || {
            let record = api.get(path).await;
            when(record[field] == value, record)
        })
        .await;
    };
    is("/databases/cache", "status", "running").await;
    api.post("/databases/cache/stop", &json!({})).await;
    is("/databases/cache", "status", "stopped").await;
    for _ in 0..2 {
        let made = api.post("/databases/cache/backups", &json!({})).await;
        let id = made["id"].as_str().expect("an id");
        is(
            &format!("/databases/cache/backups/{id}"),
            "status",
            "failed",
        )
        .await;
    }
    let mails = smtp.mails(1).await;
    assert!(mails[0].contains("To: demo@example.com"), "{}", mails[0]);
    assert!(mails[0].contains("demo/cache"), "{}", mails[0]);
    assert!(mails[0].contains("start it"), "{}", mails[0]);
}

#[tokio::test]
async fn a_failed_deployment_arrives_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let addr = tose_e2e::free_addr();
    let Some(site) = Installation::start_with(&Smtp::settings(addr)).await else {
        return;
    };
    let api = site.api();
    let channel = json!({"name": "Ops", "kind": "email", "email": "ops@example.com"});
    api.post("/notifications", &channel).await;
    let project = json!({"name": "shop", "image": "127.0.0.1:1/none:1"});
    api.post("/projects", &project).await;
    // Nobody takes mail so far: it is tried again.
    api.post("/projects/shop/deployments", &json!({})).await;
    let list = eventually("the first attempt fails", async || {
        let list = api.get("/notifications").await;
        let has_failed = list[0]["last_delivery"]["ok"] == false;
        when(has_failed, &list).map(|()| list)
    })
    .await;
    let reason = "the mail server did not take it";
    assert_eq!(list[0]["last_delivery"]["reason"], reason);
    let smtp = Smtp::start(folder.path(), addr).await;
    let mails = smtp.mails(1).await;
    assert!(mails[0].contains("To: ops@example.com"), "{}", mails[0]);
    let subject = "Subject: demo/shop: a deployment failed";
    assert!(mails[0].contains(subject), "{}", mails[0]);
}

//! What leaves by mail: invitations and password resets.

use http::Method;
use serde_json::{Value, json};
use tose_e2e::{Installation, Smtp};

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

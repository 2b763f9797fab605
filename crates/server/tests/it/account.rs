//! People who log in.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tose_model::Clock;
use totp_rs::{Builder, Secret};

use crate::harness::{Answer, Lab, PASSWORD, Person};

async fn login(lab: &Lab, body: Value) -> (Answer, reqwest::header::HeaderMap) {
    lab.anonymous()
        .raw(
            Method::POST,
            "/api/auth/login",
            &[("Content-Type", "application/json")],
            Some(body.to_string().into_bytes()),
        )
        .await
}

#[tokio::test]
async fn somebody_registers_makes_a_workspace_and_a_key_for_it() {
    let lab = Lab::start().await;
    let person = lab.person("Ann@Example.com").await;
    assert_eq!(person.email, "ann@example.com");
    let me = person.call(Method::GET, "/api/me", None).await;
    assert_eq!(me.data()["csrf_token"], json!(person.csrf_token));
    assert_eq!(me.data()["workspace"], json!(null));
    let made = person
        .post("/api/workspaces", json!({"name": "Ann's"}))
        .await;
    assert_eq!((made.status, &made.data()["slug"]), (201, &json!("ann-s")));
    let listed = person.call(Method::GET, "/api/workspaces", None).await;
    assert_eq!(listed.data()[0]["slug"], json!("ann-s"));
    let key = person
        .post("/api/workspaces/ann-s/api-keys", json!({"name": "ci"}))
        .await;
    let client = person
        .client
        .with_key(key.data()["key"].as_str())
        .in_workspace("ann-s");
    assert_eq!(client.get("projects").await.status, 200);
    let again = person
        .client
        .post(
            "/api/auth/register",
            json!({"email": "ann@example.com", "password": PASSWORD}),
        )
        .await;
    assert_eq!((again.status, again.code()), (409, "taken"));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_answer_the_same() {
    let lab = Lab::start().await;
    lab.person("ann@example.com").await;
    let wrong = login(
        &lab,
        json!({"email": "ann@example.com", "password": "wrong"}),
    )
    .await;
    let unknown = login(
        &lab,
        json!({"email": "bob@example.com", "password": "wrong"}),
    )
    .await;
    assert_eq!((wrong.0.status, wrong.0.code()), (401, "wrong_credentials"));
    assert_eq!(wrong.0, unknown.0);
    let (right, headers) = login(
        &lab,
        json!({"email": "ann@example.com", "password": PASSWORD}),
    )
    .await;
    assert_eq!(right.status, 200);
    let cookie = headers["set-cookie"].to_str().expect("a text");
    for attribute in [
        "__Host-tose_session=",
        "Path=/",
        "Secure",
        "HttpOnly",
        "SameSite=Lax",
    ] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let lab = Lab::start().await;
    let person = lab.person("ann@example.com").await;
    let body = json!({"name": "Shop"}).to_string().into_bytes();
    let attempt = async |headers: &[(&str, &str)]| {
        let mut all = vec![
            ("Content-Type", "application/json"),
            ("Cookie", person.cookie.as_str()),
        ];
        all.extend_from_slice(headers);
        person
            .client
            .raw(Method::POST, "/api/workspaces", &all, Some(body.clone()))
            .await
            .0
    };
    assert_eq!(attempt(&[]).await.status, 403, "no token");
    assert_eq!(attempt(&[("X-CSRF-Token", "0000")]).await.status, 403);
    let token = ("X-CSRF-Token", person.csrf_token.as_str());
    let evil = attempt(&[token, ("Origin", "https://evil.example")]).await;
    assert_eq!(evil.status, 403, "another site");
    let own = format!("http://{}", lab.api_addr());
    assert_eq!(attempt(&[token, ("Origin", &own)]).await.status, 201);
}

#[tokio::test]
async fn a_login_ends_by_logout_by_idleness_and_by_a_new_password() {
    let lab = Lab::start().await;
    let person = lab.person("ann@example.com").await;
    let is_in =
        async |person: &Person| person.call(Method::GET, "/api/me", None).await.status == 200;
    let again = async || {
        let credentials = json!({"email": "ann@example.com", "password": PASSWORD});
        let (answer, headers) = login(&lab, credentials).await;
        Person::from_answer(lab.anonymous(), &answer, &headers)
    };
    let other = again().await;
    assert_eq!(other.post("/api/auth/logout", json!({})).await.status, 200);
    assert!(!is_in(&other).await, "logged out");
    assert!(is_in(&person).await, "another login goes on");

    let other = again().await;
    let wrong = person
        .post(
            "/api/me/password",
            json!({"current_password": "wrong", "new_password": "another good one"}),
        )
        .await;
    assert_eq!(wrong.status, 400);
    let changed = person
        .post(
            "/api/me/password",
            json!({"current_password": PASSWORD, "new_password": "another good one"}),
        )
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert!(!is_in(&other).await, "every other login has ended");
    assert!(is_in(&person).await);
    let old = login(
        &lab,
        json!({"email": "ann@example.com", "password": PASSWORD}),
    )
    .await;
    assert_eq!(old.0.status, 401);

    for _ in 0..5 {
        lab.clock.advance(Duration::from_secs(11 * 3600));
        assert!(is_in(&person).await, "it is used");
    }
    lab.clock.advance(Duration::from_secs(12 * 3600));
    assert!(!is_in(&person).await, "it was not used for twelve hours");
}

#[tokio::test]
async fn two_factor_asks_for_a_code_and_takes_each_once() {
    let lab = Lab::start().await;
    let person = lab.person("ann@example.com").await;
    let secret = person.post("/api/me/totp", json!({})).await;
    let secret = secret.data()["secret"]
        .as_str()
        .expect("a secret")
        .to_owned();
    let totp = Builder::new()
        .with_secret(Secret::try_from_base32(&secret).expect("base32"))
        .with_account_name("ann@example.com")
        .with_issuer(Some("TOSE"))
        .build()
        .expect("an authenticator");
    let code = || {
        let seconds = lab.clock.now().as_nanos() / 1_000_000_000;
        totp.generate(u64::try_from(seconds).expect("after 1970"))
            .to_string()
    };
    let wrong = person
        .post("/api/me/totp/confirm", json!({"code": "000000"}))
        .await;
    assert_eq!(wrong.status, 400);
    let confirmed = person
        .post("/api/me/totp/confirm", json!({"code": code()}))
        .await;
    let codes = confirmed.data()["recovery_codes"].clone();
    assert_eq!(codes.as_array().map(Vec::len), Some(10));

    let attempt = async |code: Option<&str>| {
        let mut body = json!({"email": "ann@example.com", "password": PASSWORD});
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        login(&lab, body).await.0
    };
    let needed = attempt(None).await;
    assert_eq!((needed.status, needed.code()), (401, "two_factor_required"));
    let replayed = attempt(Some(&code())).await;
    assert_eq!(
        replayed.code(),
        "wrong_code",
        "the code that confirmed it was taken"
    );
    lab.clock.advance(Duration::from_secs(60));
    assert_eq!(attempt(Some(&code())).await.status, 200);
    assert_eq!(attempt(Some(&code())).await.code(), "wrong_code");
    let recovery = codes[0].as_str().expect("a code");
    assert_eq!(attempt(Some(recovery)).await.status, 200);
    assert_eq!(attempt(Some(recovery)).await.code(), "wrong_code");

    let off = person
        .call(
            Method::DELETE,
            "/api/me/totp",
            Some(json!({"password": PASSWORD})),
        )
        .await;
    assert_eq!(off.status, 200);
    assert_eq!(attempt(None).await.status, 200);
}

#[tokio::test]
async fn closed_registration_lets_only_invited_people_in() {
    let lab = Lab::start_with(|config| config.open_registration = false).await;
    let owner = lab.owner("demo").await;
    let register = async |email: &str, token: Option<&str>| {
        let mut body = json!({"email": email, "password": PASSWORD});
        if let Some(token) = token {
            body["invitation_token"] = json!(token);
        }
        lab.anonymous().post("/api/auth/register", body).await
    };
    assert_eq!(register("ann@example.com", None).await.status, 403);
    let invited = owner
        .post(
            "invitations",
            json!({"email": "ann@example.com", "role": "admin"}),
        )
        .await;
    assert_eq!(
        invited.data()["mailed"],
        json!(false),
        "no mail server is set up"
    );
    let token = invited.data()["token"].as_str().expect("a token");
    assert_eq!(
        register("bob@example.com", Some(token)).await.status,
        403,
        "not his"
    );
    assert_eq!(register("ann@example.com", Some(token)).await.status, 201);
}

#[tokio::test]
async fn an_invitation_is_for_one_address_once() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let (ann, bob) = (
        lab.person("ann@example.com").await,
        lab.person("bob@example.com").await,
    );
    let invite = async || {
        let body = json!({"email": "ann@example.com", "role": "member"});
        let made = owner.post("invitations", body).await;
        assert_eq!(made.status, 201);
        let token = made.data()["token"].as_str().expect("a token");
        format!("/api/invitations/{token}/accept")
    };
    let first = invite().await;
    let path = invite().await;
    assert_eq!(
        ann.post(&first, json!({})).await.status,
        404,
        "it was replaced"
    );
    assert_eq!(
        bob.post(&path, json!({})).await.status,
        404,
        "it is not his"
    );
    let accepted = ann.post(&path, json!({})).await;
    assert_eq!(
        accepted.data(),
        &json!({"workspace": "demo", "role": "member"})
    );
    assert_eq!(ann.post(&path, json!({})).await.status, 404, "it was used");
    let seen = ann
        .call(Method::GET, "/api/workspaces/demo/projects", None)
        .await;
    assert_eq!(seen.status, 200);
    assert_eq!(
        owner.get("invitations").await.body["meta"]["total"],
        json!(0)
    );

    let body = json!({"email": "carl@example.com", "role": "member"});
    let late = owner.post("invitations", body).await;
    let token = late.data()["token"].as_str().expect("a token").to_owned();
    lab.clock.advance(Duration::from_secs(7 * 24 * 3600));
    let carl = lab.person("carl@example.com").await;
    let path = format!("/api/invitations/{token}/accept");
    assert_eq!(
        carl.post(&path, json!({})).await.status,
        404,
        "it has ended"
    );
}

#[tokio::test]
async fn guessing_gets_slow_for_the_address_and_the_account() {
    let lab = Lab::start_with(|config| config.limits.failures_per_minute = 5).await;
    lab.person("ann@example.com").await;
    let attempt = async |password: &str| {
        login(
            &lab,
            json!({"email": "ann@example.com", "password": password}),
        )
        .await
    };
    for _ in 0..5 {
        assert_eq!(attempt("wrong").await.0.status, 401);
    }
    let (refused, headers) = attempt(PASSWORD).await;
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"));
    let seconds = headers["retry-after"].to_str().expect("a text");
    assert!(seconds.parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    lab.clock.advance(Duration::from_secs(60));
    assert_eq!(attempt(PASSWORD).await.0.status, 200);
}

#[tokio::test]
async fn a_websocket_by_cookie_opens_for_our_own_pages_only() {
    let lab = Lab::start().await;
    let person = lab.person("ann@example.com").await;
    person
        .post("/api/workspaces", json!({"name": "Ann", "slug": "ann"}))
        .await;
    let path = "/api/workspaces/ann/projects";
    person
        .post(path, json!({"name": "shop", "image": "app:1"}))
        .await;
    let open = async |origin: Option<&str>| {
        let url = format!("ws://{}{path}/shop/live-logs", lab.api_addr());
        let mut request = url.into_client_request().expect("a request");
        let headers = request.headers_mut();
        headers.insert("Cookie", person.cookie.parse().expect("a header"));
        if let Some(origin) = origin {
            headers.insert("Origin", origin.parse().expect("a header"));
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok(_) => 101,
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(open(Some("https://evil.example")).await, 403);
    assert_eq!(open(None).await, 403);
    let own = format!("http://{}", lab.api_addr());
    assert_eq!(open(Some(&own)).await, 101);
}

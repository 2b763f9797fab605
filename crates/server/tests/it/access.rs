//! Every route of the list, called by everybody there is.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tose_model::Clock;

use crate::harness::{Client, Lab};

const ROUTES: &str =
    include_str!("../../src/http/snapshots/tose_server__http__routes__tests__routes.snap");

struct Route {
    method: Method,
    path: String,
    need: &'static str,
    is_socket: bool,
}

/// Method, path and need of each line of the golden list.
fn routes() -> Vec<Route> {
    const ID: &str = "00000000-0000-7000-8000-000000000000";
    let list = ROUTES.splitn(3, "---").nth(2).expect("a snapshot");
    list.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (method, rest) = line.split_once(' ').expect("a method");
            let (path, need) = rest.trim().split_once(" (").expect("a need");
            let path = path
                .replace("{slug}", "demo")
                .replace("{project_slug}", "shop")
                .replace("{database}", "store")
                .replace("{template_slug}", "shop")
                .replace("{repository}", "shop.git")
                .replace("{id}", ID)
                .replace("{user_id}", ID)
                .replace("{key_id}", ID)
                .replace("{token}", &"0".repeat(40))
                .replace("{badge}", "shop.svg")
                .replace("{month}", "2026-01")
                .replace("{key}", "A");
            Route {
                is_socket: method == "WS",
                method: method.replace("WS", "GET").parse().expect("a method"),
                path,
                need: need.trim_end_matches(')'),
            }
        })
        .collect()
}

/// Routes that answer nobody 200 without input, and what they answer instead.
const OPEN_ROUTES: [(&str, u16); 12] = [
    ("/api/status/", 404),
    ("/status/", 404),
    ("/api/heartbeats/", 404),
    ("/api/auth/register", 415),
    ("/api/auth/login", 415),
    ("/api/auth/password/forgot", 415),
    ("/api/auth/password/reset", 415),
    ("/webhooks/deploy/", 404),
    ("/api/webhooks/", 401),
    ("/api/payments/vnpay/", 200),
    ("/api/payments/", 401),
    ("/api/github/callback", 409),
];

async fn call(client: &Client, route: &Route) -> crate::harness::Answer {
    client.send(route.method.clone(), &route.path, None).await
}

#[tokio::test]
async fn nobody_enters_without_a_valid_key_or_with_one_of_another_workspace() {
    let lab = Lab::start().await;
    let (owner, stranger) = (lab.owner("demo").await, lab.owner("other").await);
    owner.project("shop", "app:1").await;
    let made = owner
        .post("api-keys", json!({"name": "short", "expires_in_days": 1}))
        .await;
    let expired = owner.with_key(made.data()["key"].as_str());
    let made = owner.post("api-keys", json!({"name": "revoked"})).await;
    let revoked = owner.with_key(made.data()["key"].as_str());
    for client in [&expired, &revoked] {
        assert_eq!(client.get("/api/me").await.status, 200, "valid so far");
    }
    lab.clock.advance(Duration::from_secs(24 * 3600));
    let id = made.data()["id"].as_str().expect("an id");
    assert_eq!(owner.delete(&format!("api-keys/{id}")).await.status, 200);
    let invalid = [
        ("none", lab.anonymous()),
        ("garbage", owner.with_key(Some("tose_sk_garbage"))),
        (
            "unknown",
            owner.with_key(Some(&format!("tose_sk_{}", "0".repeat(40)))),
        ),
        ("expired", expired),
        ("revoked", revoked),
    ];
    let routes = routes();
    assert!(routes.len() > 70, "the list is read");
    for route in &routes {
        let name = format!("{} {}", route.method, route.path);
        if route.need == "anybody" {
            let open = OPEN_ROUTES
                .iter()
                .find(|(path, _)| route.path.contains(path));
            let expected = open.map_or(200, |(_, status)| *status);
            assert_eq!(
                call(&lab.anonymous(), route).await.status,
                expected,
                "{name}"
            );
            continue;
        }
        for (who, client) in &invalid {
            let answer = call(client, route).await;
            assert_eq!(answer.status, 401, "{name} by {who}");
            assert_eq!(answer.code(), "unauthenticated", "{name} by {who}");
        }
        if matches!(route.need, "member" | "admin" | "owner") {
            let foreign = call(&stranger, route).await;
            let nowhere = stranger
                .send(
                    route.method.clone(),
                    &route.path.replace("/demo", "/nowhere"),
                    None,
                )
                .await;
            assert_eq!(foreign.status, 404, "{name}");
            assert_eq!(foreign, nowhere, "{name}");
        }
    }
    assert!(lab.clock.now().as_nanos() > 0);
}

#[tokio::test]
async fn each_role_passes_where_the_list_says_and_nowhere_else() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let callers = [
        ("member", lab.member(&owner, "member").await),
        ("admin", lab.member(&owner, "admin").await),
        ("owner", owner.clone()),
    ];
    let rank = |role: &str| ["member", "admin", "owner"].iter().position(|r| *r == role);
    // What deletes comes last, and an owner's own call of it not at all: others would find nothing.
    let mut routes = routes();
    routes.sort_by_key(|route| route.method == Method::DELETE);
    for route in routes.iter().filter(|route| rank(route.need).is_some()) {
        for (role, client) in &callers {
            let may = rank(role) >= rank(route.need);
            let ends_all = route.method == Method::DELETE
                && (route.path.ends_with("/demo") || route.path.ends_with("/shop"));
            if may && ends_all {
                continue;
            }
            let answer = call(client, route).await;
            let name = format!("{} {} by {role}", route.method, route.path);
            assert_eq!(answer.status == 403, !may, "{name}: {answer:?}");
            assert_ne!(answer.status, 401, "{name}");
            if route.is_socket && may {
                assert!(
                    matches!(answer.code(), "websocket_expected" | "not_found"),
                    "{name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_for_logins_or_operators_refuses_keys() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    for route in routes() {
        if matches!(route.need, "login" | "operator") {
            let answer = call(&owner, &route).await;
            assert_eq!(answer.status, 403, "{} {}", route.method, route.path);
        }
    }
}

#[tokio::test]
async fn another_workspaces_thing_answers_exactly_as_a_random_id_does() {
    let lab = Lab::start().await;
    let (owner, stranger) = (lab.owner("demo").await, lab.owner("other").await);
    let deployment = lab.live(&owner, "app:1").await;
    stranger.project("shop", "app:1").await;
    let key = owner.post("api-keys", json!({"name": "x"})).await;
    let key = key.data()["id"].as_str().expect("an id").to_owned();
    let domain = owner
        .post(
            "projects/shop/domains",
            json!({"domain": "shop.example.com"}),
        )
        .await;
    let domain = domain.data()["id"].as_str().expect("an id").to_owned();
    let invitation = owner
        .post(
            "invitations",
            json!({"email": "x@example.com", "role": "member"}),
        )
        .await;
    let invitation = invitation.data()["id"].as_str().expect("an id").to_owned();
    let body = json!({
        "name": "logs", "kind": "http", "url": "https://8.8.8.8", "enabled": false,
    });
    let drain = owner.post("projects/shop/drains", body).await;
    let drain = drain.data()["id"].as_str().expect("an id").to_owned();
    let body = json!({"name": "chat", "kind": "slack", "url": "https://8.8.8.8", "enabled": false});
    let channel = owner.post("notifications", body).await;
    let channel = channel.data()["id"].as_str().expect("an id").to_owned();
    let body = json!({
        "name": "busy", "metric": "cpu_percent", "comparison": "above", "threshold": 90, "window_seconds": 300,
    });
    let alert = owner.post("alerts", body).await;
    let alert = alert.data()["id"].as_str().expect("an id").to_owned();
    let user = owner.get("/api/me").await.data()["user_id"].clone();
    let user = user.as_str().expect("an id").to_owned();
    const RANDOM: &str = "00000000-0000-7000-8000-000000000000";
    for (method, path, id) in [
        (Method::GET, "projects/shop/deployments/ID", &deployment),
        (
            Method::GET,
            "projects/shop/deployments/ID/logs",
            &deployment,
        ),
        (
            Method::POST,
            "projects/shop/deployments/ID/stop",
            &deployment,
        ),
        (
            Method::POST,
            "projects/shop/deployments/ID/rollback",
            &deployment,
        ),
        (Method::DELETE, "api-keys/ID", &key),
        (Method::DELETE, "projects/shop/domains/ID", &domain),
        (Method::POST, "projects/shop/domains/ID/verify", &domain),
        (
            Method::DELETE,
            "projects/shop/domains/ID/certificate",
            &domain,
        ),
        (Method::DELETE, "projects/shop/drains/ID", &drain),
        (Method::POST, "projects/shop/drains/ID/test", &drain),
        (Method::GET, "notifications/ID", &channel),
        (Method::GET, "notifications/ID/deliveries", &channel),
        (Method::DELETE, "notifications/ID", &channel),
        (Method::POST, "notifications/ID/test", &channel),
        (Method::GET, "alerts/ID", &alert),
        (Method::DELETE, "alerts/ID", &alert),
        (Method::DELETE, "invitations/ID", &invitation),
        (Method::DELETE, "members/ID", &user),
    ] {
        let ask = async |id: &str| {
            let path = format!("/api/workspaces/other/{}", path.replace("ID", id));
            stranger.send(method.clone(), &path, None).await
        };
        let (theirs, random) = (ask(id).await, ask(RANDOM).await);
        assert_eq!(theirs.status, 404, "{method} {path}: {theirs:?}");
        assert_eq!(theirs, random, "{method} {path}");
    }
}

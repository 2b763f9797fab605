//! What visitors of a domain meet before the app: what owners may say, and what the proxy gets.

use serde_json::{Value, json};
use tose_model::route::{Route, Rules};
use tose_model::traffic::AccessRecord;

use crate::harness::{Client, Lab, eventually};

const HOST: &str = "demo-shop.localhost";

/// The path of the settings of a project's own domain.
async fn settings_of(client: &Client, project: &str) -> String {
    let listed = client.get(&format!("projects/{project}/domains")).await;
    let id = listed.data()[0]["id"].as_str().expect("an id").to_owned();
    format!("projects/{project}/domains/{id}/settings")
}

async fn set(client: &Client, path: &str, settings: Value) -> Value {
    let answer = client.put(path, settings).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.data()["settings"].clone()
}

/// The settings that the list of domains shows.
async fn shown(client: &Client) -> Value {
    let listed = client.get("projects/shop/domains").await;
    listed.data()[0]["settings"].clone()
}

/// Waits until the proxy has rules that `is_it` accepts.
async fn rules_are(lab: &Lab, what: &str, is_it: impl Fn(&Rules) -> bool) -> Route {
    eventually(what, async || match lab.data_plane.route(HOST) {
        Some(route) if route.rules.as_ref().is_some_and(|rules| is_it(rules)) => Ok(route),
        other => Err(format!("{other:?}")),
    })
    .await
}

async fn no_rules(lab: &Lab) -> Route {
    eventually("no rules", async || match lab.data_plane.route(HOST) {
        Some(route) if route.rules.is_none() => Ok(route),
        other => Err(format!("{other:?}")),
    })
    .await
}

#[tokio::test]
async fn all_that_is_set_reaches_the_proxy_at_once_and_is_shown_again() {
    let mut lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let api = owner.project("api", "app:1").await;
    let path = settings_of(&owner, "shop").await;
    let before = no_rules(&lab).await;
    assert_eq!(before.backends.len(), 1);
    let sent = json!({
        "allowed_ips": ["203.0.113.7/24"],
        "redirect_to": "www.example.com",
        "requests_per_second": 10,
        "users": [{"name": "ann", "password": "correct horse"}],
        "maintenance": true,
        "max_requests": 50,
        "max_body_mb": 8,
        "paths": [{"prefix": "/api", "project": "api", "strip_prefix": true}],
        "sticky": true,
        "upstream": "h2c",
        "compression": true,
        "hsts": {"max_age_days": 365, "include_subdomains": true, "preload": true},
        "maintenance_page": "<h1>soon</h1>",
        "error_page": "<h1>sorry</h1>",
        "access_log": true,
    });
    let answer = set(&owner, &path, sent.clone()).await;
    let mut expected = sent;
    expected["allowed_ips"] = json!(["203.0.113.0/24"]);
    expected["users"] = json!([{"name": "ann"}]);
    assert_eq!(answer, expected);
    assert_eq!(shown(&owner).await, expected);

    let route = rules_are(&lab, "the rules", |_| true).await;
    assert_eq!(
        route.backends, before.backends,
        "no replica came or went for it"
    );
    let mut rules = *route.rules.clone().expect("rules");
    let user = rules.users.pop().expect("a user");
    assert_eq!(user.name, "ann");
    assert!(user.accepts(b"correct horse") && !user.accepts(b"correct hors"));
    let to_api = rules.paths.pop().expect("a path");
    assert_eq!(to_api.host.as_str(), "demo-api.localhost");
    assert_eq!(json!(to_api.project_id), api["id"]);
    assert_eq!(
        (to_api.prefix.as_str(), to_api.strip_prefix),
        ("/api", true)
    );
    let rest = json!({
        "allowed_ips": ["203.0.113.0/24"],
        "redirect_to": "www.example.com",
        "requests_per_second": 10,
        "users": [],
        "maintenance": true,
        "max_requests": 50,
        "max_body_bytes": 8_388_608,
        "paths": [],
        "sticky": true,
        "upstream": "h2c",
        "compression": true,
        "hsts": {"max_age_days": 365, "include_subdomains": true, "preload": true},
        "maintenance_page": "<h1>soon</h1>",
        "error_page": "<h1>sorry</h1>",
        "access_log": true,
    });
    assert_eq!(json!(rules), rest);

    // What a server that starts anew reads is the same.
    lab.restart().await;
    let owner = owner.at(&lab);
    assert_eq!(shown(&owner).await, expected);
    let again = set(&owner, &path, json!({})).await;
    assert_eq!(again, no_settings());
    let after = no_rules(&lab).await;
    assert_eq!(after.backends, before.backends);
}

/// What a domain has of which nothing was said.
fn no_settings() -> Value {
    json!({
        "allowed_ips": [],
        "redirect_to": null,
        "requests_per_second": null,
        "users": [],
        "maintenance": false,
        "max_requests": null,
        "max_body_mb": null,
        "paths": [],
        "sticky": false,
        "upstream": "http1",
        "compression": false,
        "hsts": null,
        "maintenance_page": null,
        "error_page": null,
        "access_log": false,
    })
}

#[tokio::test]
async fn a_password_that_is_left_out_stays_and_one_that_is_given_counts() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let path = settings_of(&owner, "shop").await;
    assert_eq!(shown(&owner).await, no_settings());
    let nobody = json!({"users": [{"name": "ann"}]});
    let refused = owner.put(&path, nobody).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(
        refused.error(),
        "users.0.password: is needed: ann has none so far"
    );
    let both = json!({"users": [
        {"name": "ann", "password": "first-ann"},
        {"name": "bob", "password": "first-bob"},
    ]});
    set(&owner, &path, both).await;
    let changed = json!({"users": [
        {"name": "bob", "password": "second-bob"},
        {"name": "ann"},
    ]});
    let answer = owner.put(&path, changed).await;
    assert_eq!(
        answer.data()["settings"]["users"],
        json!([{"name": "bob"}, {"name": "ann"}])
    );
    assert!(!answer.body.to_string().contains("second-bob"));
    let accepts = |rules: &Rules, name: &str, password: &str| {
        let mut users = rules.users.iter();
        users.any(|user| user.name == name && user.accepts(password.as_bytes()))
    };
    let route = rules_are(&lab, "bob's new password", |rules| {
        accepts(rules, "bob", "second-bob")
    })
    .await;
    let rules = route.rules.expect("rules");
    assert!(accepts(&rules, "ann", "first-ann"));
    assert!(!accepts(&rules, "bob", "first-bob"));
    assert_eq!(rules.users.len(), 2);

    // Who was left out has no password any more.
    set(&owner, &path, json!({"users": [{"name": "bob"}]})).await;
    let back = json!({"users": [{"name": "bob"}, {"name": "ann"}]});
    assert_eq!(owner.put(&path, back).await.status, 400);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_the_field() {
    let lab = Lab::start().await;
    let (owner, other) = (lab.owner("demo").await, lab.owner("other").await);
    owner.project("shop", "app:1").await;
    other.project("theirs", "app:1").await;
    let path = settings_of(&owner, "shop").await;
    for (settings, words) in [
        (json!({"redirect_to": HOST}), "redirect_to: is this domain"),
        (json!({"redirect_to": "no name"}), "redirect_to"),
        (json!({"requests_per_second": 0}), "requests_per_second: "),
        (json!({"max_requests": 100_001}), "max_requests: "),
        (json!({"max_body_mb": 0}), "max_body_mb: "),
        (json!({"allowed_ips": ["example.com"]}), "allowed_ips"),
        (
            json!({"users": [{"name": "a:b", "password": "long enough"}]}),
            "users.0.name: ",
        ),
        (
            json!({"users": [{"name": "ann", "password": "short"}]}),
            "users.0.password: ",
        ),
        (
            json!({"paths": [{"prefix": "/api/", "project": "theirs"}]}),
            "paths.0.prefix: ",
        ),
        (
            json!({"paths": [{"prefix": "/api", "project": "theirs"}]}),
            "paths.0.project: the workspace has no project theirs",
        ),
        (
            json!({"paths": [{"prefix": "/api", "project": "shop"}]}),
            "paths.0.project: shop has the domain already",
        ),
        (
            json!({"hsts": {"max_age_days": 30, "preload": true}}),
            "hsts.preload: ",
        ),
        (json!({"error_page": ""}), "error_page: "),
        (json!({"upstream": "http2"}), "upstream"),
        (json!({"unheard_of": true}), "unheard_of"),
    ] {
        let refused = owner.put(&path, settings.clone()).await;
        assert_eq!(refused.status, 400, "{settings}: {refused:?}");
        assert!(refused.error().contains(words), "{settings}: {refused:?}");
    }
    assert_eq!(shown(&owner).await, no_settings());
    let theirs = format!("/api/workspaces/other/{path}").replace("shop", "theirs");
    assert_eq!(other.put(&theirs, json!({})).await.status, 404);
    let member = lab.member(&owner, "member").await;
    assert_eq!(member.put(&path, json!({})).await.status, 403);
}

#[tokio::test]
async fn redirects_that_lead_back_are_refused() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let mut paths = Vec::new();
    for slug in ["a", "b", "c"] {
        owner.project(slug, "app:1").await;
        paths.push(settings_of(&owner, slug).await);
    }
    let to = |slug: &str| json!({"redirect_to": format!("demo-{slug}.localhost")});
    set(&owner, &paths[0], to("b")).await;
    set(&owner, &paths[1], to("c")).await;
    for slug in ["a", "b"] {
        let refused = owner.put(&paths[2], to(slug)).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        let words = "redirect_to: leads in a circle";
        assert!(refused.error().starts_with(words), "{refused:?}");
    }
    // Where the circle is open it may be closed elsewhere.
    set(&owner, &paths[1], json!({})).await;
    set(&owner, &paths[2], to("a")).await;
    set(&owner, &paths[2], json!({"redirect_to": "example.com"})).await;
}

#[tokio::test]
async fn a_path_leads_to_its_project_and_not_to_a_new_one_of_the_same_name() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    owner.project("api", "app:1").await;
    let path = settings_of(&owner, "shop").await;
    let to_api = json!({"paths": [{"prefix": "/api", "project": "api"}]});
    set(&owner, &path, to_api.clone()).await;
    rules_are(&lab, "the path", |rules| rules.paths.len() == 1).await;
    assert_eq!(owner.delete("projects/api").await.status, 200);
    assert_eq!(shown(&owner).await, no_settings());
    eventually("the name is free", async || {
        let body = json!({"name": "api", "slug": "api", "image": "app:1"});
        match owner.post("projects", body).await.status {
            201 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    assert_eq!(shown(&owner).await, no_settings());
    // Whatever routes the project next leaves the path out.
    assert_eq!(
        owner.post("projects/shop/stop", json!({})).await.status,
        200
    );
    no_rules(&lab).await;
    let answer = set(&owner, &path, to_api).await;
    assert_eq!(answer["paths"][0]["project"], json!("api"));
    rules_are(&lab, "the new path", |rules| rules.paths.len() == 1).await;
}

#[tokio::test]
async fn requests_are_written_into_the_log_of_a_project_that_wants_it() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let shop = owner.project("shop", "app:1").await;
    let path = settings_of(&owner, "shop").await;
    let record = AccessRecord {
        project_id: serde_json::from_value(shop["id"].clone()).expect("an id"),
        ended_us_ago: 0,
        address: [203, 0, 113, 9].into(),
        method: "GET".to_owned(),
        host: HOST.to_owned(),
        path: "/wanted".to_owned(),
        status: 200,
        sent_bytes: 5,
        took_us: 1_500,
        referer: None,
        user_agent: None,
    };
    lab.data_plane
        .records
        .lock()
        .expect("no panic")
        .push(record);
    set(&owner, &path, json!({"access_log": true})).await;
    let line = "method=GET host=\"demo-shop.localhost\" path=\"/wanted\" status=200 bytes=5 ms=1.500 address=203.0.113.9";
    crate::liveness::log_has(&lab, &owner, line).await;
}

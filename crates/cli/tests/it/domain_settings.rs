//! `tose domains settings`.

use std::io::Write;

use insta::assert_snapshot;
use tose_api::domain::{DomainStatus, DomainView};

use crate::domains::{default_domain, own_domain};
use crate::harness::Sandbox;
use crate::prompt;
use crate::stand_in::{StandIn, failure, success};
use crate::terminal::{read_until, terminal};

/// A project whose own domain has settings, and takes others.
fn server_with_settings() -> StandIn {
    StandIn::start(|method, path, _| {
        let settings = serde_json::json!({
            "allowed_ips": ["203.0.113.0/24"],
            "redirect_to": "www.example.com",
            "requests_per_second": 10,
            "users": [{"name": "ann"}],
            "max_body_mb": 8,
            "paths": [
                {"prefix": "/api", "project": "backend"},
                {"prefix": "/docs", "project": "manual", "strip_prefix": true},
            ],
            "upstream": "h2c",
            "hsts": {"max_age_days": 365, "include_subdomains": true},
            "maintenance": true,
            "maintenance_page": "<h1>soon</h1>",
            "access_log": true,
        });
        let domain = DomainView {
            settings: serde_json::from_value(settings).expect("settings"),
            ..own_domain(DomainStatus::Active)
        };
        match (method, path.rsplit('/').next()) {
            ("GET", _) => success(vec![default_domain(), domain]),
            ("PUT", Some("settings")) => success(domain),
            _ => failure(404, "not_found", path),
        }
    })
}

#[test]
fn settings_are_shown_under_the_names_of_the_options() {
    let server = server_with_settings();
    let sandbox = Sandbox::linked(&server);
    let words = ["domains", "settings", "app.example.com"];
    assert_snapshot!(sandbox.run(&words), @"
    exit: 0
    ----- stdout -----
    app.example.com
    allow             203.0.113.0/24
    redirect-to       www.example.com
    rate              10 a second
    user              ann
    maintenance       on
    max-body          8 MiB
    path              /api=backend
    strip-path        /docs=manual
    upstream          h2c
    hsts              365 days
    hsts-subdomains   on
    maintenance-page  13 B
    access-log        on

    ----- stderr -----
    ");
    assert_snapshot!(sandbox.run(&["domains", "settings", "demo-hello.example.net"]), @"
    exit: 0
    ----- stdout -----
    demo-hello.example.net  nothing is set

    ----- stderr -----
    ");
    let shown = sandbox.run(&[&words[..], &["--json"]].concat()).ok().stdout;
    let shown: DomainView = serde_json::from_str(&shown).expect("a domain");
    assert_eq!(shown.settings.requests_per_second, Some(10));
}

#[test]
fn an_option_changes_its_setting_and_leaves_the_others() {
    let server = server_with_settings();
    let sandbox = Sandbox::linked(&server);
    let words = [
        "domains",
        "settings",
        "app.example.com",
        "--redirect-to",
        "none",
        "--user",
        "bob",
        "--password-stdin",
        "--remove-path",
        "/docs",
        "--maintenance",
        "off",
    ];
    let shown = sandbox.run_with_input(&words, "s3cret-of-bob\n").ok();
    assert!(!shown.to_string().contains("s3cret"), "{shown}");
    let sent = server.requests().pop().expect("a request");
    assert_eq!(
        (sent.method.as_str(), sent.path.as_str()),
        (
            "PUT",
            "/api/workspaces/demo/projects/hello/domains/0198c0de-0000-7000-8000-0000000000d1/settings"
        )
    );
    let body: serde_json::Value = serde_json::from_str(&sent.body).expect("JSON");
    assert_snapshot!(serde_json::to_string_pretty(&body).expect("JSON"), @r#"
    {
      "access_log": true,
      "allowed_ips": [
        "203.0.113.0/24"
      ],
      "compression": false,
      "error_page": null,
      "hsts": {
        "include_subdomains": true,
        "max_age_days": 365,
        "preload": false
      },
      "maintenance": false,
      "maintenance_page": "<h1>soon</h1>",
      "max_body_mb": 8,
      "max_requests": null,
      "paths": [
        {
          "prefix": "/api",
          "project": "backend",
          "strip_prefix": false
        }
      ],
      "redirect_to": null,
      "requests_per_second": 10,
      "sticky": false,
      "upstream": "h2c",
      "users": [
        {
          "name": "ann"
        },
        {
          "name": "bob",
          "password": "s3cret-of-bob"
        }
      ]
    }
    "#);
}

#[test]
fn passwords_are_asked_for_or_come_one_a_line() {
    let server = server_with_settings();
    let sandbox = Sandbox::linked(&server);
    let words = ["domains", "settings", "app.example.com", "--user", "bob"];
    assert_snapshot!(sandbox.run(&words), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: give the passwords with --password-stdin, one a line
    ");
    let words = [&words[..], &["--user", "eve", "--password-stdin"]].concat();
    assert_snapshot!(sandbox.run_with_input(&words, "only-one-line\n"), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: stdin has 1 lines for 2 users: give one password a line
    ");
    assert!(server.requests().iter().all(|sent| sent.method == "GET"));
}

#[test]
fn a_setting_that_is_not_there_cannot_be_removed() {
    let server = server_with_settings();
    let sandbox = Sandbox::linked(&server);
    let words = ["domains", "settings", "app.example.com", "--remove-user"];
    assert_snapshot!(sandbox.run(&[&words[..], &["bob"]].concat()), @"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    error: there is no user `bob`: see with `tose domains settings DOMAIN` what there is
    ");
}

#[test]
fn a_typed_password_is_not_shown() {
    let server = server_with_settings();
    let sandbox = Sandbox::linked(&server);
    let (mut person, program) = terminal();
    let words = ["domains", "settings", "app.example.com", "--user", "bob"];
    let child = prompt::start(&sandbox, &words, program);
    read_until(&mut person, "Password for bob: ");
    write!(person, "s3cret-of-bob\r").expect("the binary reads");
    let after = read_until(&mut person, "\n");
    assert!(!after.contains("s3cret"), "{after}");
    sandbox.wait(child).ok();
    let sent = server.requests().pop().expect("a request");
    let user = r#"{"name":"bob","password":"s3cret-of-bob"}"#;
    assert!(sent.body.contains(user), "{}", sent.body);
}

//! `tose domains`.

use insta::assert_snapshot;
use tose_api::domain::{
    CertificateSource, DnsRecord, DomainStatus, DomainView, HttpsStatus, HttpsView,
};
use tose_api::domain_settings::DomainSettings;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::time;

fn https(status: HttpsStatus) -> HttpsView {
    let is_active = status == HttpsStatus::Active;
    HttpsView {
        status,
        reason: (!is_active).then(|| "this server orders no certificate for it".to_owned()),
        source: is_active.then_some(CertificateSource::Acme),
        expires_at: is_active.then(|| time(9_000_000)),
    }
}

pub(crate) fn default_domain() -> DomainView {
    DomainView {
        id: "0198c0de-0000-7000-8000-0000000000d0"
            .parse()
            .expect("an id"),
        domain: "demo-hello.example.net".parse().expect("a name"),
        status: DomainStatus::Active,
        reason: None,
        is_default: true,
        https: https(HttpsStatus::Active),
        settings: DomainSettings::default(),
        dns_records: Vec::new(),
        created_at: time(0),
        checked_at: None,
    }
}

pub(crate) fn own_domain(status: DomainStatus) -> DomainView {
    let record = |record_type: &str, name: &str, value: &str| DnsRecord {
        record_type: record_type.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        purpose: "proves that the name is yours".to_owned(),
    };
    let reason = "none of its DNS records was found";
    DomainView {
        id: "0198c0de-0000-7000-8000-0000000000d1"
            .parse()
            .expect("an id"),
        domain: "app.example.com".parse().expect("a name"),
        status,
        reason: (status != DomainStatus::Active).then(|| reason.to_owned()),
        is_default: false,
        https: https(HttpsStatus::Off),
        settings: DomainSettings::default(),
        dns_records: vec![
            record("CNAME", "app.example.com", "demo-hello.example.net"),
            record("TXT", "_tose.app.example.com", "tose=0123"),
        ],
        created_at: time(1_000),
        checked_at: Some(time(2_000)),
    }
}

/// A project with its own domain besides the default one.
fn server(verified: DomainStatus) -> StandIn {
    StandIn::start(move |method, path, _| {
        let pending = own_domain(DomainStatus::Pending);
        match (method, path.rsplit('/').next()) {
            ("GET", _) => success(vec![default_domain(), pending]),
            ("POST", Some("domains")) => success(pending),
            ("POST", Some("verify")) => success(own_domain(verified)),
            ("PUT" | "DELETE", Some("certificate")) => success(own_domain(verified)),
            ("DELETE", Some(id)) => success(serde_json::json!({ "deleted": id })),
            _ => failure(404, "not_found", path),
        }
    })
}

#[test]
fn domains_are_listed_with_what_is_wrong() {
    let server = server(DomainStatus::Active);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["domains"]), @"
    exit: 0
    ----- stdout -----
    DOMAIN                  STATUS   HTTPS   ADDED                 CHECKED               NOTE
    demo-hello.example.net  active   active  2026-01-01T00:00:00Z  -                     given by the platform
    app.example.com         pending  off     2026-01-01T00:00:01Z  2026-01-01T00:00:02Z  none of its DNS records was found

    ----- stderr -----
    ");
    let listed = sandbox.run(&["domains", "list", "--json"]).ok().stdout;
    let listed: Vec<DomainView> = serde_json::from_str(&listed).expect("domains");
    assert_eq!(listed[0], default_domain());
}

#[test]
fn a_new_domain_shows_the_records_to_set() {
    let server = server(DomainStatus::Active);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["domains", "add", "app.example.com"]), @"
    exit: 0
    ----- stdout -----
    app.example.com  pending
    none of its DNS records was found

    TYPE   NAME                   VALUE                   PURPOSE
    CNAME  app.example.com        demo-hello.example.net  proves that the name is yours
    TXT    _tose.app.example.com  tose=0123               proves that the name is yours

    ----- stderr -----
    set one of these DNS records, then run `tose domains verify app.example.com`
    ");
    assert_snapshot!(server.transcript(), @r#"POST /api/workspaces/demo/projects/hello/domains {"domain":"app.example.com"}"#);
}

#[test]
fn a_verified_domain_needs_nothing_more() {
    let server = server(DomainStatus::Active);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["domains", "verify", "app.example.com"]), @"
    exit: 0
    ----- stdout -----
    app.example.com  active
    HTTPS  off: this server orders no certificate for it

    ----- stderr -----
    ");
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello/domains
    POST /api/workspaces/demo/projects/hello/domains/0198c0de-0000-7000-8000-0000000000d1/verify
    ");
}

#[test]
fn a_domain_is_removed_by_its_name() {
    let server = server(DomainStatus::Pending);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["domains", "remove", "app.example.com"]), @"
    exit: 0
    ----- stdout -----
    removed app.example.com

    ----- stderr -----
    ");
    assert_snapshot!(sandbox.run(&["domains", "remove", "b.example.com"]), @"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    error: the project has no domain `b.example.com`: see with `tose domains` what it has
    ");
    assert_snapshot!(sandbox.run(&["domains", "remove", "no name"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value 'no name' for '<DOMAIN>': a host name holds only a-z, 0-9, - and dots

    For more information, try '--help'.
    ");
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/projects/hello/domains
    DELETE /api/workspaces/demo/projects/hello/domains/0198c0de-0000-7000-8000-0000000000d1
    GET /api/workspaces/demo/projects/hello/domains
    ");
}

#[test]
fn a_certificate_is_brought_as_two_files_and_taken_back() {
    let server = server(DomainStatus::Active);
    let sandbox = Sandbox::linked(&server);
    std::fs::write(sandbox.file("cert.pem"), "the chain\n").expect("a file");
    std::fs::write(sandbox.file("key.pem"), "the key\n").expect("a file");
    let words = ["domains", "certificate", "app.example.com"];
    let files = [
        "--certificate-file",
        "cert.pem",
        "--private-key-file",
        "key.pem",
    ];
    let set = sandbox.run(&[&words[..], &files[..]].concat()).ok();
    assert!(
        set.stdout.starts_with("app.example.com  active\nHTTPS  "),
        "{}",
        set.stdout
    );
    sandbox.run(&[&words[..], &["--remove"]].concat()).ok();
    assert_snapshot!(sandbox.run(&words), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the following required arguments were not provided:
      --certificate-file <FILE>

    Usage: tose domains certificate --certificate-file <FILE> <DOMAIN>

    For more information, try '--help'.
    ");
    let calls = server.transcript();
    let calls: Vec<_> = calls
        .lines()
        .filter(|call| !call.starts_with("GET"))
        .collect();
    let path = "/api/workspaces/demo/projects/hello/domains/0198c0de-0000-7000-8000-0000000000d1/certificate";
    let body = r#"{"certificate":"the chain\n","private_key":"the key\n"}"#;
    assert_eq!(
        calls,
        [format!("PUT {path} {body}"), format!("DELETE {path}")]
    );
}

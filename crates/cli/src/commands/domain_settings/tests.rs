//! What options make of settings.

use super::*;

use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: SettingsArgs,
}

fn parse(words: &[&str]) -> Result<SettingsArgs, clap::Error> {
    let line = ["settings", "a.example.com"].into_iter();
    Line::try_parse_from(line.chain(words.iter().copied())).map(|line| line.args)
}

/// What `words` make of `before`, with the passwords `password-0`, `password-1`, …
fn applied(before: &DomainSettings, words: &[&str]) -> Result<DomainSettings> {
    let changes = parse(words).expect("options").changes;
    let passwords = (0..changes.user.len()).map(|number| format!("password-{number}"));
    let mut settings = before.clone();
    changes.apply(&mut settings, passwords.collect())?;
    Ok(settings)
}

fn read(json: serde_json::Value) -> DomainSettings {
    serde_json::from_value(json).expect("settings")
}

#[test]
fn each_option_changes_its_setting_and_its_word_takes_it_away() {
    use serde_json::json;
    let dir = tempfile::tempdir().expect("a folder");
    let page = dir.path().join("page.html");
    std::fs::write(&page, "<h1>Back soon</h1>").expect("a file");
    let page = page.to_str().expect("text");
    let check = |words: &[&str], off: &[&str], expected: serde_json::Value| {
        let set = applied(&DomainSettings::default(), words).expect("applied");
        assert_eq!(set, read(expected), "{words:?}");
        let cleared = applied(&set, off).expect("applied");
        assert_eq!(cleared, DomainSettings::default(), "{off:?}");
    };
    check(
        &["--redirect-to", "example.com"],
        &["--redirect-to", "none"],
        json!({"redirect_to": "example.com"}),
    );
    check(
        &["--allow", "203.0.113.0/24", "--allow", "2001:db8::1"],
        &["--allow", "any"],
        json!({"allowed_ips": ["203.0.113.0/24", "2001:db8::1"]}),
    );
    check(
        &["--user", "ann", "--user", "bob"],
        &["--remove-user", "ann", "--remove-user", "bob"],
        json!({"users": [
            {"name": "ann", "password": "password-0"},
            {"name": "bob", "password": "password-1"},
        ]}),
    );
    check(
        &["--rate", "10", "--max-requests", "50", "--max-body", "8"],
        &[
            "--rate",
            "off",
            "--max-requests",
            "off",
            "--max-body",
            "off",
        ],
        json!({"requests_per_second": 10, "max_requests": 50, "max_body_mb": 8}),
    );
    check(
        &["--path", "/api=backend", "--strip-path", "/docs=manual"],
        &["--remove-path", "/api", "--remove-path", "/docs"],
        json!({"paths": [
            {"prefix": "/api", "project": "backend"},
            {"prefix": "/docs", "project": "manual", "strip_prefix": true},
        ]}),
    );
    check(
        &["--sticky", "on", "--upstream", "h2c", "--compression", "on"],
        &[
            "--sticky",
            "off",
            "--upstream",
            "http1",
            "--compression",
            "off",
        ],
        json!({"sticky": true, "upstream": "h2c", "compression": true}),
    );
    check(
        &[
            "--hsts",
            "365",
            "--hsts-subdomains",
            "on",
            "--hsts-preload",
            "on",
        ],
        &["--hsts", "off"],
        json!({"hsts": {"max_age_days": 365, "include_subdomains": true, "preload": true}}),
    );
    check(
        &[
            "--maintenance",
            "on",
            "--maintenance-page",
            page,
            "--error-page",
            page,
        ],
        &[
            "--maintenance",
            "off",
            "--maintenance-page",
            "none",
            "--error-page",
            "none",
        ],
        json!({
            "maintenance": true,
            "maintenance_page": "<h1>Back soon</h1>",
            "error_page": "<h1>Back soon</h1>",
        }),
    );
    check(
        &["--access-log", "on"],
        &["--access-log", "off"],
        json!({"access_log": true}),
    );
}

#[test]
fn what_is_not_named_stays() {
    use serde_json::json;
    let before = read(json!({
        "users": [{"name": "ann"}, {"name": "bob"}],
        "paths": [{"prefix": "/api", "project": "old"}, {"prefix": "/x", "project": "y"}],
        "hsts": {"max_age_days": 30, "include_subdomains": true},
        "sticky": true,
    }));
    let words = ["--user", "ann", "--strip-path", "/api=new", "--hsts", "60"];
    let after = read(json!({
        "users": [{"name": "ann", "password": "password-0"}, {"name": "bob"}],
        "paths": [
            {"prefix": "/api", "project": "new", "strip_prefix": true},
            {"prefix": "/x", "project": "y"},
        ],
        "hsts": {"max_age_days": 60, "include_subdomains": true},
        "sticky": true,
    }));
    assert_eq!(applied(&before, &words).expect("applied"), after);
    assert_eq!(applied(&before, &[]).expect("applied"), before);
}

#[test]
fn what_is_not_there_cannot_be_removed_or_refined() {
    for words in [
        ["--remove-user", "ann"],
        ["--remove-path", "/api"],
        ["--hsts-subdomains", "on"],
        ["--maintenance-page", "no-such-file"],
    ] {
        let refused = applied(&DomainSettings::default(), &words);
        assert!(refused.is_err(), "{words:?}");
    }
}

#[test]
fn values_that_are_none_are_refused_before_anything_is_sent() {
    for words in [
        ["--redirect-to", "no name"],
        ["--allow", "example.com"],
        ["--rate", "many"],
        ["--path", "/api"],
        ["--path", "/api=No Slug"],
        ["--sticky", "yes"],
        ["--upstream", "http2"],
        ["--hsts", "-1"],
    ] {
        assert!(parse(&words).is_err(), "{words:?}");
    }
    assert!(parse(&["--password-stdin"]).is_err());
}

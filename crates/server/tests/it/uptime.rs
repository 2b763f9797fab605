//! Uptime: checks, what they make of a project, and who is told.

mod certificate;
mod heartbeat;
mod limits;
mod maintenance;
mod proxy;
pub(crate) mod site;
mod status_page;

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tose_server::config::{Config, Listen, Smtp, SmtpTls};
use tose_testkit::Program;

use crate::harness::{Client, Lab, eventually};
use site::{Behaviour, Mailbox, Site};

const UPTIME: &str = "projects/shop/uptime";
const CHECKS: &str = "projects/shop/uptime/checks";
/// The shortest interval; tests move the clock by it.
const INTERVAL: Duration = Duration::from_secs(10);

/// Sites of tests are on loopback.
fn reach_loopback(config: &mut Config) {
    config.drains.allow_private = true;
}

/// A server with the project `shop`, which is live.
async fn shop(configure: impl Fn(&mut Config) + Send + Sync + 'static) -> (Lab, Client) {
    let lab = Lab::start_with(configure).await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    (lab, owner)
}

async fn set(owner: &Client, body: Value) -> Value {
    let answer = owner.put(UPTIME, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.data().clone()
}

/// Checks `url` again and again from now on.
async fn watch(owner: &Client, url: &str) -> Value {
    let body = json!({"enabled": true, "check_url": url, "check_interval_sec": 10});
    set(owner, body).await
}

async fn uptime_is(owner: &Client, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || {
        let view = owner.get(UPTIME).await.data().clone();
        match is(&view) {
            true => Ok(view),
            false => Err(view.to_string()),
        }
    })
    .await
}

async fn has_status(owner: &Client, status: &str) -> Value {
    uptime_is(owner, status, |view| view["status"] == status).await
}

/// Waits until so many checks are written.
async fn checks(owner: &Client, count: usize) -> Vec<Value> {
    eventually(&format!("{count} checks"), async || {
        let answer = owner.get(CHECKS).await;
        let checks = answer.data().as_array().expect("a list").clone();
        match checks.len() == count {
            true => Ok(checks),
            false => Err(answer.body.to_string()),
        }
    })
    .await
}

/// The lines of the project's log with these words.
async fn log_lines(lab: &Lab, owner: &Client, words: &str) -> usize {
    let path = "live-logs?follow=false&tail=1000";
    let read = crate::log_socket::read(lab, path, owner.key.as_deref());
    let (lines, _) = read.await.expect("a log");
    lines.iter().filter(|line| line.contains(words)).count()
}

#[tokio::test]
async fn a_project_is_asked_for_by_its_own_name_at_this_servers_proxy() {
    let (proxy, secure) = (Site::start().await, Site::start_with_tls().await);
    let (addr, secure_addr) = (proxy.addr, secure.addr);
    let (lab, owner) = shop(move |config| {
        config.http_addr = Listen::On(addr);
        config.https_addr = Listen::On(secure_addr);
    })
    .await;
    let before = owner.get(UPTIME).await.data().clone();
    assert_eq!(before["enabled"], json!(false));
    assert_eq!(before["status"], "paused");
    assert_eq!(before["uptime"]["h24"], Value::Null);
    let url = format!("http://demo-shop.localhost:{}/", addr.port());
    assert_eq!(before["check_url"], json!(url));
    set(&owner, json!({"enabled": true})).await;
    let up = has_status(&owner, "up").await;
    assert_eq!(up["uptime"]["h24"], "100.000");
    assert_eq!(up["uptime"]["d90"], "100.000");
    assert_eq!(up["since"], json!("2026-01-01T00:00:00Z"));
    assert_eq!(up["last_checked_at"], json!("2026-01-01T00:00:00Z"));
    assert!(up["last_response_ms"].is_u64(), "{up}");
    let request = proxy.is_asked(1).await.remove(0);
    assert!(request.starts_with("GET / HTTP/1.1\r\n"), "{request}");
    let host = format!("host: demo-shop.localhost:{}\r\n", addr.port());
    assert!(request.contains(&host), "{request}");
    let check = checks(&owner, 1).await.remove(0);
    assert_eq!(
        (&check["ok"], &check["status_code"]),
        (&json!(true), &json!(200))
    );
    assert_eq!(check["reason"], Value::Null);
    let named = json!({"check_url": format!("http://demo-shop.localhost:{}/x?y=1", addr.port())});
    lab.clock.advance(Duration::from_secs(1));
    set(&owner, named).await;
    let request = proxy.is_asked(2).await.remove(1);
    assert!(request.starts_with("GET /x?y=1 HTTP/1.1"), "{request}");
    // What a check found by settings that were changed meanwhile does not count.
    checks(&owner, 2).await;
    lab.clock.advance(Duration::from_secs(1));
    set(&owner, json!({"check_url": "https://demo-shop.localhost/"})).await;
    let newest = checks(&owner, 3).await.remove(0);
    let reason = "its certificate is not trusted, or is for another name";
    assert_eq!(newest["reason"], reason, "visitors would see that too");
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_incident_opens_once_closes_once_and_people_are_told_of_both() {
    let (site, discord) = (Site::start().await, Site::start().await);
    let mailbox = Mailbox::start().await;
    let port = mailbox.port;
    let (lab, owner) = shop(move |config| {
        reach_loopback(config);
        config.smtp = Some(Smtp {
            host: "127.0.0.1".to_owned(),
            port,
            tls: SmtpTls::None,
            credentials: None,
            from: "TOSE <tose@example.com>".to_owned(),
        });
    })
    .await;
    site.behave(Behaviour::SICK);
    let told = json!({
        "discord_webhook_url": format!("{}hook/s3cret", discord.url()),
        "notify_email": "ops@example.com",
    });
    set(&owner, told).await;
    watch(&owner, &site.url()).await;
    checks(&owner, 1).await;
    let view = owner.get(UPTIME).await.data().clone();
    assert_eq!(view["status"], "unknown", "one failure is none");
    lab.clock.advance(INTERVAL);
    let down = has_status(&owner, "down").await;
    assert_eq!(down["reason"], "it answered 500");
    assert_eq!(down["since"], json!("2026-01-01T00:00:10Z"));
    assert_eq!(down["uptime"]["h24"], "0.000");
    lab.clock.advance(INTERVAL);
    checks(&owner, 3).await;
    site.behave(Behaviour::WELL);
    lab.clock.advance(INTERVAL);
    let up = has_status(&owner, "up").await;
    let incident = json!({
        "started_at": "2026-01-01T00:00:10Z", "ended_at": "2026-01-01T00:00:30Z",
        "reason": "it answered 500",
    });
    assert_eq!(up["incidents"], json!([incident]));
    assert_eq!(up["uptime"]["h24"], "25.000");
    let posts = discord.is_asked(2).await;
    let mails = mailbox.has(2).await;
    assert_eq!((posts.len(), mails.len()), (2, 2));
    for (post, words) in [
        (&posts[0], "demo/shop is down\\\\: it answered 500"),
        (&posts[1], "demo/shop is up again, after 20 s"),
    ] {
        assert!(post.starts_with("POST /hook/s3cret "), "{post}");
        assert!(post.contains(words), "{post}");
        assert!(
            post.contains(r#""allowed_mentions":{"parse":[]}"#),
            "{post}"
        );
    }
    assert!(mails[0].contains("demo/shop is down") && mails[0].contains("ops@example.com"));
    assert!(mails[1].contains("demo/shop is up again"), "{}", mails[1]);
    assert_eq!(log_lines(&lab, &owner, "is down: it answered 500").await, 1);
    assert_eq!(log_lines(&lab, &owner, "is up again").await, 1);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_webhook_that_takes_nothing_is_tried_for_a_day() {
    let (site, discord) = (Site::start().await, Site::start().await);
    let (lab, owner) = shop(reach_loopback).await;
    site.behave(Behaviour::SICK);
    discord.behave(Behaviour::SICK);
    let told = json!({"discord_webhook_url": discord.url(), "failures_before_down": 1});
    set(&owner, told).await;
    set(&owner, json!({"enabled": true, "check_url": site.url()})).await;
    let words = "the Discord webhook took no message";
    eventually(words, async || {
        // Its pauses are by the platform's clock.
        lab.clock.advance(Duration::from_secs(600));
        match log_lines(&lab, &owner, words).await {
            1 => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
    let tries = discord.requests().len();
    assert!((3..=30).contains(&tries), "{tries} tries");
}

#[tokio::test]
async fn why_a_check_fails_is_said_in_fixed_words() {
    let (site, secure) = (Site::start().await, Site::start_with_tls().await);
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let closed = closed.expect("a port").local_addr().expect("its address");
    let (lab, owner) = shop(reach_loopback).await;
    let own = site.url();
    let moved = Behaviour::Answer("302 Found", "location: http://127.0.0.1:9/\r\n", "");
    let long = "it did not answer within 150 ms";
    let missing = "the keyword is not in the first 64 KiB of its answer";
    let certificate = "its certificate is not trusted, or is for another name";
    let nobody = "no connection to it came about";
    let secure_url = format!("https://localhost:{}/", secure.addr.port());
    let closed_url = format!("http://{closed}/");
    let (open_port, closed_port) = (format!("tcp://{}", site.addr), format!("tcp://{closed}"));
    let cases: [(&str, Behaviour, Value, Option<&str>); 13] = [
        (&own, Behaviour::WELL, json!({}), None),
        (
            &own,
            Behaviour::Answer("404 No", "", ""),
            json!({}),
            Some("it answered 404"),
        ),
        (&own, moved.clone(), json!({}), None),
        (
            &own,
            moved,
            json!({"expected_status": "2xx"}),
            Some("it answered 302"),
        ),
        (&own, Behaviour::WELL, json!({"keyword": "is well"}), None),
        (
            &own,
            Behaviour::WELL,
            json!({"keyword": "is sick"}),
            Some(missing),
        ),
        (
            &own,
            Behaviour::Endless,
            json!({"keyword": "is sick"}),
            Some(missing),
        ),
        (
            &own,
            Behaviour::Silent,
            json!({"keyword": "", "timeout_ms": 150}),
            Some(long),
        ),
        (
            &own,
            Behaviour::HangUp,
            json!({"timeout_ms": 10000}),
            Some("the connection broke"),
        ),
        (&closed_url, Behaviour::WELL, json!({}), Some(nobody)),
        (&secure_url, Behaviour::WELL, json!({}), Some(certificate)),
        (&open_port, Behaviour::WELL, json!({}), None),
        (&closed_port, Behaviour::WELL, json!({}), Some(nobody)),
    ];
    for (number, (url, behaviour, mut body, reason)) in cases.into_iter().enumerate() {
        site.behave(behaviour);
        body["enabled"] = json!(true);
        body["check_url"] = json!(url);
        // Each is a check of its own time.
        lab.clock.advance(Duration::from_secs(1));
        set(&owner, body).await;
        let newest = checks(&owner, number + 1).await.remove(0);
        assert_eq!(newest["ok"], json!(reason.is_none()), "{number}: {newest}");
        assert_eq!(newest["reason"], json!(reason), "{number}: {newest}");
        assert!(!newest.to_string().contains("secret"), "{newest}");
    }
    assert_eq!(secure.requests().len(), 0);
}

#[tokio::test]
async fn addresses_that_are_not_public_are_never_connected_to() {
    let canary = Site::start().await;
    let is_open = Arc::new(AtomicBool::new(false));
    let reach = Arc::clone(&is_open);
    let (mut lab, owner) =
        shop(move |config| config.drains.allow_private = reach.load(Ordering::SeqCst)).await;
    let port = canary.addr.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        for scheme in ["http", "https", "tcp"] {
            let body = json!({"enabled": true, "check_url": format!("{scheme}://{host}:{port}/")});
            let refused = owner.put(UPTIME, body).await;
            assert_eq!(refused.status, 400, "{scheme} {host}: {refused:?}");
            let problem = refused.body["fields"]["check_url"].as_str().expect("one");
            assert!(problem.contains("not public"), "{problem}");
        }
        let body = json!({"discord_webhook_url": format!("https://{host}:{port}/")});
        let refused = owner.put(UPTIME, body).await;
        assert_eq!(refused.status, 400, "{host}: {refused:?}");
    }
    // What could be named once is not called when it may be called no more.
    is_open.store(true, Ordering::SeqCst);
    lab.restart().await;
    let owner = owner.at(&lab);
    let body = json!({"check_url": canary.url(), "check_interval_sec": 10, "failures_before_down": 1,
        "discord_webhook_url": canary.url()});
    set(&owner, body).await;
    is_open.store(false, Ordering::SeqCst);
    lab.restart().await;
    let owner = owner.at(&lab);
    set(&owner, json!({"enabled": true, "timeout_ms": 500})).await;
    let down = has_status(&owner, "down").await;
    let reason = "its address is not public, and this server calls no other ones";
    assert_eq!(down["reason"], reason);
    crate::liveness::log_has(&lab, &owner, "is down").await;
    // The webhook is as little called as the site.
    eventually("the webhook is given up", async || {
        lab.clock.advance(Duration::from_millis(500));
        match log_lines(&lab, &owner, "took no message").await {
            1 => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn what_is_not_sent_stays_and_secrets_are_not_shown() {
    let (_lab, owner) = shop(reach_loopback).await;
    let body = json!({
        "check_interval_sec": 30, "expected_status": "200, 404", "keyword": "well",
        "timeout_ms": 500, "failures_before_down": 3,
        "discord_webhook_url": "http://127.0.0.1:9/api/webhooks/1/t0ken",
    });
    let first = set(&owner, body).await;
    assert_eq!(first["expected_status"], "200,404");
    assert_eq!(first["discord_webhook_url"], "http://127.0.0.1:9/…");
    let second = set(&owner, json!({"timeout_ms": 700})).await;
    let mut expected = first.clone();
    expected["timeout_ms"] = json!(700);
    assert_eq!(second, expected);
    // What was read can be sent back.
    let again = json!({
        "discord_webhook_url": second["discord_webhook_url"], "check_url": second["check_url"],
        "kind": second["kind"], "expected_status": second["expected_status"],
    });
    assert_eq!(set(&owner, again).await, second);
    let tcp = set(&owner, json!({"check_url": "tcp://127.0.0.1:9"})).await;
    assert_eq!(tcp["kind"], "tcp");
    let http = set(&owner, json!({"kind": "http"})).await;
    assert_eq!(
        http["check_url"], first["check_url"],
        "what was asked by tcp is no page"
    );
    let cleared = set(&owner, json!({"keyword": "", "discord_webhook_url": ""})).await;
    assert_eq!(cleared["keyword"], Value::Null);
    assert_eq!(cleared["discord_webhook_url"], Value::Null);
    let events = owner.get("events").await;
    assert!(!events.body.to_string().contains("t0ken"), "{events:?}");
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let (_lab, owner) = shop(reach_loopback).await;
    for (body, field) in [
        (json!({"check_interval_sec": 9}), "check_interval_sec"),
        (json!({"check_interval_sec": 86401}), "check_interval_sec"),
        (json!({"timeout_ms": 99}), "timeout_ms"),
        (json!({"failures_before_down": 0}), "failures_before_down"),
        (json!({"expected_status": "6xx"}), "expected_status"),
        (json!({"keyword": "a\nb"}), "keyword"),
        (json!({"check_url": "shop.example.com"}), "check_url"),
        (json!({"check_url": "http://u:p@127.0.0.1/"}), "check_url"),
        (json!({"check_url": "tcp://127.0.0.1"}), "check_url"),
        (json!({"check_url": "tcp://127.0.0.1:25"}), "check_url"),
        (
            json!({"kind": "http", "check_url": "tcp://127.0.0.1:9"}),
            "check_url",
        ),
        (json!({"kind": "icmp"}), "kind"),
        (json!({"status": "up"}), "status"),
        (
            json!({"discord_webhook_url": "ftp://127.0.0.1/"}),
            "discord_webhook_url",
        ),
        (json!({"notify_email": "nobody"}), "notify_email"),
    ] {
        let refused = owner.put(UPTIME, body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.body["fields"][field].is_string(), "{refused:?}");
    }
    let mail = owner
        .put(UPTIME, json!({"notify_email": "a@example.com"}))
        .await;
    assert_eq!((mail.status, mail.code()), (409, "no_mail"));
    for query in [
        "start=x",
        "start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z",
        "limit=51",
    ] {
        let refused = owner.get(&format!("{CHECKS}?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
    }
}

#[tokio::test]
async fn members_look_and_admins_change() {
    let (lab, owner) = shop(reach_loopback).await;
    let (member, admin) = (
        lab.member(&owner, "member").await,
        lab.member(&owner, "admin").await,
    );
    let stranger = lab.owner("other").await.in_workspace("demo");
    let body = json!({"timeout_ms": 500});
    for (who, reads, writes) in [
        (&member, 200, 403),
        (&admin, 200, 200),
        (&stranger, 404, 404),
    ] {
        assert_eq!(who.get(UPTIME).await.status, reads);
        assert_eq!(who.get(CHECKS).await.status, reads);
        assert_eq!(who.put(UPTIME, body.clone()).await.status, writes);
    }
    assert_eq!(owner.get("databases/shop/uptime").await.status, 404);
    assert_eq!(owner.get("templates/shop/uptime").await.status, 404);
}

#[tokio::test]
async fn a_restart_of_the_server_loses_nothing_and_tells_nobody_again() {
    let site = Site::start().await;
    site.behave(Behaviour::SICK);
    let (mut lab, owner) = shop(reach_loopback).await;
    set(&owner, json!({"failures_before_down": 1})).await;
    watch(&owner, &site.url()).await;
    let down = has_status(&owner, "down").await;
    crate::liveness::log_has(&lab, &owner, "is down").await;
    lab.restart().await;
    let owner = owner.at(&lab);
    assert_eq!(owner.get(UPTIME).await.data(), &down);
    lab.clock.advance(INTERVAL);
    checks(&owner, 2).await;
    site.behave(Behaviour::WELL);
    lab.clock.advance(INTERVAL);
    let up = has_status(&owner, "up").await;
    assert_eq!(up["incidents"].as_array().expect("a list").len(), 1);
    assert_eq!(up["incidents"][0]["started_at"], down["since"]);
    assert_eq!(up["incidents"][0]["ended_at"], up["since"]);
    crate::liveness::log_has(&lab, &owner, "is up again").await;
    assert_eq!(log_lines(&lab, &owner, "is down").await, 1);
}

/// Lets nobody write to the server's database until it is dropped.
struct WriteLock {
    holder: Child,
}

impl WriteLock {
    #[expect(
        clippy::disallowed_methods,
        reason = "another process holds the lock, as an operator's shell could"
    )]
    async fn take(lab: &Lab) -> Self {
        const HOLD: &str = "import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
db.execute('BEGIN IMMEDIATE')
print('held', flush=True)
sys.stdin.read()";
        let mut holder = Command::new("python3")
            .args(["-c", HOLD])
            .arg(lab.data_dir().join("data/tose.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python3");
        let output = holder.stdout.take().expect("its output");
        let line = BufReader::new(output).lines().next_line().await;
        assert_eq!(line.expect("a line").as_deref(), Some("held"));
        Self { holder }
    }

    async fn release(mut self) {
        drop(self.holder.stdin.take());
        assert!(self.holder.wait().await.expect("its end").success());
    }
}

/// Waits until a site was checked once more; answers how often it was.
async fn is_asked_again(lab: &Lab, site: &Site) -> usize {
    let before = site.requests().len();
    eventually("another check", async || {
        // One that ended after the clock was moved is followed by another an interval later.
        lab.clock.advance(INTERVAL);
        match site.requests().len() {
            asked if asked > before => Ok(asked),
            asked => Err(asked.to_string()),
        }
    })
    .await
}

#[tokio::test]
async fn checks_go_on_while_the_store_takes_nothing_and_nothing_is_lost() {
    let site = Site::start().await;
    let (lab, owner) = shop(reach_loopback).await;
    watch(&owner, &site.url()).await;
    checks(&owner, 1).await;
    let lock = WriteLock::take(&lab).await;
    let began = Instant::now();
    // Longer than what was found waits until somebody tries to write it, which cannot end before the lock is gone.
    while began.elapsed() < Duration::from_secs(2) {
        is_asked_again(&lab, &site).await;
    }
    let asked = is_asked_again(&lab, &site).await;
    // The use of the key is to be noted again by now, which cannot be done, and does not keep people from looking.
    let written = owner.get(CHECKS).await.data().as_array().map(Vec::len);
    assert_eq!(written, Some(1), "nobody can write");
    lock.release().await;
    eventually("all is written", async || {
        let total = owner.get(CHECKS).await.body["meta"]["total"].clone();
        match total.as_u64() >= u64::try_from(asked).ok() {
            true => Ok(()),
            false => Err(format!("{total} of {asked}")),
        }
    })
    .await;
    assert_eq!(owner.get(UPTIME).await.data()["uptime"]["h24"], "100.000");
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_project_that_is_stopped_is_paused_and_not_asked() {
    let site = Site::start().await;
    site.behave(Behaviour::SICK);
    let (lab, owner) = shop(reach_loopback).await;
    set(&owner, json!({"failures_before_down": 1})).await;
    watch(&owner, &site.url()).await;
    has_status(&owner, "down").await;
    assert_eq!(
        owner.post("projects/shop/stop", json!({})).await.status,
        200
    );
    let is_closed = |view: &Value| view["incidents"][0]["ended_at"].is_string();
    let paused = uptime_is(&owner, "the incident ends", is_closed).await;
    assert_eq!(paused["status"], "paused");
    assert_eq!(paused["reason"], Value::Null);
    let asked = site.requests().len();
    for _ in 0..10 {
        lab.clock.advance(INTERVAL);
        owner.get(UPTIME).await;
    }
    assert_eq!(site.requests().len(), asked);
    assert_eq!(log_lines(&lab, &owner, "is up again").await, 0);
    site.behave(Behaviour::WELL);
    assert_eq!(
        owner.post("projects/shop/start", json!({})).await.status,
        200
    );
    owner.project_is("shop", "running").await;
    lab.clock.advance(Duration::from_secs(60));
    has_status(&owner, "up").await;
    set(&owner, json!({"enabled": false})).await;
    let off = has_status(&owner, "paused").await;
    assert!(off["since"].is_string(), "{off}");
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_database_is_up_while_its_port_accepts() {
    let lab = Lab::start().await;
    lab.driver.publish_image("postgres:17", Program::default());
    let owner = lab.owner("demo").await;
    let body = json!({"name": "main", "type": "postgresql"});
    assert_eq!(owner.post("databases", body).await.status, 202);
    eventually("it runs", async || {
        let view = owner.get("databases/main").await.data().clone();
        match view["status"] == "running" {
            true => Ok(()),
            false => Err(view.to_string()),
        }
    })
    .await;
    let path = "databases/main/uptime";
    let http = owner.put(path, json!({"kind": "http"})).await;
    assert!(http.body["fields"]["kind"].is_string(), "{http:?}");
    let set = owner.put(path, json!({"enabled": true})).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.data()["kind"], "tcp");
    assert_eq!(set.data()["check_url"], "tcp://main:5432");
    eventually("it is up", async || {
        let view = owner.get(path).await.data().clone();
        match view["status"] == "up" {
            true => Ok(()),
            false => Err(view.to_string()),
        }
    })
    .await;
    let checks = owner.get("databases/main/uptime/checks").await;
    assert_eq!(checks.data()[0]["ok"], json!(true));
}

#[tokio::test]
async fn it_ends_with_the_project() {
    let site = Site::start().await;
    let (lab, owner) = shop(reach_loopback).await;
    watch(&owner, &site.url()).await;
    has_status(&owner, "up").await;
    assert_eq!(owner.delete("projects/shop").await.status, 200);
    assert_eq!(owner.get(UPTIME).await.status, 404);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

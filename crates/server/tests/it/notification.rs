//! Notifications: who is told of what, how, how often, and what of it is seen.

mod sources;

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tose_server::config::{Config, Smtp, SmtpTls};
use tose_testkit::Program;

use crate::harness::{Client, Lab, eventually};
use crate::receiver::{Call, Receiver};
use crate::uptime::site::Mailbox;

const CHANNELS: &str = "notifications";
const SECRET: &str = "s1gning-secret-nobody-sees";
const TOKEN: &str = "123456:AAExampleTokenNobodySees_0";

fn reach_loopback(config: &mut Config) {
    config.drains.allow_private = true;
}

async fn create(owner: &Client, body: Value) -> Value {
    let made = owner.post(CHANNELS, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.data().clone()
}

/// A channel that is a webhook for everything.
async fn webhook(owner: &Client, url: &str) -> Value {
    let body = json!({"name": "hook", "kind": "webhook", "url": url, "secret": SECRET});
    create(owner, body).await
}

fn path_of(channel: &Value) -> String {
    format!("{CHANNELS}/{}", channel["id"].as_str().expect("an id"))
}

/// A deployment of `project` that fails for want of its image; its id.
async fn fail(owner: &Client, project: &str) -> String {
    let id = owner.deploy(project).await;
    owner.deployment_is(project, &id, "failed").await;
    // Whoever is told of it is noted by then.
    let log = format!("projects/{project}/deployments/{id}/logs");
    owner.complete_log(&log).await;
    id
}

/// The project `shop`, whose deployments fail.
async fn broken(lab: &Lab) -> Client {
    let owner = lab.owner("demo").await;
    owner.project("shop", "gone:1").await;
    owner
}

async fn deliveries(owner: &Client, channel: &Value) -> Vec<Value> {
    let list = owner.get(&format!("{}/deliveries", path_of(channel))).await;
    list.data().as_array().expect("a list").clone()
}

/// Waits until the channel's deliveries, the newest first, have these states.
async fn have_states(owner: &Client, channel: &Value, states: &[&str]) -> Vec<Value> {
    eventually(&format!("deliveries are {states:?}"), async || {
        let list = deliveries(owner, channel).await;
        let seen: Vec<_> = list
            .iter()
            .filter_map(|one| one["state"].as_str())
            .collect();
        match seen == states {
            true => Ok(list),
            false => Err(format!("{list:?}")),
        }
    })
    .await
}

fn is_signed(call: &Call, secret: &str) -> bool {
    let header = |name: &str| call.headers[name].to_str().expect("a text").to_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{}.", header("x-tose-timestamp")).as_bytes());
    mac.update(&call.raw);
    let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    header("x-tose-signature") == expected
}

#[tokio::test]
async fn a_webhook_gets_each_event_once_signed_and_rules_decide_which() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = broken(&lab).await;
    owner.project("blog", "gone:2").await;
    let (all, picky, other) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let channel = webhook(&owner, &format!("{}/hook?key=t0ken", all.url)).await;
    let body = json!({"name": "picky", "kind": "webhook", "url": picky.url, "secret": SECRET,
        "events": ["deploy_recovered"], "projects": ["shop"]});
    create(&owner, body).await;
    let body = json!({"name": "other", "kind": "webhook", "url": other.url, "projects": ["blog"],
        "events": ["uptime_down", "*"]});
    let made = create(&owner, body).await;
    assert_eq!(made["events"], json!([]), "a star is everything");
    let generated = made["secret"].as_str().expect("one was made").to_owned();

    let id = fail(&owner, "shop").await;
    let call = all.is_called(1).await.remove(0);
    assert_eq!(call.path, "/hook");
    assert!(is_signed(&call, SECRET), "{call:?}");
    assert!(!is_signed(&call, "another"));
    assert_eq!(call.headers["x-tose-event"], "deploy_failed");
    assert_eq!(
        call.headers["x-tose-delivery"],
        call.body["id"].as_str().expect("an id")
    );
    let expected = json!({"event": "deploy_failed", "workspace": "demo", "project": "shop",
        "title": "demo/shop: a deployment failed", "at": "2026-01-01T00:00:00Z", "left_out": 0});
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&call.body[key], value, "{}", call.body);
    }
    let error = owner.deployment("shop", &id).await["error"].clone();
    assert_eq!(call.body["text"], error);
    assert_eq!(call.body["notices"][0]["id"], call.body["id"]);

    lab.driver.add_image("gone:1", Program::default());
    lab.clock.advance(Duration::from_secs(60));
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    let recovered = picky.is_called(1).await.remove(0);
    assert_eq!(recovered.body["event"], "deploy_recovered");
    assert_eq!(all.is_called(2).await[1].body["id"], recovered.body["id"]);
    // The next good one is no news.
    lab.clock.advance(Duration::from_secs(60));
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    fail(&owner, "blog").await;
    let call = other.is_called(1).await.remove(0);
    assert_eq!(call.body["project"], "blog");
    assert!(is_signed(&call, &generated));
    assert_eq!(all.is_called(3).await.len(), 3);
    assert_eq!(picky.calls().len(), 1);
    let list = have_states(&owner, &channel, &["delivered"; 3]).await;
    assert_eq!(list[2]["attempts"], 1);
    let view = owner.get(&path_of(&channel)).await.data().clone();
    assert_eq!(view["last_delivery"]["ok"], json!(true));
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn each_medium_gets_its_own_form_and_nothing_to_interpret() {
    let telegram = Receiver::start().await;
    let (discord, slack) = (Receiver::start().await, Receiver::start().await);
    let mailbox = Mailbox::start().await;
    let (port, api) = (mailbox.port, telegram.url.clone());
    let lab = Lab::start_with(move |config| {
        reach_loopback(config);
        config.notifications.telegram_api = api.clone();
        config.smtp = Some(Smtp {
            host: "127.0.0.1".to_owned(),
            port,
            tls: SmtpTls::None,
            credentials: None,
            from: "TOSE <tose@example.com>".to_owned(),
        });
    })
    .await;
    let owner = lab.owner("demo").await;
    let name = "<!channel> @everyone *x* <a|b>&";
    for target in [
        json!({"kind": "discord", "url": format!("{}/api/webhooks/1/x", discord.url)}),
        json!({"kind": "slack", "url": format!("{}/services/T/B/x", slack.url)}),
        json!({"kind": "telegram", "bot_token": TOKEN, "chat_id": "-1001"}),
        json!({"kind": "email", "email": "ops@example.com"}),
    ] {
        let kind = target["kind"].as_str().expect("a kind");
        let mut body = target.clone();
        body["name"] = json!(format!("{name} {kind}"));
        let channel = create(&owner, body).await;
        let tested = owner
            .post(&format!("{}/test", path_of(&channel)), json!({}))
            .await;
        assert_eq!(tested.status, 200, "{tested:?}");
        assert_eq!(tested.data(), &json!({"delivered": true, "reason": null}));
    }
    let rest = "This is how workspace demo tells you of what happens.";
    let call = discord.calls().remove(0);
    assert_eq!(call.path, "/api/webhooks/1/x");
    let title = "A test of the channel \\<\\!channel\\> \\@everyone \\*x\\* \\<a\\|b\\>\\& discord";
    let expected =
        json!({"content": format!("{title}\n{rest}"), "allowed_mentions": {"parse": []}});
    assert_eq!(call.body, expected);
    let call = slack.calls().remove(0);
    let title = "A test of the channel &lt;!channel&gt; @everyone *x* &lt;a|b&gt;&amp; slack";
    let expected = json!({"text": format!("{title}\n{rest}"), "mrkdwn": false, "parse": "none",
        "link_names": false, "unfurl_links": false, "unfurl_media": false});
    assert_eq!(call.body, expected);
    let call = telegram.calls().remove(0);
    assert_eq!(call.path, format!("/bot{TOKEN}/sendMessage"));
    let title = "A test of the channel <!channel> @\u{2060}everyone *x* <a|b>& telegram";
    let expected = json!({"chat_id": -1001, "text": format!("{title}\n{rest}"),
        "link_preview_options": {"is_disabled": true}});
    assert_eq!(call.body, expected);
    let mail = mailbox.has(1).await.remove(0);
    assert!(
        mail.contains("To: ops@example.com") && mail.contains(rest),
        "{mail}"
    );
    assert!(mail.contains("A test of the channel"), "{mail}");
}

#[tokio::test]
async fn what_fails_is_tried_again_when_it_may_and_goes_out_once() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = broken(&lab).await;
    let receiver = Receiver::start().await;
    let channel = webhook(&owner, &receiver.url).await;
    receiver.answer(500, None);
    receiver.answer(429, Some("600"));
    fail(&owner, "shop").await;
    let waits = async |reason: &str| {
        eventually(reason, async || {
            let one = deliveries(&owner, &channel).await.remove(0);
            match one["reason"] == json!(reason) {
                true => Ok(one),
                false => Err(one.to_string()),
            }
        })
        .await
    };
    let one = waits("it answered 500").await;
    assert_eq!(
        (&one["state"], &one["attempts"]),
        (&json!("waiting"), &json!(1))
    );
    let view = owner.get(&path_of(&channel)).await;
    let last = json!({"at": "2026-01-01T00:00:00Z", "ok": false, "reason": "it answered 500"});
    assert_eq!(view.data()["last_delivery"], last);
    lab.clock.advance(Duration::from_secs(10));
    let one = waits("it answered 429").await;
    assert_eq!(one["next_at"], json!("2026-01-01T00:10:10Z"));
    lab.clock.advance(Duration::from_secs(599));
    owner.get("projects").await;
    assert_eq!(receiver.calls().len(), 2);
    lab.clock.advance(Duration::from_secs(1));
    let calls = receiver.is_called(3).await;
    let list = have_states(&owner, &channel, &["delivered"]).await;
    assert_eq!(
        (&list[0]["attempts"], &list[0]["reason"]),
        (&json!(3), &Value::Null)
    );
    assert_eq!(calls[0].raw, calls[2].raw, "the same message again");
    assert_eq!(
        calls[0].headers["x-tose-delivery"],
        calls[2].headers["x-tose-delivery"]
    );
    assert!(is_signed(&calls[2], SECRET), "with a time of its own");
}

#[tokio::test]
async fn what_is_refused_is_given_up_and_what_never_succeeds_after_a_day() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = broken(&lab).await;
    let receiver = Receiver::start().await;
    let channel = webhook(&owner, &receiver.url).await;
    receiver.answer(404, None);
    fail(&owner, "shop").await;
    let list = have_states(&owner, &channel, &["failed"]).await;
    assert_eq!(list[0]["reason"], "it answered 404");
    assert_eq!(receiver.calls().len(), 1);
    receiver.answer_always(503);
    lab.clock.advance(Duration::from_secs(60));
    fail(&owner, "shop").await;
    receiver.is_called(2).await;
    eventually("it is given up", async || {
        lab.clock.advance(Duration::from_secs(600));
        let list = deliveries(&owner, &channel).await;
        match list[0]["state"] == "failed" {
            true => Ok(()),
            false => Err(list[0].to_string()),
        }
    })
    .await;
    assert!(receiver.calls().len() <= 31, "{}", receiver.calls().len());
    assert!(!format!("{:?}", deliveries(&owner, &channel).await).contains("s3cret"));
}

#[tokio::test]
async fn a_server_that_was_killed_tells_each_event_once() {
    let mut lab = Lab::start_to_be_killed(reach_loopback).await;
    let owner = broken(&lab).await;
    let receiver = Receiver::start().await;
    let channel = webhook(&owner, &receiver.url).await;
    receiver.answer_always(500);
    fail(&owner, "shop").await;
    receiver.is_called(1).await;
    lab.kill().await;
    let owner = owner.at(&lab);
    receiver.answer_always(200);
    lab.clock.advance(Duration::from_secs(20));
    have_states(&owner, &channel, &["delivered"]).await;
    let taken = |calls: Vec<Call>| calls.iter().filter(|call| call.status == 200).count();
    assert_eq!(taken(receiver.calls()), 1);
    lab.restart().await;
    let owner = owner.at(&lab);
    lab.clock.advance(Duration::from_secs(60));
    fail(&owner, "shop").await;
    have_states(&owner, &channel, &["delivered", "delivered"]).await;
    assert_eq!(taken(receiver.calls()), 2);
}

#[tokio::test]
async fn what_comes_close_together_is_one_message_and_a_flood_is_cut() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = broken(&lab).await;
    let receiver = Receiver::start().await;
    let channel = webhook(&owner, &receiver.url).await;
    fail(&owner, "shop").await;
    have_states(&owner, &channel, &["delivered"]).await;
    // Within the next ten seconds: one message, ten of them listed.
    for _ in 0..12 {
        fail(&owner, "shop").await;
    }
    assert_eq!(receiver.calls().len(), 1);
    lab.clock.advance(Duration::from_secs(10));
    let call = receiver.is_called(2).await.remove(1);
    assert_eq!(call.headers["x-tose-event"], "group");
    assert_eq!(call.body["title"], "12 events of demo");
    assert_eq!(
        (&call.body["left_out"], &call.body["project"]),
        (&json!(2), &Value::Null)
    );
    assert_eq!(call.body["notices"].as_array().map(Vec::len), Some(10));
    let mut states = vec!["delivered"; 10];
    states.extend(["left_out", "left_out", "delivered"]);
    have_states(&owner, &channel, &states).await;
    // Twenty messages in an hour and no more.
    for count in 3..=20 {
        lab.clock.advance(Duration::from_secs(10));
        fail(&owner, "shop").await;
        receiver.is_called(count).await;
        eventually("it is noted", async || {
            let newest = deliveries(&owner, &channel).await.remove(0);
            match newest["state"] == "delivered" {
                true => Ok(()),
                false => Err(newest.to_string()),
            }
        })
        .await;
    }
    for _ in 0..2 {
        lab.clock.advance(Duration::from_secs(10));
        fail(&owner, "shop").await;
    }
    eventually("it waits for the hour's end", async || {
        let newest = deliveries(&owner, &channel).await.remove(0);
        match newest["next_at"] == "2026-01-01T01:00:00Z" {
            true => Ok(()),
            false => Err(newest.to_string()),
        }
    })
    .await;
    assert_eq!(receiver.calls().len(), 20);
    lab.clock.advance(Duration::from_secs(3600));
    let call = receiver.is_called(21).await.remove(20);
    assert_eq!(call.body["title"], "2 events of demo");
}

#[tokio::test]
async fn addresses_that_are_not_public_are_not_called() {
    let canary = Receiver::start().await;
    let mut lab = Lab::start_with(|_| {}).await;
    let owner = lab.owner("demo").await;
    let port = canary.url.rsplit(':').next().expect("a port").to_owned();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "localhost",
    ] {
        let body = json!({"name": "x", "kind": "slack", "url": format!("https://{host}:{port}/")});
        let refused = owner.post(CHANNELS, body).await;
        assert_eq!(refused.status, 400, "{host}: {refused:?}");
        assert!(refused.body["fields"]["url"].is_string(), "{refused:?}");
    }
    lab.restart_with(reach_loopback).await;
    let owner = owner.at(&lab);
    let channel = webhook(&owner, &canary.url).await;
    lab.restart_with(|_| {}).await;
    let owner = owner.at(&lab);
    let tested = owner
        .post(&format!("{}/test", path_of(&channel)), json!({}))
        .await;
    let reason = "its address is not public, and this server calls no other ones";
    assert_eq!(
        tested.data(),
        &json!({"delivered": false, "reason": reason})
    );
    owner.project("shop", "gone:1").await;
    fail(&owner, "shop").await;
    let list = have_states(&owner, &channel, &["failed"]).await;
    assert_eq!(list[0]["reason"], reason);
    assert_eq!(canary.calls().len(), 0);
}

#[tokio::test]
async fn secrets_are_shown_to_nobody_and_what_is_not_sent_stays() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = lab.owner("demo").await;
    let receiver = Receiver::start().await;
    let url = format!("{}/p4th-secret", receiver.url);
    let channel = webhook(&owner, &url).await;
    assert_eq!(channel["url"], format!("{}/…", receiver.url));
    assert!(channel.get("secret").is_none(), "it was given: {channel}");
    let body = json!({"name": "chat", "kind": "telegram", "bot_token": TOKEN, "chat_id": "@news"});
    create(&owner, body).await;
    let changed = owner
        .put(
            &path_of(&channel),
            json!({"name": "Other", "url": channel["url"]}),
        )
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let tested = owner
        .post(&format!("{}/test", path_of(&channel)), json!({}))
        .await;
    assert_eq!(tested.data()["delivered"], json!(true));
    let call = receiver.calls().remove(0);
    assert_eq!(
        (call.path.as_str(), is_signed(&call, SECRET)),
        ("/p4th-secret", true)
    );
    assert_eq!(call.body["event"], "test");
    receiver.answer(500, None);
    let tested = owner
        .post(&format!("{}/test", path_of(&channel)), json!({}))
        .await;
    assert_eq!(
        tested.data(),
        &json!({"delivered": false, "reason": "it answered 500"})
    );
    for answer in [
        changed,
        tested,
        owner.get(CHANNELS).await,
        owner.get(&path_of(&channel)).await,
        owner
            .get(&format!("{}/deliveries", path_of(&channel)))
            .await,
        owner.get("events").await,
    ] {
        let text = answer.body.to_string();
        for secret in [SECRET, TOKEN, "p4th-secret", "s3cret words"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let database = std::fs::read(lab.data_dir().join("data/tose.db")).expect("the database");
    let log = std::fs::read(lab.data_dir().join("data/tose.db-wal")).unwrap_or_default();
    for secret in [SECRET, TOKEN, "p4th-secret"] {
        let is_in = |bytes: &[u8]| {
            bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes())
        };
        assert!(
            !is_in(&database) && !is_in(&log),
            "{secret} is in the database"
        );
    }
}

#[tokio::test]
async fn members_look_admins_change_and_strangers_find_nothing() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = lab.owner("demo").await;
    let member = lab.member(&owner, "member").await;
    let stranger = lab.owner("other").await.in_workspace("other");
    let channel = webhook(&owner, "http://127.0.0.1:9/").await;
    let path = path_of(&channel);
    assert_eq!(
        member.get(CHANNELS).await.data().as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(member.get(&path).await.status, 200);
    assert_eq!(member.get(&format!("{path}/deliveries")).await.status, 200);
    let body = json!({"name": "x", "kind": "webhook", "url": "http://127.0.0.1:9/"});
    assert_eq!(member.post(CHANNELS, body).await.status, 403);
    assert_eq!(
        member.put(&path, json!({"enabled": false})).await.status,
        403
    );
    assert_eq!(
        member.post(&format!("{path}/test"), json!({})).await.status,
        403
    );
    assert_eq!(member.delete(&path).await.status, 403);
    for (method, rest) in [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::GET, "/deliveries"),
        (Method::POST, "/test"),
    ] {
        let path = format!("/api/workspaces/other/{path}{rest}");
        let answer = stranger.send(method, &path, None).await;
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    assert_eq!(owner.delete(&path).await.status, 200);
    assert_eq!(owner.get(&path).await.status, 404);
    let actions: Vec<_> = owner
        .get("events")
        .await
        .data()
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["action"].clone())
        .take(2)
        .collect();
    assert_eq!(actions, ["notification.delete", "notification.create"]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_field() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = broken(&lab).await;
    let channel = webhook(&owner, "http://127.0.0.1:9/").await;
    for (body, field) in [
        (
            json!({"name": "", "kind": "slack", "url": "http://127.0.0.1:9/"}),
            "name",
        ),
        (json!({"name": "x", "kind": "slack"}), "url"),
        (
            json!({"name": "x", "kind": "slack", "url": "ftp://a"}),
            "url",
        ),
        (
            json!({"name": "x", "kind": "slack", "url": "http://u:p@127.0.0.1/"}),
            "url",
        ),
        (
            json!({"name": "x", "kind": "slack", "url": "http://127.0.0.1/#x"}),
            "url",
        ),
        (
            json!({"name": "x", "kind": "slack", "url": "http://127.0.0.1:9/", "chat_id": "1"}),
            "chat_id",
        ),
        (
            json!({"name": "x", "kind": "telegram", "chat_id": "1"}),
            "bot_token",
        ),
        (
            json!({"name": "x", "kind": "telegram", "bot_token": "a/../b", "chat_id": "1"}),
            "bot_token",
        ),
        (
            json!({"name": "x", "kind": "telegram", "bot_token": TOKEN, "chat_id": "@a b"}),
            "chat_id",
        ),
        (
            json!({"name": "x", "kind": "webhook", "url": "http://127.0.0.1:9/", "secret": "short"}),
            "secret",
        ),
        (
            json!({"name": "x", "kind": "slack", "url": "http://127.0.0.1:9/", "projects": ["nope"]}),
            "projects",
        ),
    ] {
        let refused = owner.post(CHANNELS, body.clone()).await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        assert!(
            refused.body["fields"][field].is_string(),
            "{body}: {refused:?}"
        );
    }
    for body in [
        json!({"name": "x", "kind": "pigeon"}),
        json!({"name": "x", "kind": "slack", "url": "http://127.0.0.1:9/", "events": ["x"]}),
        json!({"name": "x", "kind": "slack", "url": "http://127.0.0.1:9/", "colour": "red"}),
    ] {
        assert_eq!(owner.post(CHANNELS, body).await.status, 400);
    }
    let taken = json!({"name": "hook", "kind": "slack", "url": "http://127.0.0.1:9/"});
    assert_eq!(owner.post(CHANNELS, taken).await.status, 409);
    let mail = json!({"name": "x", "kind": "email", "email": "a@example.com"});
    assert_eq!(owner.post(CHANNELS, mail).await.code(), "no_mail");
    assert_eq!(
        owner
            .put(&path_of(&channel), json!({"kind": "slack"}))
            .await
            .status,
        400
    );
    for count in 1..20 {
        let body =
            json!({"name": format!("c{count}"), "kind": "slack", "url": "http://127.0.0.1:9/"});
        create(&owner, body).await;
    }
    let body = json!({"name": "more", "kind": "slack", "url": "http://127.0.0.1:9/"});
    assert_eq!(
        owner.post(CHANNELS, body).await.code(),
        "too_many_notifications"
    );
}

#[tokio::test]
async fn a_channel_that_is_off_or_gone_and_a_project_that_is_gone_are_told_nothing() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = broken(&lab).await;
    let receiver = Receiver::start().await;
    let channel = webhook(&owner, &receiver.url).await;
    receiver.answer_always(500);
    fail(&owner, "shop").await;
    receiver.is_called(1).await;
    let off = owner
        .put(&path_of(&channel), json!({"enabled": false}))
        .await;
    assert_eq!(off.data()["enabled"], json!(false));
    let list = have_states(&owner, &channel, &["failed"]).await;
    assert_eq!(list[0]["reason"], "the channel was switched off");
    fail(&owner, "shop").await;
    assert_eq!(deliveries(&owner, &channel).await.len(), 1);
    assert_eq!(
        owner
            .put(&path_of(&channel), json!({"enabled": true}))
            .await
            .status,
        200
    );
    lab.clock.advance(Duration::from_secs(3600));
    fail(&owner, "shop").await;
    receiver.is_called(2).await;
    assert_eq!(owner.delete("projects/shop").await.status, 200);
    have_states(&owner, &channel, &[]).await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
    assert_eq!(owner.delete("/api/workspaces/demo").await.status, 200);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

//! What people are told of, one after the other.

use std::time::Duration;

use serde_json::{Value, json};
use tose_model::Clock;
use tose_model::driver::{Disk, ReplicaState, Spare};
use tose_model::money::Money;
use tose_server::config::{AcmeConfig, Config, Listen, Smtp, SmtpTls};
use tose_store::Defaults;
use tose_testkit::Program;

use super::{create, have_states, reach_loopback, webhook};
use crate::harness::{Client, Lab, eventually};
use crate::receiver::{Call, Receiver};
use crate::uptime::site::{Behaviour, Mailbox, Site};

const HOUR: Duration = Duration::from_secs(3600);

/// The events of all messages so far, with their titles.
fn told(receiver: &Receiver) -> Vec<(String, String)> {
    let of_call = |call: &Call| {
        let notices = call.body["notices"].as_array().expect("a list").clone();
        notices.into_iter().map(|notice| {
            let text = |key: &str| notice[key].as_str().expect("a text").to_owned();
            (text("event"), text("title"))
        })
    };
    receiver.calls().iter().flat_map(of_call).collect()
}

/// Waits until these were told of, in order, and no others.
async fn has_told(lab: &Lab, receiver: &Receiver, expected: &[(&str, &str)]) {
    eventually(&format!("{expected:?} are told of"), async || {
        // What came close together waits for its time.
        lab.clock.advance(Duration::from_secs(1));
        let told = told(receiver);
        let told: Vec<_> = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        match told == expected {
            true => Ok(()),
            false => Err(format!("{told:?}")),
        }
    })
    .await;
}

async fn crash(lab: &Lab, times: u32) {
    lab.has_replicas(1).await;
    for restarts in 1..=times {
        let name = lab.driver.peek()[0].name.clone();
        lab.driver.exit(&name, 3);
        if restarts < times {
            eventually("the engine starts it again", async || {
                let now = lab.driver.peek().remove(0);
                match now.restarts >= restarts && now.state == ReplicaState::Running {
                    true => Ok(()),
                    false => Err(format!("{now:?}")),
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_version_that_crashes_again_and_again_is_told_of_once() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = lab.owner("demo").await;
    let receiver = Receiver::start().await;
    webhook(&owner, &receiver.url).await;
    lab.live(&owner, "app:1").await;
    lab.clock.advance(HOUR);
    crash(&lab, 5).await;
    let title = "demo/shop crashes again and again";
    has_told(&lab, &receiver, &[("crash_loop", title)]).await;
    crash(&lab, 2).await;
    has_told(&lab, &receiver, &[("crash_loop", title)]).await;
}

#[tokio::test]
async fn a_version_that_is_taken_back_is_told_of() {
    let lab = Lab::start_with(reach_loopback).await;
    let owner = lab.owner("demo").await;
    let receiver = Receiver::start().await;
    lab.live(&owner, "app:1").await;
    lab.driver.add_image("app:2", Program::default());
    owner.put("projects/shop", json!({"image": "app:2"})).await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    webhook(&owner, &receiver.url).await;
    crash(&lab, 3).await;
    let title =
        "demo/shop: a version that went live did worse than the one before, which is live again";
    let event = ("deploy_failed", title);
    eventually("it is told of", async || {
        lab.clock.advance(Duration::from_secs(1));
        let told = told(&receiver);
        let told = told.iter().map(|(a, b)| (a.as_str(), b.as_str()));
        match told.clone().any(|told| told == event) {
            true => Ok(()),
            false => Err(format!("{:?}", told.collect::<Vec<_>>())),
        }
    })
    .await;
}

#[tokio::test]
async fn uptime_is_told_to_the_monitors_own_and_to_the_channels() {
    let (site, discord) = (Site::start().await, Receiver::start().await);
    let mut lab = Lab::start_to_be_killed(reach_loopback).await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let receiver = Receiver::start().await;
    let channel = webhook(&owner, &receiver.url).await;
    site.behave(Behaviour::SICK);
    discord.answer_always(500);
    let body = json!({"enabled": true, "check_url": site.url(), "check_interval_sec": 10,
        "failures_before_down": 1, "discord_webhook_url": discord.url});
    assert_eq!(owner.put("projects/shop/uptime", body).await.status, 200);
    let down = ("uptime_down", "demo/shop is down: it answered 500");
    has_told(&lab, &receiver, &[down]).await;
    discord.is_called(1).await;
    // A message of which the answer got lost would come again.
    have_states(&owner, &channel, &["delivered"]).await;
    // Its word survives a kill, too.
    lab.kill().await;
    let owner = owner.at(&lab);
    discord.answer_always(204);
    eventually("the monitor's own webhook takes it", async || {
        lab.clock.advance(Duration::from_secs(5));
        let calls = discord.calls();
        match calls.iter().filter(|call| call.status == 204).count() {
            1 => Ok(()),
            _ => Err(format!("{calls:?}")),
        }
    })
    .await;
    site.behave(Behaviour::WELL);
    eventually("it is up", async || {
        lab.clock.advance(Duration::from_secs(5));
        let view = owner.get("projects/shop/uptime").await;
        match view.data()["status"] == "up" {
            true => Ok(()),
            false => Err(format!("{view:?}")),
        }
    })
    .await;
    eventually("both are told of once", async || {
        lab.clock.advance(Duration::from_secs(1));
        let told: Vec<String> = told(&receiver)
            .into_iter()
            .map(|(event, _)| event)
            .collect();
        match told == ["uptime_down", "uptime_up"] {
            true => Ok(()),
            false => Err(format!("{told:?}")),
        }
    })
    .await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_wallet_that_runs_out_is_told_of_step_by_step() {
    let lab = Lab::start_with(|config| {
        reach_loopback(config);
        config.billing.enabled = true;
        config.billing.signup_credit = Money::of(400);
    })
    .await;
    let owner = lab.owner("demo").await;
    let receiver = Receiver::start().await;
    webhook(&owner, &receiver.url).await;
    lab.live(&owner, "app:1").await;
    eventually("it is suspended", async || {
        lab.clock.advance(HOUR / 2);
        let wallet = owner.get("wallet").await;
        match wallet.data()["status"] == "suspended" {
            true => Ok(()),
            false => Err(format!("{wallet:?}")),
        }
    })
    .await;
    eventually("it is told of", async || {
        lab.clock.advance(Duration::from_secs(1));
        let told: Vec<String> = told(&receiver)
            .into_iter()
            .map(|(event, _)| event)
            .collect();
        let is_low = told.first().is_some_and(|event| event == "wallet_low");
        match is_low && told.last().is_some_and(|event| event == "wallet_suspended") {
            true => Ok(()),
            false => Err(format!("{told:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_backup_that_fails_is_told_of_when_the_one_before_did_not() {
    let lab = Lab::start_with(reach_loopback).await;
    lab.driver.publish_image("redis:8", Program::default());
    let owner = lab.owner("demo").await;
    let receiver = Receiver::start().await;
    let made = owner
        .post("databases", json!({"name": "cache", "type": "redis"}))
        .await;
    assert_eq!(made.status, 202, "{made:?}");
    let of_database = json!({
        "name": "hook", "kind": "webhook", "url": receiver.url, "projects": ["cache"],
    });
    create(&owner, of_database).await;
    has_database_status(&owner, "running").await;
    let stopped = owner.post("databases/cache/stop", json!({})).await;
    assert_eq!(stopped.status, 200, "{stopped:?}");
    has_database_status(&owner, "stopped").await;
    for _ in 0..2 {
        let made = owner.post("databases/cache/backups", json!({})).await;
        assert_eq!(made.status, 202, "{made:?}");
        let id = made.data()["id"].as_str().expect("an id").to_owned();
        eventually("the backup fails", async || {
            let backup = owner.get(&format!("databases/cache/backups/{id}")).await;
            match backup.data()["status"] == "failed" {
                true => Ok(()),
                false => Err(format!("{backup:?}")),
            }
        })
        .await;
    }
    let title = "The backups of demo/cache need a look";
    has_told(&lab, &receiver, &[("backup_failed", title)]).await;
}

async fn has_database_status(owner: &Client, status: &str) {
    eventually(&format!("the database is {status}"), async || {
        let database = owner.get("databases/cache").await;
        match database.data()["status"] == status {
            true => Ok(()),
            false => Err(format!("{database:?}")),
        }
    })
    .await;
}

fn mail_to(port: u16) -> Smtp {
    Smtp {
        host: "127.0.0.1".to_owned(),
        port,
        tls: SmtpTls::None,
        credentials: None,
        from: "TOSE <tose@example.com>".to_owned(),
    }
}

#[tokio::test]
async fn operators_get_a_mail_when_the_wildcard_certificate_cannot_be_had() {
    let mailbox = Mailbox::start().await;
    let port = mailbox.port;
    let mut lab = Lab::start_with(move |config| {
        https(config);
        config.smtp = Some(mail_to(port));
        config.base_domain = "apps.example.com".parse().expect("a name");
        config.acme = Some(AcmeConfig {
            email: "ops@example.com".to_owned(),
            // Nobody listens there.
            directory_url: "https://127.0.0.1:1/directory".to_owned(),
            ca_file: None,
            dns_hook: Some("/bin/false".into()),
        });
    })
    .await;
    lab.owner("demo").await;
    lab.make_operator("demo@example.com").await;
    for failures in 1..=4 {
        wildcard_orders_failed(&lab, failures).await;
        lab.clock.advance(2 * HOUR);
        lab.restart().await;
    }
    let mail = mailbox.has(1).await.remove(0);
    assert!(mail.contains("To: demo@example.com"), "{mail}");
    let words = "No wildcard certificate for apps.example.com: 3 orders in a row";
    assert!(mail.contains(words), "{mail}");
    lab.clock.advance(7 * 24 * HOUR);
    lab.restart().await;
    assert_eq!(mailbox.has(2).await.len(), 2, "once a week");
}

async fn wildcard_orders_failed(lab: &Lab, count: u64) {
    eventually(&format!("{count} orders failed"), async || {
        let store = tose_server::open_store(&lab.data_dir().join("data")).await;
        let store = store.expect("the store");
        let state = store
            .find_setting("wildcard_certificate apps.example.com")
            .await;
        store.close().await;
        let state: Value = match state.expect("asked") {
            Some(text) => serde_json::from_str(&text).expect("JSON"),
            None => Value::Null,
        };
        match state["failures"].as_u64() {
            Some(failures) if failures >= count => Ok(()),
            _ => Err(state.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn operators_get_a_mail_when_the_disk_gets_full() {
    let mailbox = Mailbox::start().await;
    let port = mailbox.port;
    let mut lab = Lab::start_with(move |config| config.smtp = Some(mail_to(port))).await;
    lab.owner("demo").await;
    lab.make_operator("demo@example.com").await;
    lab.driver.set_spare(Spare {
        memory_bytes: None,
        disk: Some(Disk {
            used_bytes: 80 << 30,
            free_bytes: 20 << 30,
        }),
    });
    for _ in 0..2 {
        // It is looked at when a server starts.
        lab.restart().await;
        let mail = mailbox.has(1).await.remove(0);
        assert!(mail.contains("To: demo@example.com"), "{mail}");
        assert!(mail.contains("The engine's disk is 80 % full"), "{mail}");
    }
    lab.clock.advance(24 * HOUR);
    lab.restart().await;
    assert_eq!(mailbox.has(2).await.len(), 2, "once a day");
}

fn https(config: &mut Config) {
    reach_loopback(config);
    config.https_addr = Listen::On("127.0.0.1:443".parse().expect("an address"));
}

#[tokio::test]
async fn a_certificate_that_expires_is_told_of_at_21_days_7_days_and_a_day() {
    let mut lab = Lab::start_with(https).await;
    let owner = lab.owner("demo").await;
    let receiver = Receiver::start().await;
    webhook(&owner, &receiver.url).await;
    owner.project("shop", "nginx").await;
    let domain = owner.get("projects/shop/domains").await.data()[0].clone();
    let host = domain["domain"].as_str().expect("a name").to_owned();
    let mut params = rcgen::CertificateParams::new([host.clone()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 2, 1);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    let body = json!({"certificate": certificate.pem(), "private_key": key.serialize_pem()});
    let id = domain["id"].as_str().expect("an id");
    let set = owner
        .put(&format!("projects/shop/domains/{id}/certificate"), body)
        .await;
    assert_eq!(set.status, 200, "{set:?}");
    let mut expected = Vec::new();
    let titles: Vec<String> = [21, 7, 1]
        .iter()
        .map(|days| format!("The certificate of {host} expires within {days} days"))
        .collect();
    // 31 days are left at first.
    for (days, title) in [(10, &titles[0]), (14, &titles[1]), (6, &titles[2])] {
        lab.clock.advance(24 * HOUR * days);
        lab.restart().await;
        expected.push(("certificate_expiring", title.as_str()));
        has_told(&lab, &receiver, &expected).await;
        lab.restart().await;
        has_told(&lab, &receiver, &expected).await;
    }
}

/// How many orders in a row failed, as the store has it.
async fn failed_orders(lab: &Lab) -> u32 {
    let store = tose_server::open_store(&lab.data_dir().join("data")).await;
    let store = store.expect("the store");
    let later = lab.clock.now().saturating_add(1000 * HOUR);
    let due = store.list_due_certificates_for_task(Defaults::Included, later, 1);
    let due = due.await.expect("a list");
    store.close().await;
    due.first().map_or(0, |one| one.failures)
}

#[tokio::test]
async fn orders_that_fail_three_times_in_a_row_are_told_of() {
    let mut lab = Lab::start_with(|config| {
        https(config);
        config.base_domain = "apps.example.com".parse().expect("a name");
        config.acme = Some(AcmeConfig {
            email: "ops@example.com".to_owned(),
            directory_url: "https://127.0.0.1:1/directory".to_owned(),
            ca_file: None,
            dns_hook: None,
        });
    })
    .await;
    let owner = lab.owner("demo").await;
    let receiver = Receiver::start().await;
    webhook(&owner, &receiver.url).await;
    owner.project("shop", "nginx").await;
    for failures in 1..=4 {
        // The longest pause is over; what is due is looked at when a server starts.
        lab.clock.advance(13 * HOUR);
        lab.restart().await;
        eventually(&format!("{failures} orders failed"), async || {
            let expected = usize::from(failures >= 3);
            let noted = failed_orders(&lab).await;
            match noted == failures && told(&receiver).len() == expected {
                true => Ok(()),
                false => Err(format!("{noted} failures, {:?}", told(&receiver))),
            }
        })
        .await;
    }
    let host = "demo-shop.apps.example.com";
    let title = format!("No certificate for {host}: 3 orders in a row failed");
    has_told(&lab, &receiver, &[("certificate_trouble", &title)]).await;
}

//! Managed databases, on the fake engine: what is promised of them whatever their server does. That
//! real servers do their part is for `tests/e2e`.

use std::time::Duration;

use serde_json::{Value, json};
use tose_model::driver::{EngineStep, ReplicaName};
use tose_testkit::{Program, When};

use crate::harness::{Client, Lab, eventually};

const IMAGES: [&str; 4] = ["postgres:17", "mysql:8.4", "redis:8", "mongo:8"];

async fn lab() -> (Lab, Client) {
    let lab = Lab::start().await;
    for image in IMAGES {
        lab.driver.publish_image(image, Program::default());
    }
    let owner = lab.owner("demo").await;
    (lab, owner)
}

async fn create(owner: &Client, name: &str, kind: &str) -> Value {
    let answer = owner
        .post("databases", json!({"name": name, "type": kind}))
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.data().clone()
}

async fn database_is(owner: &Client, name: &str, status: &str) -> Value {
    eventually(&format!("{name} is {status}"), async || {
        let answer = owner.get(&format!("databases/{name}")).await;
        match answer.data()["status"] == status {
            true => Ok(answer.data().clone()),
            false => Err(format!("{answer:?}")),
        }
    })
    .await
}

async fn act(owner: &Client, path: &str) -> Value {
    let answer = owner.post(&format!("databases/{path}"), json!({})).await;
    assert!(answer.status < 300, "{answer:?}");
    answer.data().clone()
}

fn replica(lab: &Lab) -> ReplicaName {
    let replicas = lab.driver.peek();
    assert_eq!(replicas.len(), 1, "{replicas:?}");
    replicas[0].name.clone()
}

#[tokio::test]
async fn each_kind_comes_up_with_an_account_of_its_own() {
    let (lab, owner) = lab().await;
    for (kind, port, scheme) in [
        ("postgresql", 5432, "postgresql"),
        ("mysql", 3306, "mysql"),
        ("redis", 6379, "redis"),
        ("mongo", 27017, "mongodb"),
    ] {
        let made = create(&owner, &format!("my {kind}"), kind).await;
        assert_eq!(made["status"], "provisioning");
        let slug = format!("my-{kind}");
        let running = database_is(&owner, &slug, "running").await;
        assert_eq!(running["type"], kind);
        let connection = &running["connection"];
        assert_eq!(connection["host"], slug.as_str());
        assert_eq!(connection["port"], port);
        assert_eq!(connection["is_pending"], false);
        let password = connection["password"].as_str().expect("a password");
        assert_eq!(password.len(), 48);
        let url = connection["url"].as_str().expect("an address");
        assert!(url.starts_with(&format!("{scheme}://")), "{url}");
        assert!(url.contains(password), "{url}");
        let by_id = owner
            .get(&format!(
                "databases/{}",
                running["id"].as_str().expect("an id")
            ))
            .await;
        assert_eq!(by_id.data(), &running);
    }
    let list = owner.get("databases").await;
    assert_eq!(list.data().as_array().map(Vec::len), Some(4));
    assert_eq!(list.body["meta"]["total"], 4);
    // Its server reaches no visitor, and is no project to those who ask for projects.
    assert_eq!(owner.get("projects").await.data(), &json!([]));
    assert_eq!(owner.get("projects/my-redis").await.status, 404);
    assert_eq!(owner.get("projects/my-redis/env").await.status, 404);
    assert!(lab.data_plane.route("demo-my-redis.localhost").is_none());
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn members_see_no_password_and_other_workspaces_see_nothing() {
    let (lab, owner) = lab().await;
    create(&owner, "db", "postgresql").await;
    database_is(&owner, "db", "running").await;
    let member = lab.member(&owner, "member").await;
    let seen = member.get("databases/db").await;
    assert_eq!(seen.data()["connection"]["password"], Value::Null);
    assert_eq!(seen.data()["connection"]["url"], Value::Null);
    assert_eq!(
        member
            .post("databases/db/reset-password", json!({}))
            .await
            .status,
        403
    );
    let stranger = lab.owner("other").await;
    assert_eq!(stranger.get("databases/db").await.status, 404);
    let foreign = stranger.in_workspace("demo");
    assert_eq!(foreign.get("databases/db").await.status, 404);
}

#[tokio::test]
async fn names_are_shared_with_projects_and_what_is_wrong_is_named() {
    let (_lab, owner) = lab().await;
    owner.project("shop", "app:1").await;
    for (body, status, field) in [
        (json!({"name": "shop", "type": "redis"}), 409, None),
        (json!({"name": "a", "type": "oracle"}), 400, None),
        (
            json!({"name": "a", "type": "redis", "version": "99"}),
            400,
            Some("version"),
        ),
        (
            json!({"name": "a", "type": "mysql", "ram": "0.1"}),
            400,
            Some("ram"),
        ),
        (
            json!({"name": "a", "type": "redis", "storage_gb": 0}),
            400,
            Some("storage_gb"),
        ),
    ] {
        let answer = owner.post("databases", body.clone()).await;
        assert_eq!(answer.status, status, "{body} {answer:?}");
        if let Some(field) = field {
            assert!(answer.error().contains(field), "{answer:?}");
        }
    }
    let alias = json!({"name": "a", "db_type": "redis"});
    assert_eq!(owner.post("databases", alias).await.status, 202);
}

#[tokio::test]
async fn a_database_stops_starts_and_restarts_with_the_same_volume() {
    let (lab, owner) = lab().await;
    create(&owner, "db", "postgresql").await;
    database_is(&owner, "db", "running").await;
    let volumes = lab.driver.peek_volumes();
    assert_eq!(volumes.len(), 1);
    let first = replica(&lab);

    act(&owner, "db/stop").await;
    database_is(&owner, "db", "stopped").await;
    lab.has_replicas(0).await;
    assert_eq!(lab.driver.peek_volumes(), volumes, "its data is kept");

    act(&owner, "db/start").await;
    database_is(&owner, "db", "running").await;
    let second = replica(&lab);
    assert_ne!(first, second);

    act(&owner, "db/restart").await;
    database_is(&owner, "db", "running").await;
    eventually("another replica serves", async || {
        let names: Vec<_> = lab.driver.peek().into_iter().map(|one| one.name).collect();
        match names.len() == 1 && names[0] != second {
            true => Ok(()),
            false => Err(format!("{names:?}")),
        }
    })
    .await;
    assert_eq!(lab.driver.peek_volumes(), volumes);

    let deleted = owner.delete("databases/db").await;
    assert_eq!(deleted.status, 200);
    lab.has_replicas(0).await;
    eventually("the volume is gone", async || {
        match lab.driver.peek_volumes().is_empty() {
            true => Ok(()),
            false => Err("it is there".to_owned()),
        }
    })
    .await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_database_that_failed_says_why_and_is_tried_again() {
    let (lab, owner) = lab().await;
    let crash = "exit 3".parse().expect("a program");
    lab.driver.publish_image("redis:8", crash);
    let made = create(&owner, "cache", "redis").await;
    let failed = database_is(&owner, "cache", "failed").await;
    let error = failed["error"].as_str().expect("a reason");
    assert!(error.contains('3'), "{error}");
    lab.driver.add_image("redis:8", Program::default());
    act(&owner, "cache/retry").await;
    let running = database_is(&owner, "cache", "running").await;
    assert_eq!(running["id"], made["id"], "its record is kept");
    assert_eq!(
        running["connection"]["password"], made["connection"]["password"],
        "and so is its account"
    );
    // Nobody had ever logged in: what the first try left is not built upon.
    let cleared = |step: &EngineStep| matches!(step, EngineStep::RemoveVolumes { .. });
    assert!(lab.driver.applied().iter().any(cleared));
    let answer = owner.post("databases/cache/retry", json!({})).await;
    assert_eq!((answer.status, answer.code()), (409, "not_failed"));
}

#[tokio::test]
async fn data_that_somebody_logged_in_to_is_never_cleared() {
    let (lab, owner) = lab().await;
    create(&owner, "cache", "redis").await;
    database_is(&owner, "cache", "running").await;
    act(&owner, "cache/stop").await;
    database_is(&owner, "cache", "stopped").await;
    lab.has_replicas(0).await;
    let before = lab.driver.applied().len();
    lab.driver
        .publish_image("redis:8", "exit 3".parse().expect("a program"));
    lab.driver
        .add_image("redis:8", "exit 3".parse().expect("a program"));
    act(&owner, "cache/start").await;
    database_is(&owner, "cache", "failed").await;
    lab.driver.add_image("redis:8", Program::default());
    act(&owner, "cache/retry").await;
    database_is(&owner, "cache", "running").await;
    let cleared = |step: &EngineStep| matches!(step, EngineStep::RemoveVolumes { .. });
    assert!(!lab.driver.applied()[before..].iter().any(cleared));
}

#[tokio::test]
async fn a_new_password_counts_at_once_or_says_that_it_is_pending() {
    let (lab, owner) = lab().await;
    create(&owner, "db", "mysql").await;
    let before = database_is(&owner, "db", "running").await;
    let reset = act(&owner, "db/reset-password").await;
    assert_ne!(
        reset["connection"]["password"],
        before["connection"]["password"]
    );
    assert_eq!(reset["connection"]["is_pending"], false);

    act(&owner, "db/stop").await;
    database_is(&owner, "db", "stopped").await;
    lab.has_replicas(0).await;
    let pending = act(&owner, "db/reset-password").await;
    assert_eq!(
        pending["connection"]["is_pending"], true,
        "nobody could tell it"
    );
    act(&owner, "db/start").await;
    let running = database_is(&owner, "db", "running").await;
    assert_eq!(running["connection"]["is_pending"], false);
    assert_eq!(
        running["connection"]["password"],
        pending["connection"]["password"]
    );
}

#[tokio::test]
async fn sizes_reach_the_server_with_the_next_restart_and_majors_are_not_mixed() {
    let (lab, owner) = lab().await;
    lab.driver
        .publish_image("postgres:17.6", Program::default());
    create(&owner, "db", "postgresql").await;
    database_is(&owner, "db", "running").await;
    let refused = owner.put("databases/db", json!({"version": "16"})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.error().contains("restore"), "{refused:?}");
    let body = json!({"version": "17.6", "ram": "2", "storage_gb": 50, "backup_keep": 3});
    let changed = owner.put("databases/db", body).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.data()["storage"]["limit_gb"], 50);
    assert_eq!(changed.data()["backups"]["keep"], 3);
    let first = replica(&lab);
    act(&owner, "db/restart").await;
    let spec = eventually("the new server runs", async || {
        let names: Vec<_> = lab.driver.peek().into_iter().map(|one| one.name).collect();
        match names.as_slice() {
            [name] if *name != first => Ok(lab.driver.spec_of(name).expect("a spec")),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(spec.image, "postgres:17.6");
    let words = spec.command.expect("a command").join(" ");
    assert!(words.contains("shared_buffers=512MB"), "{words}");
}

#[tokio::test]
async fn backups_are_made_on_request_and_on_schedule_kept_and_restored() {
    let (lab, owner) = lab().await;
    create(&owner, "db", "postgresql").await;
    database_is(&owner, "db", "running").await;
    let made = act(&owner, "db/backups").await;
    assert_eq!(made["status"], "running");
    let id = made["id"].as_str().expect("an id").to_owned();
    let done = backup_is(&owner, &id, "succeeded").await;
    assert!(done["size_bytes"].as_u64() > Some(0), "{done}");
    let path = format!("databases/db/backups/{id}/download");
    let dump = owner.download(&path).await;
    assert_eq!(dump, b"PGDMP of a fake");
    assert_eq!(done["dump_bytes"], dump.len());

    let body = json!({"backup_schedule": "0 3 * * *", "backup_keep": 1});
    let set = owner.put("databases/db", body).await;
    assert_eq!(set.status, 200, "{set:?}");
    let next = set.data()["backups"]["next_at"].as_str().expect("a time");
    lab.clock.set(next.parse().expect("a time"));
    let kept = eventually("the schedule made one, and one is kept", async || {
        let list = owner.get("databases/db/backups").await;
        let list = list.data().as_array().expect("a list").clone();
        match list.as_slice() {
            [one] if one["created_by"] == "schedule" && one["status"] == "succeeded" => {
                Ok(one.clone())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let bad = json!({"backup_schedule": "at night"});
    assert_eq!(owner.put("databases/db", bad).await.status, 400);

    let id = kept["id"].as_str().expect("an id");
    act(&owner, &format!("db/backups/{id}/restore")).await;
    eventually("it was restored", async || {
        let restore = owner.get("databases/db").await.data()["restore"].clone();
        match restore["status"] == "succeeded" && restore["backup_id"] == id {
            true => Ok(()),
            false => Err(restore.to_string()),
        }
    })
    .await;
    // One of each night is restored elsewhere by itself, and nothing is left of that.
    let proven = eventually("it was proven", async || {
        let answer = owner.get(&format!("databases/db/backups/{id}")).await;
        match answer.data()["proven_at"].is_string() && answer.data()["is_being_proven"] == false {
            true => Ok(answer.data().clone()),
            false => Err(format!("{answer:?}")),
        }
    })
    .await;
    assert_eq!(proven["proof_error"], Value::Null);
    lab.has_replicas(1).await;
    let list = owner.get("databases").await;
    assert_eq!(list.data().as_array().map(Vec::len), Some(1));
    let seen = owner.get("databases/db").await;
    assert_eq!(
        seen.data()["backups"]["last_proven_restore_at"],
        proven["proven_at"]
    );
    let other = owner
        .post(
            &format!("databases/db/backups/{id}/restore"),
            json!({"into": "nothing"}),
        )
        .await;
    assert_eq!(other.status, 400);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

async fn backup_is(owner: &Client, id: &str, status: &str) -> Value {
    eventually(&format!("the backup is {status}"), async || {
        let answer = owner.get(&format!("databases/db/backups/{id}")).await;
        match answer.data()["status"] == status {
            true => Ok(answer.data().clone()),
            false => Err(format!("{answer:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn a_backup_of_a_stopped_database_fails_and_says_so_everywhere() {
    let (lab, owner) = lab().await;
    create(&owner, "db", "postgresql").await;
    database_is(&owner, "db", "running").await;
    act(&owner, "db/stop").await;
    database_is(&owner, "db", "stopped").await;
    lab.has_replicas(0).await;
    let made = act(&owner, "db/backups").await;
    let id = made["id"].as_str().expect("an id").to_owned();
    let failed = backup_is(&owner, &id, "failed").await;
    let why = failed["error"].as_str().expect("a reason");
    assert!(why.contains("start it"), "{why}");
    let seen = owner.get("databases/db").await;
    assert_eq!(seen.data()["backups"]["last_error"], why);
    let refused = owner
        .get(&format!("databases/db/backups/{id}/download"))
        .await;
    assert_eq!((refused.status, refused.code()), (409, "backup_failed"));
}

#[tokio::test]
async fn what_a_database_takes_is_measured() {
    let (lab, owner) = lab().await;
    create(&owner, "db", "postgresql").await;
    database_is(&owner, "db", "running").await;
    lab.clock.advance(Duration::from_secs(600));
    eventually("it was measured", async || {
        let used = owner.get("databases/db").await.data()["storage"]["used_bytes"].clone();
        match used == 2048 * 1024 {
            true => Ok(()),
            false => Err(used.to_string()),
        }
    })
    .await;
}

/// A server with nothing but the images of databases.
async fn lab_to_be_killed() -> (Lab, Client) {
    let lab = Lab::start_to_be_killed(|_| {}).await;
    lab.driver.publish_image("redis:8", Program::default());
    let owner = lab.owner("demo").await;
    (lab, owner)
}

/// Whether a database that is being made has come to an end.
async fn has_settled(owner: &Client) -> Result<Value, String> {
    let record = owner.get("databases/cache").await;
    let status = record.data()["status"].clone();
    match status == "running" || status == "failed" {
        true => Ok(record.data().clone()),
        false => Err(format!("{record:?}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_comes_up_or_fails_wherever_the_server_is_killed() {
    let mut points = 0;
    for when in [When::Before, When::After] {
        for nth in 1..20 {
            let (mut lab, mut owner) = lab_to_be_killed().await;
            lab.driver.gate().arm(nth, when);
            create(&owner, "cache", "redis").await;
            let point = format!("{when:?} effect {nth}");
            let is_reached = eventually(&point, async || {
                if lab.driver.gate().is_reached() {
                    return Ok(true);
                }
                has_settled(&owner).await.map(|_| false)
            })
            .await;
            if is_reached {
                points += 1;
                lab.kill().await;
                owner = owner.at(&lab);
            }
            lab.driver.gate().open();
            let settled = eventually(&point, async || has_settled(&owner).await).await;
            if settled["status"] == "failed" {
                assert!(settled["error"].is_string(), "{point}: {settled}");
                act(&owner, "cache/retry").await;
                database_is(&owner, "cache", "running").await;
            }
            lab.has_replicas(1).await;
            assert_eq!(lab.driver.peek_volumes().len(), 1, "{point}");
            assert_eq!(lab.fsck().await, Vec::<String>::new(), "{point}");
            assert_eq!(owner.delete("databases/cache").await.status, 200);
            lab.has_replicas(0).await;
            eventually(&format!("{point}: no volume is left"), async || {
                match lab.driver.peek_volumes().as_slice() {
                    [] => Ok(()),
                    left => Err(format!("{left:?}")),
                }
            })
            .await;
            if !is_reached {
                break;
            }
        }
    }
    assert!(points >= 4, "{points} points are too few to be all");
}

#[tokio::test]
async fn a_databases_own_client_is_for_admins_and_for_one_that_runs() {
    let (lab, owner) = lab().await;
    create(&owner, "db", "postgresql").await;
    database_is(&owner, "db", "running").await;
    let member = lab.member(&owner, "member").await;
    let open = async |client: &Client| {
        crate::log_socket::read_path(&lab, "databases/db/connect", client.key.as_deref()).await
    };
    assert_eq!(open(&member).await.err(), Some(403));
    // The fake's client ends at once; that it was started is in the audit log.
    assert!(open(&owner).await.is_ok());
    let events = owner.get("events").await;
    let acts = events.data().to_string();
    assert!(acts.contains("database.connect"), "{acts}");
    act(&owner, "db/stop").await;
    lab.has_replicas(0).await;
    assert_eq!(open(&owner).await.err(), Some(409));
}

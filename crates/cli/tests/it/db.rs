//! `tose db`.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tose_api::database::{
    BackupPolicy, BackupStatus, BackupView, Connection, DatabaseStatus, DatabaseView, ExposeView,
    RestoreView,
};

use crate::harness::Sandbox;
use crate::prompt::start;
use crate::stand_in::{Answer, Request, StandIn, failure, frames, page, success};
use crate::terminal::{read_until, terminal};
use crate::views::{BACKUP_ID, PASSWORD, backup, database, time};

const DATABASES: &str = "/api/workspaces/demo/databases";

/// Answers every call with the same database.
fn server(database: DatabaseView) -> StandIn {
    StandIn::start(move |_, _, _| success(database.clone()))
}

fn last(server: &StandIn) -> Request {
    server.requests().pop().expect("a request")
}

fn body(request: &Request) -> Value {
    serde_json::from_str(&request.body).expect("JSON")
}

/// Answers the calls of `tose db create`; `ends` is what the database comes to.
fn creating(ends: DatabaseStatus) -> StandIn {
    StandIn::start(move |method, path, count| match (method, path) {
        ("POST", DATABASES) => success(database(DatabaseStatus::Provisioning)),
        ("GET", "/api/workspaces/demo/databases/orders") => success(database(match count {
            1 => DatabaseStatus::Provisioning,
            _ => ends,
        })),
        _ => failure(404, "not_found", &format!("{method} {path}")),
    })
}

#[test]
fn a_database_is_made_and_waited_for() {
    let server = creating(DatabaseStatus::Running);
    let arguments = ["db", "create", "Orders", "--type", "postgresql"];
    let sizes = [
        "--version",
        "17",
        "--cpu",
        "1",
        "--ram",
        "2",
        "--storage-gb",
        "50",
    ];
    let outcome = Sandbox::linked(&server).run(&[&arguments[..], &sizes].concat());
    assert!(!outcome.to_string().contains(PASSWORD), "{outcome}");
    assert_snapshot!(outcome);
    let expected = json!({
        "name": "Orders", "type": "postgresql", "version": "17", "cpu": "1", "ram": "2",
        "storage_gb": 50,
    });
    assert_eq!(body(&server.requests()[0]), expected);
}

#[test]
fn a_database_that_cannot_be_started_is_a_failure() {
    let in_time = creating(DatabaseStatus::Failed);
    let arguments = ["db", "create", "Orders", "--type", "postgres"];
    let sandbox = Sandbox::linked(&in_time);
    assert_snapshot!(sandbox.run(&arguments));
    let at_once = server(database(DatabaseStatus::Failed));
    let sandbox = Sandbox::linked(&at_once);
    assert_snapshot!(sandbox.run(&[&arguments[..], &["--json"]].concat()));
}

#[test]
fn a_database_need_not_be_waited_for() {
    let server = server(database(DatabaseStatus::Provisioning));
    let sandbox = Sandbox::linked(&server);
    let create = ["db", "create", "Orders", "--type", "postgresql"];
    let flags = ["--no-wait", "--show-password"];
    assert_snapshot!(sandbox.run(&[&create[..], &flags].concat()));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn what_the_server_does_not_make_is_told() {
    let server = StandIn::start(|_, _, _| failure(409, "taken", "the slug `orders` is in use"));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "create", "Orders", "--type", "redis"]));
    assert_snapshot!(sandbox.run(&["db", "create", "Orders", "--type", "oracle"]));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn databases_are_listed_without_their_passwords() {
    let failed = DatabaseView {
        backups: BackupPolicy {
            last_succeeded_at: Some(time(0)),
            last_error: Some("the disk is full".to_owned()),
            ..database(DatabaseStatus::Running).backups
        },
        ..database(DatabaseStatus::Failed)
    };
    let server = StandIn::start(move |_, _, _| {
        page(vec![database(DatabaseStatus::Running), failed.clone()])
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db"]));
    let listed = sandbox.run(&["db", "list", "--json"]).ok();
    assert!(!listed.stdout.contains(PASSWORD), "{listed}");
    assert_eq!(last(&server).path, format!("{DATABASES}?page=1&limit=50"));
}

#[test]
fn a_password_is_shown_only_when_it_is_asked_for() {
    let server = server(DatabaseView {
        restore: Some(RestoreView {
            backup_id: BACKUP_ID.parse().expect("an id"),
            status: BackupStatus::Failed,
            error: Some("the dump is broken".to_owned()),
            finished_at: Some(time(0)),
        }),
        backups: BackupPolicy {
            schedule: Some("30 3 * * *".to_owned()),
            keep: 7,
            next_at: Some(time(1_000)),
            last_succeeded_at: Some(time(0)),
            last_error: Some("the disk is full".to_owned()),
            last_proven_restore_at: None,
        },
        expose: Some(ExposeView {
            host: "db.example.com".to_owned(),
            port: 20_000_u64.try_into().expect("a port"),
            allow: Vec::new(),
            url: Some(format!(
                "postgresql://orders:{PASSWORD}@db.example.com:20000/orders"
            )),
        }),
        ..database(DatabaseStatus::Running)
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "info", "orders", "--show-password"]));
    for hides in [
        &["db", "info", "orders"][..],
        &["db", "info", "orders", "--json"],
        &["db", "stop", "orders", "--json"],
        &["db", "update", "orders", "--backup-keep", "3", "--json"],
        &["db", "reset-password", "orders", "--json"],
    ] {
        let outcome = sandbox.run(hides).ok();
        assert!(!outcome.to_string().contains(PASSWORD), "{outcome}");
    }
}

#[test]
fn members_see_no_password() {
    let seen = database(DatabaseStatus::Running);
    let server = server(DatabaseView {
        connection: Connection {
            password: None,
            url: None,
            is_pending: true,
            ..seen.connection.clone()
        },
        ..seen
    });
    let sandbox = Sandbox::linked(&server);
    let outcome = sandbox
        .run(&["db", "info", "orders", "--show-password"])
        .ok();
    assert_snapshot!(outcome.stderr);
}

#[test]
fn a_database_that_is_not_there_ends_with_5() {
    let server = StandIn::start(|_, _, _| failure(404, "not_found", "there is no such database"));
    assert_snapshot!(Sandbox::linked(&server).run(&["db", "info", "orders"]));
}

#[test]
fn what_a_database_does_is_changed() {
    let server = server(database(DatabaseStatus::Provisioning));
    let sandbox = Sandbox::linked(&server);
    for act in ["start", "stop", "restart", "retry"] {
        let outcome = sandbox.run(&["db", act, "orders"]).ok();
        assert_eq!(outcome.stdout, "orders  provisioning  postgresql 17\n");
    }
    assert_snapshot!(server.transcript());
}

#[test]
fn a_database_that_did_not_fail_is_not_tried_again() {
    let text = "the database is running; retry is for one that failed";
    let server = StandIn::start(move |_, _, _| failure(409, "not_failed", text));
    assert_snapshot!(Sandbox::linked(&server).run(&["db", "retry", "orders"]));
}

#[test]
fn only_what_is_named_is_changed() {
    let server = server(database(DatabaseStatus::Running));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "update", "orders", "--ram", "2"]));
    assert_eq!(body(&last(&server)), json!({"ram": "2"}));
    for (schedule, sent) in [("30 3 * * *", json!("30 3 * * *")), ("off", Value::Null)] {
        sandbox
            .run(&["db", "update", "orders", "--backup-schedule", schedule])
            .ok();
        assert_eq!(body(&last(&server)), json!({"backup_schedule": sent}));
    }
    assert_eq!(sandbox.run(&["db", "update", "orders"]).code, Some(2));
}

#[test]
fn another_password_needs_other_deployments() {
    let server = server(database(DatabaseStatus::Running));
    assert_snapshot!(Sandbox::linked(&server).run(&["db", "reset-password", "orders"]));
    assert_snapshot!(server.transcript());
}

#[test]
fn a_database_is_deleted_when_its_slug_was_typed() {
    let server = StandIn::start(|_, _, _| success(json!({ "deleted": "orders" })));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "delete", "orders"]));
    let (mut person, program) = terminal();
    let child = start(&sandbox, &["db", "delete", "orders"], program);
    read_until(&mut person, "Type `orders` to delete it: ");
    assert!(server.requests().is_empty());
    person.write_all(b"others\n").expect("the binary reads");
    assert_eq!(sandbox.wait(child).code, Some(2));
    assert_snapshot!(sandbox.run(&["db", "delete", "orders", "--yes"]));
    assert_eq!(server.transcript(), format!("DELETE {DATABASES}/orders"));
}

#[test]
fn what_a_databases_server_writes_is_shown() {
    let line = "2026-01-01T00:00:01Z ready to accept connections";
    let server = StandIn::start(move |_, path, _| match path {
        path if path.contains("/live-logs?") => frames(&[line, "[END]"]),
        path if path.contains("/download?") => Answer::Http(200, "", "gzip".to_owned()),
        _ => success(json!({"lines": [], "cursor": null})),
    });
    let sandbox = Sandbox::linked(&server);
    let shown = sandbox.run(&["db", "logs", "orders", "--tail", "5"]).ok();
    assert_eq!(shown.stdout, format!("{line}\n"));
    let until = ["db", "logs", "orders", "--until", "2026-01-02T00:00:00Z"];
    sandbox.run(&until).ok();
    let saved = sandbox
        .run(&["db", "logs", "orders", "--download", "-"])
        .ok();
    assert_eq!(saved.stdout, "gzip");
    assert_snapshot!(server.transcript());
}

/// Answers the calls that are about backups; `ends` is what becomes of one that is begun.
fn backups(ends: BackupStatus) -> StandIn {
    let id = BACKUP_ID.parse().expect("an id");
    let restored = move |database_status| DatabaseView {
        restore: Some(RestoreView {
            backup_id: id,
            status: ends,
            error: (ends == BackupStatus::Failed).then(|| "the dump is broken".to_owned()),
            finished_at: Some(time(0)),
        }),
        ..database(database_status)
    };
    StandIn::start(move |method, path, _| {
        let path = path.trim_start_matches(DATABASES);
        match (method, path.split('?').next().unwrap_or_default()) {
            ("POST", "/orders/backups") => success(backup(BackupStatus::Running)),
            ("GET", "/orders/backups") => page(vec![
                BackupView {
                    id: "0198c0de-0000-7000-8000-0000000000bb"
                        .parse()
                        .expect("an id"),
                    ..backup(BackupStatus::Failed)
                },
                backup(BackupStatus::Succeeded),
            ]),
            ("POST", path) if path.ends_with("/restore") => {
                success(restored(DatabaseStatus::Running))
            }
            ("GET", "/orders" | "/copy") => success(restored(DatabaseStatus::Running)),
            ("GET", path) if path.ends_with("/download") => Answer::Http(
                200,
                "content-disposition: attachment; filename=\"orders-1.dump\"\r\n",
                "the dump".to_owned(),
            ),
            ("GET", path) if path.ends_with(BACKUP_ID) => success(backup(ends)),
            _ => failure(404, "not_found", &format!("{method} {path}")),
        }
    })
}

#[test]
fn backups_are_listed() {
    let server = backups(BackupStatus::Succeeded);
    assert_snapshot!(Sandbox::linked(&server).run(&["db", "backups", "orders"]));
}

#[test]
fn a_backup_is_made_and_waited_for() {
    let server = backups(BackupStatus::Succeeded);
    assert_snapshot!(Sandbox::linked(&server).run(&["db", "backup", "orders"]));
}

#[test]
fn a_backup_that_cannot_be_made_is_a_failure() {
    let server = backups(BackupStatus::Failed);
    assert_snapshot!(Sandbox::linked(&server).run(&["db", "backup", "orders"]));
    let text = "a backup of the database is being made already; wait for it";
    let server = StandIn::start(move |_, _, _| failure(409, "backup_in_progress", text));
    assert_snapshot!(Sandbox::linked(&server).run(&["db", "backup", "orders"]));
}

#[test]
fn a_backup_is_proven_or_the_reason_is_told() {
    let proves = |error: Option<&'static str>| {
        StandIn::start(move |method, _, _| {
            success(BackupView {
                is_being_proven: method == "POST",
                proof_error: error.map(str::to_owned),
                ..backup(BackupStatus::Succeeded)
            })
        })
    };
    let server = proves(None);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "prove", "orders", BACKUP_ID]));
    let server = proves(Some("its instance is failed"));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "prove", "orders", BACKUP_ID]));
}

#[test]
fn a_database_is_opened_to_the_outside_and_closed() {
    let open = server(DatabaseView {
        expose: Some(ExposeView {
            host: "demo-orders.example.com".to_owned(),
            port: 31_000_u64.try_into().expect("a port"),
            allow: Vec::new(),
            url: Some(format!(
                "postgresql://orders:{PASSWORD}@demo-orders.example.com:31000/orders"
            )),
        }),
        ..database(DatabaseStatus::Running)
    });
    let sandbox = Sandbox::linked(&open);
    assert_snapshot!(sandbox.run(&["db", "expose", "orders"]));
    let args = [
        "db",
        "expose",
        "orders",
        "--allow",
        "203.0.113.0/24",
        "--json",
    ];
    let seen = sandbox.run(&args).to_string();
    assert!(!seen.contains(PASSWORD), "{seen}");
    let asked = body(&last(&open));
    assert_eq!(asked, json!({"enabled": true, "allow": ["203.0.113.0/24"]}));
    assert_snapshot!(sandbox.run(&["db", "expose", "orders", "--allow", "everybody"]));
    let closed = server(database(DatabaseStatus::Running));
    assert_snapshot!(Sandbox::linked(&closed).run(&["db", "hide", "orders"]));
    assert_eq!(body(&last(&closed)), json!({"enabled": false, "allow": []}));
}

#[test]
fn the_newest_good_backup_is_restored() {
    let server = backups(BackupStatus::Succeeded);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "restore", "orders", "latest", "--yes"]));
    assert_snapshot!(server.transcript());
}

#[test]
fn a_restore_replaces_nothing_before_somebody_has_agreed() {
    let server = backups(BackupStatus::Succeeded);
    let sandbox = Sandbox::linked(&server);
    let arguments = ["db", "restore", "orders", BACKUP_ID, "--into", "copy"];
    assert_snapshot!(sandbox.run(&arguments));
    for (answer, code) in [("orders\n", 2), ("copy\n", 0)] {
        let asked = server.requests();
        assert!(asked.iter().all(|request| request.method == "GET"));
        let (mut person, program) = terminal();
        let child = start(&sandbox, &arguments, program);
        read_until(&mut person, "Type `copy` to go on: ");
        person
            .write_all(answer.as_bytes())
            .expect("the binary reads");
        read_until(&mut person, "copy");
        assert_eq!(sandbox.wait(child).code, Some(code));
    }
    let requests = server.requests();
    let sent = requests.iter().find(|request| request.method == "POST");
    assert_eq!(body(sent.expect("a request")), json!({"into": "copy"}));
}

#[test]
fn a_restore_that_goes_wrong_is_a_failure() {
    let server = backups(BackupStatus::Failed);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "restore", "orders", BACKUP_ID, "--yes"]));
    assert_snapshot!(sandbox.run(&["db", "restore", "orders", "newest", "--yes"]));
    let server = StandIn::start(|_, _, _| page::<BackupView>(Vec::new()));
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "restore", "orders", "latest", "--yes"]));
}

#[test]
fn a_dump_is_written_to_a_file() {
    let server = backups(BackupStatus::Succeeded);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "download", "orders", "latest"]));
    let saved = fs::read_to_string(sandbox.file("orders-1.dump"));
    assert_eq!(saved.expect("a file"), "the dump");
    assert_snapshot!(sandbox.run(&["db", "download", "orders", BACKUP_ID, "-o", "a", "--json"]));
    assert_eq!(
        fs::read_to_string(sandbox.file("a")).expect("a file"),
        "the dump"
    );
    let passed = sandbox
        .run(&["db", "download", "orders", "latest", "-o", "-"])
        .ok();
    assert_eq!(passed.stdout, "the dump");
}

#[test]
fn a_dump_that_cannot_be_had_leaves_no_file() {
    let server = StandIn::start(|_, path, _| match path.ends_with("/download") {
        true => failure(
            409,
            "backup_failed",
            "the backup failed, so there is nothing in it",
        ),
        false => success(backup(BackupStatus::Failed)),
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "download", "orders", BACKUP_ID, "-o", "a"]));
    assert!(!sandbox.file("a").exists());
}

#[test]
fn a_databases_own_client_gets_the_terminal() {
    let server = StandIn::start(|_, _, _| {
        Answer::Talk(|socket| {
            socket
                .send(Message::binary(b"=> ".as_slice()))
                .expect("a reader");
            socket
                .send(Message::text(r#"{"exit_code":3}"#))
                .expect("a reader");
        })
    });
    let sandbox = Sandbox::linked(&server);
    let (mut person, program) = terminal();
    let child = sandbox
        .command(&["db", "connect", "orders"])
        .stdin(Stdio::from(program.try_clone().expect("a terminal")))
        .stdout(Stdio::from(program.try_clone().expect("a terminal")))
        .spawn()
        .expect("the binary starts");
    read_until(&mut person, "=> ");
    assert_eq!(sandbox.wait(child).code, Some(3));
    let asked = last(&server).path;
    assert!(
        asked.starts_with(&format!("{DATABASES}/orders/connect?tty=true")),
        "{asked}"
    );
    assert_eq!(server.requests().len(), 1, "no password comes here");
}

#[test]
fn a_client_needs_a_terminal_and_an_admin() {
    let server = StandIn::start(|_, _, _| {
        failure(
            403,
            "forbidden",
            "this needs the role admin in the workspace; yours is member",
        )
    });
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["db", "connect", "orders"]));
    assert_snapshot!(sandbox.run(&["db", "connect", "orders", "--json"]));
    assert!(server.requests().is_empty());
    let (_person, program) = terminal();
    let child = sandbox
        .command(&["db", "connect", "orders"])
        .stdin(Stdio::from(program.try_clone().expect("a terminal")))
        .stdout(Stdio::from(program.try_clone().expect("a terminal")))
        .spawn()
        .expect("the binary starts");
    assert_snapshot!(sandbox.wait(child));
}

//! What servers are started with and told, for every kind of database.

use std::net::Ipv4Addr;

use super::*;
use crate::command;

const IP: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 30, 0, 2));

fn account() -> Account {
    Account::new("my_app", "my_app", "secret1".into(), "admin1".into()).expect("an account")
}

fn size(ram_milli: u32) -> RunSpec {
    RunSpec {
        port: port(DatabaseType::Postgresql),
        cpu: tose_api::Cpu::from_milli(500).expect("in range"),
        ram: Ram::from_milli(ram_milli).expect("in range"),
        health_check_path: None,
        start_command: None,
        release_command: None,
        processes: crate::process::Processes::new(),
        volumes: Vec::new(),
        file: None,
    }
}

fn programs(kind: DatabaseType) -> Vec<Program> {
    let account = account();
    let mut programs = vec![
        login(kind, &account, IP),
        client(kind, &account, IP),
        ensure_account(kind, &account),
        dump(kind, &account),
        measure(kind, "1"),
    ];
    let restore = restore(kind, &account);
    assert!(restore.reads_dump < restore.programs.len(), "{kind:?}");
    programs.extend(restore.programs);
    programs
}

#[test]
fn accounts_are_made_of_plain_names_only() {
    let hostile = [
        "", "a b", "a'b", "a\"b", "a`b", "a;b", "a-b", "a\\b", "ä", "$a",
    ];
    for odd in hostile {
        assert!(
            Account::new(odd, "a", "p".into(), "p".into()).is_none(),
            "{odd}"
        );
        assert!(
            Account::new("a", odd, "p".into(), "p".into()).is_none(),
            "{odd}"
        );
        assert!(
            Account::new("a", "a", odd.into(), "p".into()).is_none(),
            "{odd}"
        );
        assert!(
            Account::new("a", "a", "p".into(), odd.into()).is_none(),
            "{odd}"
        );
    }
}

#[test]
fn every_slug_makes_an_account() {
    let long = "a".repeat(40);
    for slug in [
        "my-postgres",
        "1",
        "9-lives",
        "postgres",
        "root",
        "admin",
        "a",
        &long,
    ] {
        let slug: Slug = slug.parse().expect("a slug");
        for kind in DatabaseType::ALL {
            let name = account_name(kind, &slug);
            let database = database_name(kind, &name);
            assert!(name.len() <= MAX_NAME, "{name}");
            assert!(
                !["postgres", "root", "admin"].contains(&name.as_str()),
                "{name}"
            );
            let account = Account::new(&name, &database, "p".into(), "p".into());
            assert!(account.is_some(), "{name} {database}");
        }
    }
}

#[test]
fn no_password_stands_in_an_argument() {
    for kind in DatabaseType::ALL {
        for program in programs(kind) {
            let words = program.request.command.join(" ");
            assert!(
                !words.contains("secret1") && !words.contains("admin1"),
                "{words}"
            );
        }
        let run = run_spec(kind, "8", size(500));
        let command = run.start_command.expect("a command");
        assert!(!command.contains("secret1") && !command.contains("admin1"));
    }
}

#[test]
fn start_commands_keep_the_images_own_entrypoint() {
    for kind in DatabaseType::ALL {
        for ram in [50, 250, 500, 4000] {
            let run = run_spec(kind, "8", size(ram));
            let words = command::split(&run.start_command.expect("a command")).expect("words");
            assert!(
                words
                    .iter()
                    .any(|word| word.contains("docker-entrypoint.sh")),
                "{words:?}"
            );
            assert_eq!(run.port, port(kind));
            assert_eq!(run.volumes.len(), 1);
        }
    }
}

#[test]
fn caches_grow_with_the_memory() {
    let settings = |kind, ram| {
        run_spec(kind, "17", size(ram))
            .start_command
            .expect("a command")
    };
    for (kind, ram, setting) in [
        (DatabaseType::Postgresql, 1000, "shared_buffers=256MB"),
        (DatabaseType::Postgresql, 4000, "shared_buffers=1024MB"),
        (DatabaseType::Mysql, 1000, "--innodb-buffer-pool-size=460M"),
        (DatabaseType::Redis, 1000, "--maxmemory 716mb"),
        (DatabaseType::Mongo, 2000, "--wiredTigerCacheSizeGB 0.799"),
        (DatabaseType::Mongo, 250, "--wiredTigerCacheSizeGB 0.250"),
    ] {
        let command = settings(kind, ram);
        assert!(command.contains(setting), "{command}");
    }
}

#[test]
fn the_folder_of_a_volume_follows_the_version() {
    let folder = |version| {
        let run = run_spec(DatabaseType::Postgresql, version, size(500));
        run.volumes[0].path.clone()
    };
    assert_eq!(folder("17"), "/var/lib/postgresql/data");
    assert_eq!(folder("17.6"), "/var/lib/postgresql/data");
    assert_eq!(folder("18"), "/var/lib/postgresql");
    assert_eq!(folder("18.1"), "/var/lib/postgresql");
}

#[test]
fn only_minor_versions_share_their_data() {
    use DatabaseType::{Mysql, Postgresql};
    for (kind, one, other, expected) in [
        (Postgresql, "17", "17.6", true),
        (Postgresql, "17.5", "17.6", true),
        (Postgresql, "17", "18", false),
        (Mysql, "8.4", "8.4.3", true),
        (Mysql, "8.0", "8.4", false),
        (Mysql, "8", "8.0", true),
    ] {
        assert_eq!(is_same_major(kind, one, other), expected, "{one} {other}");
    }
}

#[test]
fn addresses_are_those_that_clients_take() {
    let of = |kind| {
        let url = url(kind, &account(), "db", port(kind));
        url.expose_secret().to_owned()
    };
    assert_eq!(
        of(DatabaseType::Postgresql),
        "postgresql://my_app:secret1@db:5432/my_app"
    );
    assert_eq!(
        of(DatabaseType::Mysql),
        "mysql://my_app:secret1@db:3306/my_app"
    );
    assert_eq!(
        of(DatabaseType::Mongo),
        "mongodb://my_app:secret1@db:27017/my_app?authSource=my_app"
    );
    let redis = Account::new("default", "0", "p".into(), "a".into()).expect("an account");
    let redis = url(DatabaseType::Redis, &redis, "db", port(DatabaseType::Redis));
    assert_eq!(redis.expose_secret(), "redis://default:p@db:6379/0");
}

#[test]
fn a_full_storage_is_warned_of() {
    assert_eq!(storage_warning(7 << 30, 10), None);
    let warning = storage_warning(9 << 30, 10).expect("a warning");
    assert!(warning.starts_with("90 %"), "{warning}");
}

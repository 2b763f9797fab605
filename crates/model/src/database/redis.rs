//! Redis 7 and later, as the official image runs it.
//!
//! Apps log in as the user `default`; the platform has a user of its own, because the account may not
//! change the server's configuration.

use tose_api::Ram;

use super::{Account, Program, Restore, share};
use crate::secret::{ExposeSecret, SecretString};

const ADMIN: &str = "tose";
/// What the account may do: everything with its data, nothing with the server.
const RIGHTS: &str = "~* &* +@all -acl -bgrewriteaof -config -debug -failover -module -replicaof -shutdown -slaveof -sync -psync";

/// Each write is on the disk within a second; what does not fit is refused, not dropped.
pub(super) fn command(ram: Ram) -> String {
    let memory = share(ram, 70, 5);
    format!(
        "sh -c 'exec docker-entrypoint.sh redis-server --appendonly yes --save \"\" --dir /data --maxmemory {memory}mb --maxmemory-policy noeviction --enable-debug-command local --user {ADMIN} on \">$TOSE_ADMIN_PASSWORD\" \"~*\" \"&*\" +@all --user default on \">$REDIS_PASSWORD\" {}'",
        RIGHTS.replace("~*", "\"~*\"").replace("&*", "\"&*\"")
    )
}

pub(super) fn env(account: &Account) -> Vec<(&'static str, SecretString)> {
    vec![
        ("REDIS_PASSWORD", account.password.clone()),
        ("TOSE_ADMIN_PASSWORD", account.admin_password.clone()),
    ]
}

fn client<'a>(
    password: &SecretString,
    host: &'a str,
    rest: impl IntoIterator<Item = &'a str>,
) -> Program {
    let command = ["redis-cli", "-h", host].into_iter().chain(rest);
    Program::new(command, [("REDISCLI_AUTH", password.clone())])
}

fn as_admin<'a>(account: &Account, rest: impl IntoIterator<Item = &'a str>) -> Program {
    let rest = ["--user", ADMIN].into_iter().chain(rest);
    client(&account.admin_password, "127.0.0.1", rest)
}

pub(super) fn login(account: &Account, host: &str) -> Program {
    client(&account.password, host, ["PING"]).expects("PONG")
}

pub(super) fn shell(account: &Account, host: &str) -> Program {
    client(&account.password, host, [])
}

pub(super) fn ensure_account(account: &Account) -> Program {
    let password = account.password.expose_secret();
    as_admin(account, [])
        .reads(format!(
            "ACL SETUSER default reset on >{password} {RIGHTS}\n"
        ))
        .expects("OK")
}

pub(super) fn dump(account: &Account) -> Program {
    as_admin(account, ["--rdb", "-"])
}

/// The server reads the dump in place of what it has. It keeps no journal meanwhile, and begins one with
/// what was read.
pub(super) fn restore(account: &Account) -> Restore {
    let says = |line: &str| {
        as_admin(account, [])
            .reads(format!("{line}\n"))
            .expects("OK")
    };
    let read = Program::new(["sh", "-c", "cat > /data/dump.rdb"], []);
    let clean = Program::new(["rm", "-f", "/data/dump.rdb"], []);
    Restore {
        programs: vec![
            read,
            says("CONFIG SET appendonly no"),
            says("DEBUG RELOAD NOSAVE"),
            says("CONFIG SET appendonly yes"),
            clean,
        ],
        reads_dump: 0,
    }
}

//! MySQL, as the official image runs it. MariaDB takes the same options.

use tose_api::Ram;

use super::{Account, Program, Restore, share};
use crate::secret::{ExposeSecret, SecretString};

pub(super) fn command(ram: Ram) -> String {
    let pool = share(ram, 45, 32);
    // What the server keeps of its own work is larger than small machines: it is left out there.
    let schema = match ram.bytes() >> 20 {
        0..1024 => " --performance-schema=OFF",
        _ => "",
    };
    format!(
        "docker-entrypoint.sh mysqld --innodb-buffer-pool-size={pool}M --max-connections=150 --character-set-server=utf8mb4{schema}"
    )
}

pub(super) fn env(account: &Account) -> Vec<(&'static str, SecretString)> {
    vec![
        ("MYSQL_ROOT_PASSWORD", account.admin_password.clone()),
        // The administrator logs in from inside only.
        ("MYSQL_ROOT_HOST", "localhost".into()),
    ]
}

pub(super) fn login(account: &Account, host: &str) -> Program {
    let command = [
        "mysql",
        "--no-defaults",
        "--connect-timeout=3",
        "-h",
        host,
        "-u",
        &account.username,
        "-D",
        &account.database,
        "-N",
        "-B",
        "-e",
        "SELECT 1",
    ];
    Program::new(command, [("MYSQL_PWD", account.password.clone())]).expects("1")
}

pub(super) fn client(account: &Account, host: &str) -> Program {
    let command = [
        "mysql",
        "-h",
        host,
        "-u",
        &account.username,
        "-D",
        &account.database,
    ];
    Program::new(command, [("MYSQL_PWD", account.password.clone())])
}

fn as_admin<'a>(
    account: &Account,
    program: &'a str,
    rest: impl IntoIterator<Item = &'a str>,
) -> Program {
    let command = [program, "--no-defaults", "-u", "root"]
        .into_iter()
        .chain(rest);
    Program::new(command, [("MYSQL_PWD", account.admin_password.clone())])
}

pub(super) fn ensure_account(account: &Account) -> Program {
    as_admin(account, "mysql", []).reads(account_script(account))
}

fn account_script(account: &Account) -> String {
    let (user, database) = (&account.username, &account.database);
    let password = account.password.expose_secret();
    format!(
        "CREATE DATABASE IF NOT EXISTS `{database}`;\n\
         CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY '{password}';\n\
         ALTER USER '{user}'@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL PRIVILEGES ON `{database}`.* TO '{user}'@'%';\n"
    )
}

pub(super) fn dump(account: &Account) -> Program {
    let options = [
        "--single-transaction",
        "--quick",
        "--routines",
        "--triggers",
        "--events",
        "--hex-blob",
        "--no-tablespaces",
        "--loose-set-gtid-purged=OFF",
        "--skip-dump-date",
        &account.database,
    ];
    as_admin(account, "mysqldump", options)
}

pub(super) fn restore(account: &Account) -> Restore {
    let anew = format!(
        "DROP DATABASE IF EXISTS `{}`;\n{}",
        account.database,
        account_script(account)
    );
    Restore {
        programs: vec![
            as_admin(account, "mysql", []).reads(anew),
            as_admin(account, "mysql", [account.database.as_str()]),
        ],
        reads_dump: 1,
    }
}

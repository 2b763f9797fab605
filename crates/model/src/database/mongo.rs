//! MongoDB, as the official image runs it.

use tose_api::Ram;

use super::{Account, Program, Restore, share};
use crate::secret::{ExposeSecret, SecretString};

const ADMIN: &str = "root";
const LOCAL: &str = "127.0.0.1";

pub(super) fn command(ram: Ram) -> String {
    // The least that the server takes is 256 MB.
    let cache = share(ram, 40, 256);
    format!(
        "docker-entrypoint.sh mongod --bind_ip_all --wiredTigerCacheSizeGB {}.{:03}",
        cache / 1024,
        cache % 1024 * 1000 / 1024
    )
}

pub(super) fn env(account: &Account) -> Vec<(&'static str, SecretString)> {
    vec![
        ("MONGO_INITDB_ROOT_USERNAME", ADMIN.into()),
        ("MONGO_INITDB_ROOT_PASSWORD", account.admin_password.clone()),
    ]
}

/// A shell that logs in by what its variables say, and then runs `script`.
fn shell(host: &str, user: &str, database: &str, password: &SecretString, script: &str) -> Program {
    let script = format!(
        "db = db.getSiblingDB(process.env.TOSE_DATABASE); db.auth(process.env.TOSE_USER, process.env.TOSE_PASSWORD); {script}"
    );
    let address =
        format!("mongodb://{host}:27017/?directConnection=true&serverSelectionTimeoutMS=3000");
    let command = ["mongosh", "--quiet", "--norc", &address, "--eval", &script];
    let env = [
        ("TOSE_USER", user.into()),
        ("TOSE_DATABASE", database.into()),
        ("TOSE_PASSWORD", password.clone()),
        // The shell keeps a history and settings there, which nobody needs.
        ("HOME", "/tmp".into()),
    ];
    Program::new(command, env).expects("1")
}

pub(super) fn login(account: &Account, host: &str) -> Program {
    let script = "print(db.runCommand({ ping: 1 }).ok)";
    shell(
        host,
        &account.username,
        &account.database,
        &account.password,
        script,
    )
}

pub(super) fn client(account: &Account, host: &str) -> Program {
    let mut program = shell(
        host,
        &account.username,
        &account.database,
        &account.password,
        "",
    );
    program.request.command.push("--shell".to_owned());
    program
}

pub(super) fn ensure_account(account: &Account) -> Program {
    let (user, database) = (&account.username, &account.database);
    let password = account.password.expose_secret();
    // Read from the environment, so that it stands in no argument.
    let script = format!(
        "db = db.getSiblingDB('{database}'); \
         const user = {{ pwd: process.env.TOSE_ACCOUNT_PASSWORD, roles: [{{ role: 'readWrite', db: '{database}' }}, {{ role: 'dbAdmin', db: '{database}' }}] }}; \
         if (db.getUser('{user}')) {{ db.updateUser('{user}', user); }} else {{ db.createUser({{ user: '{user}', ...user }}); }} \
         print(1)"
    );
    let mut program = shell(LOCAL, ADMIN, "admin", &account.admin_password, &script);
    let key = "TOSE_ACCOUNT_PASSWORD".parse().expect("a variable's name");
    program.request.env.push((key, password.into()));
    program
}

/// The tools take a password from a file only; the shell's text is a constant.
fn tool(account: &Account, script: &str) -> Program {
    let env = [
        ("TOSE_PASSWORD", account.admin_password.clone()),
        ("TOSE_DATABASE", account.database.as_str().into()),
    ];
    Program::new(["sh", "-c", script], env)
}

pub(super) fn dump(account: &Account) -> Program {
    tool(
        account,
        "umask 077; f=$(mktemp) && trap 'rm -f \"$f\"' EXIT && printf 'password: %s\\n' \"$TOSE_PASSWORD\" >\"$f\" && mongodump --quiet --config \"$f\" --host 127.0.0.1 --username root --authenticationDatabase admin --db \"$TOSE_DATABASE\" --archive",
    )
}

pub(super) fn restore(account: &Account) -> Restore {
    let drop = "db = db.getSiblingDB(process.env.TOSE_RESTORED); db.dropDatabase(); print(1)";
    let mut drop = shell(LOCAL, ADMIN, "admin", &account.admin_password, drop);
    let key = "TOSE_RESTORED".parse().expect("a variable's name");
    let database = account.database.as_str().into();
    drop.request.env.push((key, database));
    // A dump of another database goes into this one.
    let read = tool(
        account,
        "umask 077; f=$(mktemp) && trap 'rm -f \"$f\"' EXIT && printf 'password: %s\\n' \"$TOSE_PASSWORD\" >\"$f\" && mongorestore --quiet --config \"$f\" --host 127.0.0.1 --username root --authenticationDatabase admin --archive --nsFrom '$db$.$collection$' --nsTo \"$TOSE_DATABASE.\\$collection\\$\"",
    );
    Restore {
        programs: vec![drop, read],
        reads_dump: 1,
    }
}

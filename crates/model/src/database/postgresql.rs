//! PostgreSQL, as the official image runs it.

use tose_api::Ram;

use super::{Account, Program, Restore, share};
use crate::secret::SecretString;

/// The server's own administrator.
const ADMIN: &str = "postgres";
/// Extensions that are there from the beginning, if the image has them. Others can be added by the account
/// where PostgreSQL trusts them.
const EXTENSIONS: [&str; 2] = ["pgcrypto", "vector"];

/// Settings as PostgreSQL's own documentation advises for a server with this memory for itself.
pub(super) fn command(ram: Ram) -> String {
    let shared = share(ram, 25, 16);
    let cache = share(ram, 60, 32);
    let maintenance = share(ram, 6, 16);
    format!(
        "docker-entrypoint.sh postgres -c shared_buffers={shared}MB -c effective_cache_size={cache}MB -c maintenance_work_mem={maintenance}MB -c work_mem=4MB -c max_connections=100 -c password_encryption=scram-sha-256 -c log_min_messages=warning"
    )
}

/// Where the volume is. From 18 on the image keeps a folder for each major version in it.
pub(super) fn folder(version: &str) -> &'static str {
    if is_18(version) {
        "/var/lib/postgresql"
    } else {
        "/var/lib/postgresql/data"
    }
}

fn is_18(version: &str) -> bool {
    let major = version.split('.').next().and_then(|word| word.parse().ok());
    major.is_some_and(|major: u32| major >= 18)
}

pub(super) fn env(version: &str, account: &Account) -> Vec<(&'static str, SecretString)> {
    let mut env = vec![
        ("POSTGRES_USER", SecretString::from(ADMIN)),
        ("POSTGRES_PASSWORD", account.admin_password.clone()),
    ];
    if !is_18(version) {
        // A folder below the volume's own, which may hold `lost+found`.
        env.push(("PGDATA", "/var/lib/postgresql/data/pgdata".into()));
    }
    env
}

pub(super) fn login(account: &Account, host: &str) -> Program {
    let (user, database) = (account.username.as_str(), account.database.as_str());
    let command = [
        "psql", "-X", "-w", "-h", host, "-U", user, "-d", database, "-tAc", "SELECT 1",
    ];
    let env = [
        ("PGPASSWORD", account.password.clone()),
        ("PGCONNECT_TIMEOUT", "3".into()),
    ];
    Program::new(command, env).expects("1")
}

pub(super) fn client(account: &Account, host: &str) -> Program {
    let (user, database) = (account.username.as_str(), account.database.as_str());
    let command = ["psql", "-h", host, "-U", user, "-d", database];
    Program::new(command, [("PGPASSWORD", account.password.clone())])
}

/// A program that acts as the administrator, over the socket.
fn as_admin<'a>(account: &Account, command: impl IntoIterator<Item = &'a str>) -> Program {
    let env = [
        ("PGPASSWORD", account.admin_password.clone()),
        ("PGUSER", ADMIN.into()),
        ("PGCONNECT_TIMEOUT", "3".into()),
    ];
    Program::new(command, env)
}

fn script(account: &Account, text: String) -> Program {
    let command = [
        "psql",
        "-X",
        "-w",
        "-q",
        "-d",
        "postgres",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        "-",
    ];
    as_admin(account, command).reads(text)
}

/// The account owns its database, and is no superuser.
pub(super) fn ensure_account(account: &Account) -> Program {
    script(account, account_script(account))
}

fn account_script(account: &Account) -> String {
    use crate::secret::ExposeSecret;
    let (user, database) = (&account.username, &account.database);
    let password = account.password.expose_secret();
    let mut text = format!(
        "SELECT 'CREATE ROLE \"{user}\"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{user}') \\gexec\n\
         ALTER ROLE \"{user}\" LOGIN PASSWORD '{password}';\n\
         SELECT 'CREATE DATABASE \"{database}\" OWNER \"{user}\"' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{database}') \\gexec\n\
         REVOKE CONNECT ON DATABASE \"{database}\" FROM PUBLIC;\n\
         \\connect \"{database}\"\n"
    );
    for extension in EXTENSIONS {
        // Without its comment: a dump would set that again, which only the owner of an extension may.
        text.push_str(&format!(
            "SELECT 'CREATE EXTENSION IF NOT EXISTS \"{extension}\"' WHERE EXISTS (SELECT FROM pg_available_extensions WHERE name = '{extension}') \\gexec\n\
             SELECT 'COMMENT ON EXTENSION \"{extension}\" IS NULL' WHERE EXISTS (SELECT FROM pg_extension WHERE extname = '{extension}') \\gexec\n"
        ));
    }
    text
}

pub(super) fn dump(account: &Account) -> Program {
    // Not compressed: what is stored is, as a whole.
    let command = ["pg_dump", "-w", "-Fc", "-Z0", "-d", &account.database];
    as_admin(account, command)
}

/// The database is made anew, so that nothing of what there was stays.
pub(super) fn restore(account: &Account) -> Restore {
    let (user, database) = (account.username.as_str(), account.database.as_str());
    let text = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' \\g /dev/null\n\
         DROP DATABASE IF EXISTS \"{database}\" WITH (FORCE);\n{}",
        account_script(account)
    );
    let read = [
        "pg_restore",
        "-w",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--role",
        user,
        "-d",
        database,
    ];
    Restore {
        programs: vec![script(account, text), as_admin(account, read)],
        reads_dump: 1,
    }
}

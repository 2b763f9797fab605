//! Managed databases: what each kind is started with, and how it is talked to.
//!
//! A database is a project that runs a database server's image. What makes it one is here: its
//! settings by its size, and the server's own programs that log in, make the account, dump and
//! restore. These programs run inside the replica, so the platform speaks no database's protocol.
//!
//! Guarantees: no user's text reaches a shell or a script: names and passwords are made of letters,
//! digits and underscores, see [`Account::new`].
//! Not here: running the programs (`tose-server`).

mod mongo;
mod mysql;
mod postgresql;
mod redis;

use std::net::IpAddr;

use tose_api::database::{DatabaseStatus, DatabaseType};
use tose_api::domain_settings::IpRange;
use tose_api::project::Volume;
use tose_api::{BackupId, EnvKey, Port, ProjectId, Ram, Slug, Timestamp, WorkspaceId};

use crate::driver::ExecRequest;
use crate::project::{DesiredState, RunSpec, StatusFacts};
use crate::secret::{ExposeSecret, Sealed, SecretString};

/// A managed database, as the store keeps it beside its project.
#[derive(Debug, Clone)]
pub struct Database {
    /// The project that runs it.
    pub project_id: ProjectId,
    /// The workspace it belongs to.
    pub workspace_id: WorkspaceId,
    /// What kind of database.
    pub kind: DatabaseType,
    /// Which version.
    pub version: String,
    /// Who logs in.
    pub username: String,
    /// The name of the database.
    pub database: String,
    /// The account's password.
    pub password: Sealed,
    /// The password of the server's own administrator, which nobody outside the platform gets.
    pub admin_password: Sealed,
    /// Grows with each change of the account's password.
    pub credentials_revision: u64,
    /// The newest of these that the server is known to have.
    pub applied_revision: u64,
    /// GB that its data may have.
    pub storage_gb: u32,
    /// Bytes that it had when it was last measured.
    pub used_bytes: Option<u64>,
    /// When backups are made, as a cron expression in UTC.
    pub backup_schedule: Option<String>,
    /// How many backups are kept.
    pub backup_keep: u32,
    /// When the next one is due.
    pub next_backup_at: Option<Timestamp>,
    /// The backup that its data is replaced by, or last was.
    pub restore: Option<Restoration>,
    /// How it is reached from the outside, if it is.
    pub exposure: Option<Exposure>,
}

/// How a database is reached from the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The port that leads to it.
    pub port: Port,
    /// From where clients may come; empty lets everybody in.
    pub allow: Vec<IpRange>,
}

/// A backup that a database's data is replaced by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoration {
    /// The backup.
    pub backup_id: BackupId,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
}

/// Who logs in to a database, and by what.
#[derive(Debug, Clone)]
pub struct Account {
    username: String,
    database: String,
    password: SecretString,
    admin_password: SecretString,
}

/// The longest name of an account; MySQL takes no longer ones.
const MAX_NAME: usize = 32;

impl Account {
    /// An account; `None` if a part has anything but letters, digits and underscores.
    pub fn new(
        username: &str,
        database: &str,
        password: SecretString,
        admin_password: SecretString,
    ) -> Option<Self> {
        let is_plain = |text: &str| {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            !text.is_empty() && text.bytes().all(is_word)
        };
        let parts = [
            username,
            database,
            password.expose_secret(),
            admin_password.expose_secret(),
        ];
        let is_usable = parts.into_iter().all(is_plain);
        is_usable.then(|| Self {
            username: username.to_owned(),
            database: database.to_owned(),
            password,
            admin_password,
        })
    }

    /// The password.
    pub fn password(&self) -> &SecretString {
        &self.password
    }
}

/// The name that the account and the database of a project get.
pub fn account_name(kind: DatabaseType, slug: &Slug) -> String {
    if kind == DatabaseType::Redis {
        return "default".to_owned();
    }
    let name = slug.as_str().replace('-', "_");
    let name = match name.as_bytes().first() {
        Some(byte) if byte.is_ascii_digit() => format!("db_{name}"),
        _ => name,
    };
    // These are names of the servers' own.
    let name = match name.as_str() {
        "postgres" | "root" | "mysql" | "admin" | "local" | "config" | "sys" | "public"
        | "template0" | "template1" | "information_schema" | "performance_schema" | "user"
        | "default" | "test" => format!("{name}_db"),
        _ => name,
    };
    name.chars().take(MAX_NAME).collect()
}

/// The name of the database of a project whose account has this name.
pub fn database_name(kind: DatabaseType, account_name: &str) -> String {
    match kind {
        DatabaseType::Redis => "0".to_owned(),
        _ => account_name.to_owned(),
    }
}

/// The port that its server listens on.
pub fn port(kind: DatabaseType) -> Port {
    let number: u64 = match kind {
        DatabaseType::Postgresql => 5432,
        DatabaseType::Mysql => 3306,
        DatabaseType::Redis => 6379,
        DatabaseType::Mongo => 27017,
    };
    Port::try_from(number).expect("a port")
}

/// The address that clients take, with the password in it.
pub fn url(kind: DatabaseType, account: &Account, host: &str, port: Port) -> SecretString {
    let Account {
        username, database, ..
    } = account;
    let password = account.password.expose_secret();
    let (scheme, rest) = match kind {
        DatabaseType::Postgresql => ("postgresql", String::new()),
        DatabaseType::Mysql => ("mysql", String::new()),
        DatabaseType::Redis => ("redis", String::new()),
        DatabaseType::Mongo => ("mongodb", format!("?authSource={database}")),
    };
    format!("{scheme}://{username}:{password}@{host}:{port}/{database}{rest}").into()
}

/// What its server runs with: settings by its memory, and the folder with its data.
pub fn run_spec(kind: DatabaseType, version: &str, size: RunSpec) -> RunSpec {
    let (command, path) = match kind {
        DatabaseType::Postgresql => (postgresql::command(size.ram), postgresql::folder(version)),
        DatabaseType::Mysql => (mysql::command(size.ram), "/var/lib/mysql"),
        DatabaseType::Redis => (redis::command(size.ram), "/data"),
        DatabaseType::Mongo => (mongo::command(size.ram), "/data/db"),
    };
    RunSpec {
        port: port(kind),
        start_command: Some(command),
        volumes: vec![Volume {
            name: "data".parse().expect("a slug"),
            path: path.to_owned(),
        }],
        ..size
    }
}

/// The variables that its server's image reads.
pub fn env(kind: DatabaseType, version: &str, account: &Account) -> Vec<(EnvKey, SecretString)> {
    let pairs = match kind {
        DatabaseType::Postgresql => postgresql::env(version, account),
        DatabaseType::Mysql => mysql::env(account),
        DatabaseType::Redis => redis::env(account),
        DatabaseType::Mongo => mongo::env(account),
    };
    let key = |name: &str| name.parse().expect("a variable's name");
    pairs
        .into_iter()
        .map(|(name, value)| (key(name), value))
        .collect()
}

/// A program to run inside a database's replica.
#[derive(Debug, Clone)]
pub struct Program {
    /// The arguments and variables.
    pub request: ExecRequest,
    /// What it reads.
    pub input: Option<SecretString>,
    /// What the last line of its output has to be, if that matters.
    pub expects: Option<&'static str>,
}

impl Program {
    fn new<'a>(
        command: impl IntoIterator<Item = &'a str>,
        env: impl IntoIterator<Item = (&'static str, SecretString)>,
    ) -> Self {
        let key = |name: &str| name.parse().expect("a variable's name");
        Self {
            request: ExecRequest {
                command: command.into_iter().map(str::to_owned).collect(),
                env: env
                    .into_iter()
                    .map(|(name, value)| (key(name), value))
                    .collect(),
                tty: None,
            },
            input: None,
            expects: None,
        }
    }

    fn reads(self, input: String) -> Self {
        Self {
            input: Some(input.into()),
            ..self
        }
    }

    fn expects(self, expects: &'static str) -> Self {
        Self {
            expects: Some(expects),
            ..self
        }
    }
}

/// Logs in as apps do: with the account's password, at the replica's address on the workspace's network.
/// A server that is still setting its files up listens at no such address.
pub fn login(kind: DatabaseType, account: &Account, ip: IpAddr) -> Program {
    let host = &ip.to_string();
    match kind {
        DatabaseType::Postgresql => postgresql::login(account, host),
        DatabaseType::Mysql => mysql::login(account, host),
        DatabaseType::Redis => redis::login(account, host),
        DatabaseType::Mongo => mongo::login(account, host),
    }
}

/// The database's own client in a terminal, logged in as apps are.
pub fn client(kind: DatabaseType, account: &Account, ip: IpAddr) -> Program {
    let host = &ip.to_string();
    match kind {
        DatabaseType::Postgresql => postgresql::client(account, host),
        DatabaseType::Mysql => mysql::client(account, host),
        DatabaseType::Redis => redis::shell(account, host),
        DatabaseType::Mongo => mongo::client(account, host),
    }
}

/// Makes sure that the account and its database are there, and that the password is this one.
pub fn ensure_account(kind: DatabaseType, account: &Account) -> Program {
    match kind {
        DatabaseType::Postgresql => postgresql::ensure_account(account),
        DatabaseType::Mysql => mysql::ensure_account(account),
        DatabaseType::Redis => redis::ensure_account(account),
        DatabaseType::Mongo => mongo::ensure_account(account),
    }
}

/// Writes everything that is in the database to its standard output.
pub fn dump(kind: DatabaseType, account: &Account) -> Program {
    match kind {
        DatabaseType::Postgresql => postgresql::dump(account),
        DatabaseType::Mysql => mysql::dump(account),
        DatabaseType::Redis => redis::dump(account),
        DatabaseType::Mongo => mongo::dump(account),
    }
}

/// What replaces the database by a dump: programs to run one after the other. The one that
/// [`Restore::reads_dump`] names reads it.
#[derive(Debug, Clone)]
pub struct Restore {
    /// In this order.
    pub programs: Vec<Program>,
    /// The place of the one that reads the dump.
    pub reads_dump: usize,
}

/// How a dump of this kind is brought back, in place of what there is.
pub fn restore(kind: DatabaseType, account: &Account) -> Restore {
    match kind {
        DatabaseType::Postgresql => postgresql::restore(account),
        DatabaseType::Mysql => mysql::restore(account),
        DatabaseType::Redis => redis::restore(account),
        DatabaseType::Mongo => mongo::restore(account),
    }
}

/// Tells how many kibibytes a database's data takes, as the first word that it prints.
pub fn measure(kind: DatabaseType, version: &str) -> Program {
    let path = match kind {
        DatabaseType::Postgresql => postgresql::folder(version),
        DatabaseType::Mysql => "/var/lib/mysql",
        DatabaseType::Redis => "/data",
        DatabaseType::Mongo => "/data/db",
    };
    Program::new(["du", "-sk", path], [])
}

/// Whether one version can take the data of another over as it is: both have the same major version.
pub fn is_same_major(kind: DatabaseType, one: &str, other: &str) -> bool {
    major(kind, one) == major(kind, other)
}

/// The part of a version within which data files stay readable: MySQL's has two numbers.
fn major(kind: DatabaseType, version: &str) -> String {
    let parts = match kind {
        DatabaseType::Mysql => 2,
        _ => 1,
    };
    let mut words = version.split('.').chain(std::iter::repeat("0"));
    let words: Vec<_> = words.by_ref().take(parts).collect();
    words.join(".")
}

/// A database's status, from that of its project.
pub fn status(facts: &StatusFacts) -> DatabaseStatus {
    if facts.suspended {
        DatabaseStatus::Stopped
    } else if facts.in_progress {
        DatabaseStatus::Provisioning
    } else if facts.desired == DesiredState::Stopped {
        DatabaseStatus::Stopped
    } else if facts.live && facts.ready >= facts.wanted {
        DatabaseStatus::Running
    } else if facts.live || facts.newest_failed {
        DatabaseStatus::Failed
    } else {
        DatabaseStatus::Provisioning
    }
}

/// What is said of a database whose data takes so much of what it may.
pub fn storage_warning(used_bytes: u64, limit_gb: u32) -> Option<String> {
    let limit = u64::from(limit_gb) << 30;
    let percent = used_bytes.saturating_mul(100) / limit.max(1);
    (percent >= 80).then(|| {
        format!(
            "{percent} % of its storage is used; raise storage_gb or remove data before it is full"
        )
    })
}

/// A part of a database's memory, in MiB.
fn share(ram: Ram, percent: u64, at_least: u64) -> u64 {
    ((ram.bytes() >> 20) * percent / 100).max(at_least)
}

#[cfg(test)]
mod tests;

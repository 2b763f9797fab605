//! Managed databases and their backups.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain_settings::IpRange;
use crate::{BackupId, Cpu, Port, ProjectId, Ram, Slug, Timestamp};

/// What kind of database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseType {
    /// PostgreSQL.
    #[serde(alias = "postgres")]
    Postgresql,
    /// MySQL.
    Mysql,
    /// Redis.
    Redis,
    /// MongoDB.
    #[serde(alias = "mongodb")]
    Mongo,
}

impl DatabaseType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Postgresql, Self::Mysql, Self::Redis, Self::Mongo];

    /// The type as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Mongo => "mongo",
        }
    }
}

/// What a database is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseStatus {
    /// It is being started, and does not take logins so far.
    Provisioning,
    /// It takes logins.
    Running,
    /// Stopped on request; its data is kept.
    Stopped,
    /// It could not be started, or does not answer; `error` says why.
    Failed,
    /// It is on its way out.
    Deleting,
}

impl DatabaseStatus {
    /// The status as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }
}

/// What a version looks like: `17`, `8.4`, `17.6`.
const VERSION_PATTERN: &str = "^[0-9]{1,3}(\\.[0-9]{1,3}){0,2}$";
/// What a cron expression looks like: five fields.
const CRON_PATTERN: &str = "^[0-9A-Za-z*,/#?-]+( +[0-9A-Za-z*,/#?-]+){4}$";

/// Body of `POST W/databases`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDatabase {
    /// 1 to 100 characters.
    #[schemars(length(min = 1, max = 100), regex(pattern = crate::name::DISPLAY_NAME_PATTERN))]
    pub name: String,
    /// What kind of database; `db_type` is read as well.
    #[serde(rename = "type", alias = "db_type")]
    pub kind: DatabaseType,
    /// Its name on the workspace's network; made from the name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<Slug>,
    /// Which version; the server's default of that kind when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = VERSION_PATTERN))]
    pub version: Option<String>,
    /// Cores, `"0.5"` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// GB of memory, `"0.5"` when absent. Its caches are sized by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram: Option<Ram>,
    /// GB that its data may have, 1 to 1,000; 10 when absent. It is warned of, not enforced.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 1000))]
    pub storage_gb: Option<u32>,
}

/// Body of `PUT D`: what is not sent keeps its value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateDatabase {
    /// 1 to 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = crate::name::DISPLAY_NAME_PATTERN))]
    pub name: Option<String>,
    /// Another version of the same major one, from the next restart on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = VERSION_PATTERN))]
    pub version: Option<String>,
    /// Cores, from the next restart on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// GB of memory, from the next restart on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram: Option<Ram>,
    /// GB that its data may have, 1 to 1,000.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 1000))]
    pub storage_gb: Option<u32>,
    /// When backups are made, as a cron expression in UTC; `null` ends them.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>", length(min = 9, max = 100), regex(pattern = CRON_PATTERN))]
    pub backup_schedule: Option<Option<String>>,
    /// How many backups are kept, 1 to 365.
    #[serde(
        default,
        deserialize_with = "crate::number::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 365))]
    pub backup_keep: Option<u32>,
}

/// Tells a field that is `null` from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DatabaseView {
    /// Its id.
    pub id: ProjectId,
    /// What people call it.
    pub name: String,
    /// Its name on the workspace's network.
    pub slug: Slug,
    /// What kind of database.
    #[serde(rename = "type")]
    pub kind: DatabaseType,
    /// Which version.
    pub version: String,
    /// What it is doing.
    pub status: DatabaseStatus,
    /// Why it is `failed`.
    pub error: Option<String>,
    /// Cores.
    pub cpu: Cpu,
    /// GB of memory.
    pub ram: Ram,
    /// How apps of the workspace reach it.
    pub connection: Connection,
    /// How it is reached from the outside; absent where it is not.
    pub expose: Option<ExposeView>,
    /// What its data takes.
    pub storage: DatabaseStorage,
    /// Its backups.
    pub backups: BackupPolicy,
    /// The backup that its data is replaced by, or last was.
    pub restore: Option<RestoreView>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its configuration last changed.
    pub updated_at: Timestamp,
}

/// How apps of the workspace reach a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// The host name, on the workspace's network only.
    pub host: String,
    /// The port.
    pub port: Port,
    /// Who logs in.
    pub username: String,
    /// The password; for admins only.
    pub password: Option<String>,
    /// The name of the database.
    pub database: String,
    /// All of it in one; for admins only.
    pub url: Option<String>,
    /// Whether the newest password is on its way to the database, and does not open it so far.
    pub is_pending: bool,
}

/// Body of `POST D/expose`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExposeDatabase {
    /// Whether it is reached from the outside, on a port of its own.
    pub enabled: bool,
    /// From where clients may come; all others are hung up on. Empty lets everybody in.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub allow: Vec<IpRange>,
}

impl ExposeDatabase {
    /// The most ranges.
    pub const MAX_ALLOW: usize = 50;
}

/// How a database is reached from the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExposeView {
    /// The host name.
    pub host: String,
    /// The port, which stays the same until it is closed.
    pub port: Port,
    /// From where clients may come; empty lets everybody in.
    pub allow: Vec<IpRange>,
    /// Host and port with the account and the password; for admins only.
    pub url: Option<String>,
}

/// What a database's data takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DatabaseStorage {
    /// GB that it may have.
    pub limit_gb: u32,
    /// Bytes that it has, as it was last measured.
    pub used_bytes: Option<u64>,
    /// Says so when it is nearly full.
    pub warning: Option<String>,
}

/// How a database is backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupPolicy {
    /// When, as a cron expression in UTC; never by itself when absent.
    pub schedule: Option<String>,
    /// How many are kept.
    pub keep: u32,
    /// When the next one is made.
    pub next_at: Option<Timestamp>,
    /// When the newest good one was made.
    pub last_succeeded_at: Option<Timestamp>,
    /// Why the newest one failed, if it did.
    pub last_error: Option<String>,
    /// When one was last restored into an instance that was made for that, and was found whole.
    pub last_proven_restore_at: Option<Timestamp>,
}

/// A backup that a database's data is replaced by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreView {
    /// The backup.
    pub backup_id: BackupId,
    /// Where that stands.
    pub status: BackupStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Where a backup stands, or its restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupStatus {
    /// It is being made.
    Running,
    /// It is whole, and was read once from where it is kept.
    Succeeded,
    /// It could not be made; `error` says why.
    Failed,
}

impl BackupStatus {
    /// The status as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupView {
    /// Its id.
    pub id: BackupId,
    /// Where it stands.
    pub status: BackupStatus,
    /// Who or what asked for it: an account, or `schedule`.
    pub created_by: String,
    /// Bytes that it takes, compressed and encrypted.
    pub size_bytes: u64,
    /// Bytes of the dump itself.
    pub dump_bytes: u64,
    /// SHA-256 of the dump, in hex.
    pub sha256: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Whether it is being restored for a proof.
    pub is_being_proven: bool,
    /// Why the last proof failed, if it did.
    pub proof_error: Option<String>,
    /// When it was restored for a proof, and was found whole.
    pub proven_at: Option<Timestamp>,
}

/// Body of `POST D/backups/:id/restore`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreBackup {
    /// The slug of the database that it goes into, of the same type; the one that it was made of when
    /// absent. What is in there is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<Slug>,
}

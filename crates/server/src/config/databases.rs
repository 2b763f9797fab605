//! `[databases]`: which images managed databases run, how long they may take, and on which ports they are
//! reached from the outside.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use tose_api::ImageRef;
use tose_api::database::DatabaseType;

/// Which images managed databases run, and how long they may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabasesConfig {
    /// How long a server may take from its start until it takes logins.
    pub start_timeout: Duration,
    /// The ports on which they can be reached from the outside; `None` if they cannot.
    pub expose_ports: Option<RangeInclusive<u16>>,
    /// The address of these ports.
    pub expose_addr: IpAddr,
    /// PostgreSQL's image.
    pub postgresql: DatabaseImage,
    /// MySQL's image.
    pub mysql: DatabaseImage,
    /// Redis's image.
    pub redis: DatabaseImage,
    /// MongoDB's image.
    pub mongo: DatabaseImage,
}

/// The image of one kind of database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseImage {
    /// Its name without a tag, which is the version; or with `{version}` where that stands.
    pub image: String,
    /// The versions to choose from, the one first that a database gets which names none. A longer version
    /// that begins with one of them can be chosen too.
    pub versions: Vec<String>,
}

impl DatabaseImage {
    fn new(image: &str, versions: &[&str]) -> Self {
        Self {
            image: image.to_owned(),
            versions: versions.iter().map(|&version| version.to_owned()).collect(),
        }
    }

    /// Whether a database may have this version.
    pub fn offers(&self, version: &str) -> bool {
        let is_below = |offered: &String| {
            version
                .strip_prefix(offered.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.versions.iter().any(is_below)
    }

    /// The image of a version; `None` if that makes no image's name.
    pub fn of_version(&self, version: &str) -> Option<ImageRef> {
        const HERE: &str = "{version}";
        let name = match self.image.contains(HERE) {
            true => self.image.replace(HERE, version),
            false => format!("{}:{version}", self.image),
        };
        name.parse().ok()
    }
}

impl DatabasesConfig {
    /// The image of this kind.
    pub fn image(&self, kind: DatabaseType) -> &DatabaseImage {
        match kind {
            DatabaseType::Postgresql => &self.postgresql,
            DatabaseType::Mysql => &self.mysql,
            DatabaseType::Redis => &self.redis,
            DatabaseType::Mongo => &self.mongo,
        }
    }
}

/// The ports on which databases can be reached where the operator names none.
const DEFAULT_PORTS: RangeInclusive<u16> = 31_000..=31_999;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DatabasesTable {
    start_timeout_seconds: Option<u32>,
    expose_ports: Option<String>,
    expose_addr: Option<IpAddr>,
    postgresql: Option<DatabaseImage>,
    mysql: Option<DatabaseImage>,
    redis: Option<DatabaseImage>,
    mongo: Option<DatabaseImage>,
}

impl DatabasesTable {
    pub(super) fn into_config(self) -> Result<DatabasesConfig, super::ConfigError> {
        let seconds = self.start_timeout_seconds.unwrap_or(300);
        if seconds == 0 {
            return Err(super::ConfigError::Value {
                key: "databases.start_timeout_seconds",
                problem: "must be at least 1".to_owned(),
            });
        }
        let expose_ports = match self.expose_ports.as_deref() {
            None => Some(DEFAULT_PORTS),
            Some("off") => None,
            Some(text) => Some(parse_ports(text)?),
        };
        let config = DatabasesConfig {
            expose_ports,
            expose_addr: self.expose_addr.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            start_timeout: Duration::from_secs(u64::from(seconds)),
            postgresql: self
                .postgresql
                .unwrap_or_else(|| DatabaseImage::new("postgres", &["17", "18", "16", "15", "14"])),
            mysql: self
                .mysql
                .unwrap_or_else(|| DatabaseImage::new("mysql", &["8.4", "8.0"])),
            redis: self
                .redis
                .unwrap_or_else(|| DatabaseImage::new("redis", &["8", "7"])),
            mongo: self
                .mongo
                .unwrap_or_else(|| DatabaseImage::new("mongo", &["8", "7"])),
        };
        for kind in DatabaseType::ALL {
            let image = config.image(kind);
            let is_usable = |version: &String| image.of_version(version).is_some();
            if image.versions.is_empty() || !image.versions.iter().all(is_usable) {
                return Err(super::ConfigError::Value {
                    key: "databases",
                    problem: format!(
                        "{} needs an image's name without a tag, and at least one version",
                        kind.as_str()
                    ),
                });
            }
        }
        Ok(config)
    }
}

/// A range such as `31000-31999`, both ends included.
fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, super::ConfigError> {
    let ends = text.split_once('-').and_then(|(first, last)| {
        let end = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        Some(end(first)?..=end(last)?)
    });
    ends.filter(|range| !range.is_empty())
        .ok_or_else(|| super::ConfigError::Value {
            key: "databases.expose_ports",
            problem: "must be a range such as \"31000-31999\", or \"off\"".to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_offered_with_what_is_below_them() {
        let image = DatabaseImage::new("postgres", &["17", "16.2"]);
        for (version, expected) in [
            ("17", true),
            ("17.6", true),
            ("16.2", true),
            ("16.2.1", true),
            ("16", false),
            ("16.20", false),
            ("170", false),
            ("", false),
        ] {
            assert_eq!(image.offers(version), expected, "{version}");
        }
    }

    #[test]
    fn the_version_is_the_tag_or_stands_where_it_is_to_stand() {
        let of = |image: &str| {
            let image = DatabaseImage::new(image, &["17"]).of_version("17.6");
            image.map(|image| image.to_string())
        };
        assert_eq!(of("postgres").as_deref(), Some("postgres:17.6"));
        let named = of("pgvector/pgvector:pg{version}");
        assert_eq!(named.as_deref(), Some("pgvector/pgvector:pg17.6"));
        assert_eq!(of("not an image"), None);
    }

    #[test]
    fn ports_are_a_range_or_off() {
        let ports = |text: Option<&str>| {
            let table = DatabasesTable {
                expose_ports: text.map(str::to_owned),
                ..DatabasesTable::default()
            };
            table.into_config().map(|config| config.expose_ports)
        };
        assert_eq!(ports(None).expect("read"), Some(31_000..=31_999));
        assert_eq!(ports(Some("off")).expect("read"), None);
        assert_eq!(
            ports(Some("40000-40000")).expect("read"),
            Some(40_000..=40_000)
        );
        for text in ["", "40000", "0-10", "10-9", "1-70000", "a-b"] {
            let error = ports(Some(text)).expect_err("refused");
            assert!(error.to_string().contains("expose_ports"), "{error}");
        }
    }

    #[test]
    fn an_image_without_versions_is_refused() {
        let table = DatabasesTable {
            redis: Some(DatabaseImage::new("redis", &[])),
            ..DatabasesTable::default()
        };
        let error = table.into_config().expect_err("refused");
        assert!(error.to_string().contains("redis"), "{error}");
    }
}

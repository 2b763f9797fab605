//! What visitors of a domain meet on their way to the app.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::name::{InvalidName, deserialize_from_str};
use crate::{Hostname, Slug};

/// Body of `PUT P/domains/:id/settings`, and what a domain has. What is left out is off.
///
/// The rules apply in the order of their fields; the first that has an answer of its own gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DomainSettings {
    /// From where visitors may come; everybody else gets 403. Empty lets everybody in.
    #[schemars(length(max = 200))]
    pub allowed_ips: Vec<IpRange>,
    /// Sends visitors to the same path at another host, for good (308).
    pub redirect_to: Option<Hostname>,
    /// How many requests a second one address may make; those beyond it get 429. Twice as many may come at once.
    #[serde(deserialize_with = "crate::number::whole")]
    #[schemars(range(min = 1, max = 100_000))]
    pub requests_per_second: Option<u32>,
    /// Who may come in, by a name and a password (HTTP basic authentication). Empty asks nobody.
    #[schemars(length(max = 50))]
    pub users: Vec<DomainUser>,
    /// Shows a page that says so (503) instead of the app.
    pub maintenance: bool,
    /// How many requests may run at the same time; those beyond it get 503.
    #[serde(deserialize_with = "crate::number::whole")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_requests: Option<u32>,
    /// How large a request's body may be, in MiB; larger ones get 413.
    #[serde(deserialize_with = "crate::number::whole")]
    #[schemars(range(min = 1, max = 102_400))]
    pub max_body_mb: Option<u32>,
    /// Paths that lead to other projects of the workspace; the longest prefix that fits decides.
    #[schemars(length(max = 50))]
    pub paths: Vec<PathRoute>,
    /// Sends a visitor to the same replica each time, by a cookie, for as long as that is there.
    pub sticky: bool,
    /// How the app is spoken to.
    pub upstream: UpstreamProtocol,
    /// Compresses texts (gzip) for visitors who take it.
    pub compression: bool,
    /// Has browsers use nothing but HTTPS for this host from their first visit by HTTPS on.
    pub hsts: Option<Hsts>,
    /// HTML to show during maintenance, up to 16 KiB.
    #[schemars(length(min = 1, max = 16_384))]
    pub maintenance_page: Option<String>,
    /// HTML to show when the app does not answer (502, 503, 504), up to 16 KiB.
    #[schemars(length(min = 1, max = 16_384))]
    pub error_page: Option<String>,
    /// Writes each request into the project's logs.
    pub access_log: bool,
}

/// Somebody who may come in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainUser {
    /// 1 to 64 visible ASCII characters without a colon.
    #[schemars(regex(pattern = USER_NAME_PATTERN), extend("examples" = ["ann"]))]
    pub name: String,
    /// 8 to 128 characters; never shown again. Left out, the one that the name has stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 128))]
    pub password: Option<String>,
}

impl fmt::Debug for DomainUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut user = f.debug_struct("DomainUser");
        user.field("name", &self.name).finish_non_exhaustive()
    }
}

const USER_NAME_PATTERN: &str = "^[!-9;-~]{1,64}$";

/// A path that leads to another project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathRoute {
    /// How the path begins, such as `/api`; `/api` and `/api/…` fit, `/apis` does not.
    #[schemars(regex(pattern = PREFIX_PATTERN), extend("examples" = ["/api"]))]
    pub prefix: String,
    /// A project of the same workspace.
    pub project: Slug,
    /// Whether the prefix is cut off on the way.
    #[serde(default)]
    pub strip_prefix: bool,
}

const PREFIX_PATTERN: &str = r"^(/[A-Za-z0-9._~-]{1,100}){1,10}$";

/// How long browsers are to remember that a host has HTTPS (RFC 6797).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hsts {
    /// In days, 1 to 730.
    #[schemars(range(min = 1, max = 730), extend("examples" = [365]))]
    pub max_age_days: u16,
    /// For all names below this one as well.
    #[serde(default)]
    pub include_subdomains: bool,
    /// Allows browsers to have it built in; asks for a year and for all names below.
    #[serde(default)]
    pub preload: bool,
}

/// How an app is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, as gRPC needs it; the app has to expect that.
    H2c,
}

/// Addresses with a common beginning, such as `203.0.113.0/24`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpRange(IpNet);

impl IpRange {
    /// Whether the address is one of them; one of IPv4 that is written as one of IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for IpRange {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let range = match text.parse::<IpAddr>() {
            Ok(address) => Ok(IpNet::from(address)),
            Err(_) => text.parse::<IpNet>(),
        };
        let invalid = |_| InvalidName::new("an address or a range such as 203.0.113.0/24");
        Ok(Self(range.map_err(invalid)?.trunc()))
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

impl Serialize for IpRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_from_str(
            deserializer,
            "a range of addresses such as \"203.0.113.0/24\"",
        )
    }
}

impl JsonSchema for IpRange {
    fn schema_name() -> Cow<'static, str> {
        "IpRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An address, or a range such as 203.0.113.0/24",
            "pattern": r"^[0-9a-f:.]{2,39}(/[0-9]{1,3})?$",
            "examples": ["203.0.113.0/24"],
        })
    }
}

impl DomainSettings {
    /// What is wrong beyond each value's own form: the field, and the problem in words that follow
    /// its name.
    pub fn problem(&self) -> Option<(String, &'static str)> {
        let number = |field: &str, value: Option<u32>, most: u32| {
            let is_bad = value.is_some_and(|value| !(1..=most).contains(&value));
            is_bad.then(|| (field.to_owned(), "is out of range; see the documentation"))
        };
        number("requests_per_second", self.requests_per_second, 100_000)
            .or_else(|| number("max_requests", self.max_requests, 100_000))
            .or_else(|| number("max_body_mb", self.max_body_mb, 102_400))
            .or_else(|| self.list_problem())
            .or_else(|| self.user_problem())
            .or_else(|| self.path_problem())
            .or_else(|| self.hsts_problem())
            .or_else(|| page_problem("maintenance_page", self.maintenance_page.as_deref()))
            .or_else(|| page_problem("error_page", self.error_page.as_deref()))
    }

    fn list_problem(&self) -> Option<(String, &'static str)> {
        let is_long = self.allowed_ips.len() > 200;
        is_long.then(|| ("allowed_ips".to_owned(), "has at most 200 entries"))
    }

    fn user_problem(&self) -> Option<(String, &'static str)> {
        if self.users.len() > 50 {
            return Some(("users".to_owned(), "has at most 50 entries"));
        }
        let is_visible = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        for (index, user) in self.users.iter().enumerate() {
            let field = |name: &str| format!("users.{index}.{name}");
            let name = &user.name;
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_visible) {
                let text = "has 1 to 64 visible ASCII characters and no colon";
                return Some((field("name"), text));
            }
            if self.users[..index].iter().any(|other| other.name == *name) {
                return Some((field("name"), "is there twice"));
            }
            if let Some(password) = &user.password
                && !(8..=128).contains(&password.chars().count())
            {
                return Some((field("password"), "has 8 to 128 characters"));
            }
        }
        None
    }

    fn path_problem(&self) -> Option<(String, &'static str)> {
        if self.paths.len() > 50 {
            return Some(("paths".to_owned(), "has at most 50 entries"));
        }
        for (index, path) in self.paths.iter().enumerate() {
            let field = || format!("paths.{index}.prefix");
            if !is_prefix(&path.prefix) {
                let text = "is a path such as /api, of letters, digits, ., _, ~ and -";
                return Some((field(), text));
            }
            if self.paths[..index]
                .iter()
                .any(|other| other.prefix == path.prefix)
            {
                return Some((field(), "is there twice"));
            }
        }
        None
    }

    fn hsts_problem(&self) -> Option<(String, &'static str)> {
        let hsts = self.hsts?;
        if !(1..=730).contains(&hsts.max_age_days) {
            return Some(("hsts.max_age_days".to_owned(), "is 1 to 730"));
        }
        let is_short = hsts.max_age_days < 365 || !hsts.include_subdomains;
        (hsts.preload && is_short).then(|| {
            let text = "needs max_age_days of 365 or more, and include_subdomains";
            ("hsts.preload".to_owned(), text)
        })
    }
}

fn is_prefix(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let is_segment = |part: &str| {
        (1..=100).contains(&part.len()) && part.bytes().all(is_good) && part != "." && part != ".."
    };
    let Some(rest) = text.strip_prefix('/') else {
        return false;
    };
    rest.split('/').count() <= 10 && rest.split('/').all(is_segment)
}

fn page_problem(field: &str, page: Option<&str>) -> Option<(String, &'static str)> {
    let is_bad = page.is_some_and(|page| !(1..=16_384).contains(&page.len()));
    is_bad.then(|| (field.to_owned(), "has 1 to 16384 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_both_forms_and_written_in_the_short_one() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<IpRange>().unwrap().to_string(), expected);
        };
        check("203.0.113.7", "203.0.113.7");
        check("203.0.113.7/32", "203.0.113.7");
        check("203.0.113.7/24", "203.0.113.0/24");
        check("2001:db8::1/32", "2001:db8::/32");
        for text in ["", "203.0.113", "203.0.113.0/33", "example.com"] {
            assert!(text.parse::<IpRange>().is_err(), "{text}");
        }
        let range: IpRange = "203.0.113.0/24".parse().unwrap();
        assert!(range.contains("::ffff:203.0.113.9".parse().unwrap()));
        assert!(!range.contains("203.0.114.1".parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let check = |settings: serde_json::Value, field: Option<&str>| {
            let settings: DomainSettings = serde_json::from_value(settings).unwrap();
            let found = settings.problem().map(|(field, _)| field);
            assert_eq!(found.as_deref(), field, "{settings:?}");
        };
        use serde_json::json;
        check(json!({}), None);
        check(
            json!({"requests_per_second": 0}),
            Some("requests_per_second"),
        );
        check(json!({"users": [{"name": "a:b"}]}), Some("users.0.name"));
        let twice = json!([{"name": "ann"}, {"name": "ann"}]);
        check(json!({"users": twice}), Some("users.1.name"));
        let short = json!([{"name": "ann", "password": "short"}]);
        check(json!({"users": short}), Some("users.0.password"));
        for prefix in ["", "/", "api", "/api/", "//a", "/a/../b", "/a?b"] {
            let paths = json!([{"prefix": prefix, "project": "api"}]);
            check(json!({"paths": paths}), Some("paths.0.prefix"));
        }
        check(
            json!({"hsts": {"max_age_days": 30, "preload": true}}),
            Some("hsts.preload"),
        );
        check(json!({"error_page": ""}), Some("error_page"));
    }
}

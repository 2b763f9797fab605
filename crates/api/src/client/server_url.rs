//! The address of a server.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no server address; the text is not repeated, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidServerUrl(&'static str);

/// The address of a server: http or https, a host, and perhaps a port and a path under which the
/// API lies. Two spellings of one address are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(Url);

impl ServerUrl {
    /// The address of `/api` and what follows it. Each part of `path` is one segment: whatever it
    /// holds, it cannot add another or begin a query.
    pub(super) fn api(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut()
            .expect("an http address has a path")
            .pop_if_empty()
            .push("api")
            .extend(path);
        url
    }

    /// Whether what is sent there can be read on the way: no TLS, and another machine.
    pub fn is_readable_on_the_way(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let is_here = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        };
        self.0.scheme() == "http" && !is_here
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for ServerUrl {
    type Err = InvalidServerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidServerUrl> {
        let Ok(mut url) = Url::parse(text) else {
            return Err(InvalidServerUrl(
                "a server address is a URL such as https://tose.example.com",
            ));
        };
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(InvalidServerUrl(
                "a server address starts with http:// or https://, and a host follows",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidServerUrl(
                "leave user name and password out of the server address",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidServerUrl("a server address holds no ? and no #"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl Serialize for ServerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::name::deserialize_from_str(deserializer, "a server address")
    }
}

//! Names that people type, parsed once at the edge.
//!
//! Invariant: a value of one of these types satisfies the rule in its documentation; there is no
//! other way to make one than parsing. None can begin with `-`, so none can be mistaken for an
//! option by a program that gets it as an argument.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a valid name; the message is meant for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(String);

/// What a name that people read looks like: no control characters, and not only spaces.
pub(crate) const DISPLAY_NAME_PATTERN: &str =
    r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x1f\x7f-\x9f]*$";

impl InvalidName {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, InvalidName> {
    Err(InvalidName(message.into()))
}

/// Deserializes anything that is parsed from text, with `expected` in the message for other types.
pub(crate) fn deserialize_from_str<'de, D, T>(
    deserializer: D,
    expected: &'static str,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    struct FromText<T>(&'static str, PhantomData<T>);

    impl<T> Visitor<'_> for FromText<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(FromText(expected, PhantomData))
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $expected:literal, $check:path, $about:literal, $schema:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The checked text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize_from_str(deserializer, $expected)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = json_schema!($schema);
                schema.insert("type".to_owned(), "string".into());
                schema.insert("description".to_owned(), $about.into());
                schema
            }
        }
    )*};
}

names! {
    /// A short name in a URL: 1 to 40 of `a-z`, `0-9` and `-`, with no `-` at either end.
    Slug, "a slug such as \"my-app\"", check_slug,
    "A short name in a URL",
    {"pattern": "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", "examples": ["my-app"]};
    /// A host name in lower case: labels of 1 to 63 characters, 253 in all, no trailing dot.
    Hostname, "a host name such as \"app.example.com\"", check_hostname,
    "A host name in lower case",
    {"pattern": r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$", "maxLength": 253, "examples": ["app.example.com"]};
    /// A container image: `[registry/]name[:tag][@digest]`, 255 characters at most.
    ImageRef, "an image such as \"nginx:1.27\"", check_image,
    "A container image: [registry/]name[:tag][@digest]",
    {"pattern": r"^((?=[^/]*[.:]|localhost/)[a-z0-9]([a-z0-9._:-]*[a-z0-9])?/)?[a-z0-9]([a-z0-9._-]*[a-z0-9])?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$", "maxLength": 255, "examples": ["nginx:1.27"]};
    /// A registry of images: a host name in lower case, with a port where it is not the usual one; 255 characters at most.
    RegistryHost, "a registry such as \"ghcr.io\"", check_registry,
    "A registry of images: a host name, with its port where it is not the usual one",
    {"pattern": r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$", "maxLength": 255, "examples": ["ghcr.io"]};
    /// A branch (or tag) that Git accepts as a reference name, 200 characters at most.
    BranchName, "a branch name such as \"main\"", check_branch,
    "A branch or tag that Git accepts as a reference name",
    {"pattern": r"^(?![-/@]$)(?![-/.])(?!.*(\.\.|@\{|//|/\.|\./|\.lock/))(?!.*(/|\.|\.lock)$)[^\s\x00-\x1f\x7f-\x9f~^:?*\[\\]+$", "minLength": 1, "maxLength": 200, "examples": ["main"]};
    /// The address of a Git repository over https, ssh or file, without credentials in it.
    RepoUrl, "a repository address such as \"https://host/owner/name.git\"", check_repo_url,
    "The address of a Git repository over https or ssh, without credentials in it",
    {"minLength": 1, "maxLength": 500, "examples": ["https://github.com/you/app.git"]};
    /// A path inside a repository: relative, without `..`, 500 characters at most.
    RepoPath, "a path inside the repository such as \"apps/web\"", check_repo_path,
    "A path inside a repository: relative, without ..",
    {"pattern": r"^(?![/-])(?!(.*/)?\.\.(/|$))[^\\\x00-\x1f\x7f-\x9f]+$", "minLength": 1, "maxLength": 500, "examples": ["apps/web"]};
    /// The name of an environment variable: a letter or `_`, then letters, digits and `_`; 128 at most.
    EnvKey, "a variable name such as \"LOG_LEVEL\"", check_env_key,
    "The name of an environment variable",
    {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$", "examples": ["LOG_LEVEL"]};
    /// An e-mail address in lower case, checked for its form only; 254 characters at most.
    Email, "an e-mail address such as \"you@example.com\"", check_email,
    "An e-mail address in lower case",
    {"pattern": r"^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$", "maxLength": 254, "examples": ["you@example.com"]};
}

fn check_slug(text: &str) -> Result<(), InvalidName> {
    let is_slug_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 40 {
        return invalid("a slug has 1 to 40 characters");
    }
    if !text.chars().all(is_slug_char) {
        return invalid("a slug holds only a-z, 0-9 and -");
    }
    if text.starts_with('-') || text.ends_with('-') {
        return invalid("a slug starts and ends with a letter or a digit");
    }
    Ok(())
}

fn check_hostname(text: &str) -> Result<(), InvalidName> {
    let is_label_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 253 {
        return invalid("a host name has 1 to 253 characters");
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > 63 {
            return invalid("each part of a host name has 1 to 63 characters");
        }
        if !label.chars().all(is_label_char) {
            return invalid("a host name holds only a-z, 0-9, - and dots");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return invalid("no part of a host name starts or ends with -");
        }
    }
    Ok(())
}

fn check_image(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() || text.len() > 255 {
        return invalid("an image reference has 1 to 255 characters");
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    if let Some(digest) = digest
        && !digest.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64
                && hex
                    .bytes()
                    .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
        })
    {
        return invalid("an image digest is sha256: and 64 lower-case hex digits");
    }
    let last_slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[last_slash..].find(':') {
        Some(colon) => (
            &rest[..last_slash + colon],
            Some(&rest[last_slash + colon + 1..]),
        ),
        None => (rest, None),
    };
    if let Some(tag) = tag {
        let is_tag_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let starts_well = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !starts_well || tag.len() > 128 || !tag.chars().all(is_tag_char) {
            return invalid("an image tag has 1 to 128 letters, digits, _, . or -");
        }
    }
    let has_registry = |first: &str| first.contains(['.', ':']) || first == "localhost";
    for (index, part) in name.split('/').enumerate() {
        let extra = if index == 0 && name.contains('/') && has_registry(part) {
            ":"
        } else {
            ""
        };
        let is_name_char = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c) || extra.contains(c)
        };
        let ends_well = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if part.is_empty()
            || !part.chars().all(is_name_char)
            || !part.starts_with(ends_well)
            || !part.ends_with(ends_well)
        {
            return invalid("an image is [registry/]name[:tag] in lower case, such as nginx:1.27");
        }
    }
    Ok(())
}

fn check_registry(text: &str) -> Result<(), InvalidName> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_host_char =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let is_end = |c: char| matches!(c, '.' | '-');
    if text.len() > 255
        || host.is_empty()
        || !host.chars().all(is_host_char)
        || host.starts_with(is_end)
        || host.ends_with(is_end)
    {
        return invalid("a registry is a host name in lower case, such as ghcr.io");
    }
    let is_port =
        |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    if port.is_some_and(|port| !is_port(port)) {
        return invalid("a registry's port is a number, as in registry.example.com:5000");
    }
    Ok(())
}

impl ImageRef {
    /// The registry that has it; Docker Hub is `docker.io`.
    pub fn registry(&self) -> RegistryHost {
        let host = match self.0.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            _ => "docker.io",
        };
        let host = host
            .strip_prefix("index.")
            .filter(|rest| *rest == "docker.io")
            .unwrap_or(host);
        RegistryHost(host.into())
    }

    /// The reference without tag and digest.
    pub fn repository(&self) -> &str {
        let name = self.0.split('@').next().unwrap_or(&self.0);
        let last = name.rfind('/').map_or(0, |at| at + 1);
        let colon = name[last..].find(':').map(|at| last + at);
        &name[..colon.unwrap_or(name.len())]
    }
}

fn check_branch(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() || text.chars().count() > 200 {
        return invalid("a branch name has 1 to 200 characters");
    }
    let is_forbidden = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let has_bad_part = text.split('/').any(|part| {
        part.is_empty() || part.starts_with('.') || part.ends_with('.') || part.ends_with(".lock")
    });
    if text.chars().any(is_forbidden)
        || text.starts_with('-')
        || text.contains("..")
        || text.contains("@{")
        || text == "@"
        || has_bad_part
    {
        return invalid("Git does not allow this branch name");
    }
    Ok(())
}

fn check_repo_url(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() || text.len() > 500 {
        return invalid("a repository address has 1 to 500 characters");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) || text.starts_with('-') {
        return invalid("a repository address holds no spaces and does not start with -");
    }
    if text.contains(['?', '#', '\\']) {
        return invalid("a repository address holds no ?, # or \\");
    }
    match text.split_once("://") {
        Some(("https", rest)) => check_authority(rest, UserPart::Refused),
        Some(("ssh", rest)) => check_authority(rest, UserPart::Allowed),
        Some(("file", path)) if path.starts_with('/') => Ok(()),
        Some(("file", _)) => invalid("a file address is file:// and an absolute path"),
        Some(_) => invalid("a repository address starts with https://, ssh:// or is git@host:path"),
        None => check_scp_address(text),
    }
}

/// Whether `user@` may stand before the host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UserPart {
    Allowed,
    Refused,
}

fn check_authority(rest: &str, user_part: UserPart) -> Result<(), InvalidName> {
    let Some((authority, path)) = rest.split_once('/') else {
        return invalid("the repository's path is missing after the host");
    };
    if path.trim_matches('/').is_empty() {
        return invalid("the repository's path is missing after the host");
    }
    let host_and_port = match authority.rsplit_once('@') {
        None => authority,
        Some((user, host)) if user_part == UserPart::Allowed && is_plain_user(user) => host,
        Some(_) => {
            return invalid("leave user name and password out of the repository address");
        }
    };
    let (host, port) = match host_and_port.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host_and_port, None),
    };
    if port.is_some_and(|port| port.parse::<Port>().is_err()) {
        return invalid("the port in the repository address is not a number from 1 to 65535");
    }
    check_hostname(&host.to_ascii_lowercase())
        .map_err(|_| InvalidName("the repository address has no valid host name".to_owned()))
}

fn check_scp_address(text: &str) -> Result<(), InvalidName> {
    let parts = text
        .split_once('@')
        .and_then(|(user, rest)| Some((user, rest.split_once(':')?)));
    match parts {
        Some((user, (host, path)))
            if is_plain_user(user)
                && check_hostname(&host.to_ascii_lowercase()).is_ok()
                && !path.is_empty()
                && !path.starts_with('-') =>
        {
            Ok(())
        }
        _ => invalid("a repository address starts with https://, ssh:// or is git@host:path"),
    }
}

fn is_plain_user(user: &str) -> bool {
    !user.is_empty()
        && !user.starts_with('-')
        && user
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn check_repo_path(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() || text.chars().count() > 500 {
        return invalid("a path has 1 to 500 characters");
    }
    if text.starts_with(['/', '-']) || text.contains('\\') || text.chars().any(char::is_control) {
        return invalid("a path is relative to the repository's root");
    }
    if text.split('/').any(|part| part == "..") {
        return invalid("a path stays inside the repository: no ..");
    }
    Ok(())
}

fn check_email(text: &str) -> Result<(), InvalidName> {
    let is_local_char = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || ".!#$%&'*+/=?^_`{|}~-".contains(c)
    };
    match text.split_once('@') {
        Some((local, host))
            if !local.is_empty()
                && local.chars().all(is_local_char)
                && check_hostname(host).is_ok()
                && text.len() <= 254 =>
        {
            Ok(())
        }
        _ => invalid("must be an e-mail address in lower case"),
    }
}

fn check_env_key(text: &str) -> Result<(), InvalidName> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_key_char = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !starts_well || text.len() > 128 || !text.chars().all(is_key_char) {
        return invalid(
            "a variable name starts with a letter or _, holds letters, digits and _, and has at most 128 characters",
        );
    }
    Ok(())
}

impl Email {
    /// Takes an address as a person types it: with spaces around it and in any case.
    ///
    /// # Errors
    /// When it has not the form of an address.
    pub fn from_input(text: &str) -> Result<Self, InvalidName> {
        text.trim().to_lowercase().parse()
    }
}

impl RepoUrl {
    /// Whether the repository lies on the server's own file system.
    pub fn is_local_file(&self) -> bool {
        self.0.starts_with("file://")
    }

    /// Whether the repository is reached over SSH.
    pub fn is_ssh(&self) -> bool {
        self.0.starts_with("ssh://") || !self.0.contains("://")
    }

    /// The host that is reached over SSH, as `known_hosts` names it: `[host]:port` where the port is
    /// not 22.
    pub fn ssh_host(&self) -> Option<String> {
        if !self.is_ssh() {
            return None;
        }
        let (authority, has_port) = match self.0.strip_prefix("ssh://") {
            Some(rest) => (rest.split('/').next()?, true),
            None => (self.0.split(':').next()?, false),
        };
        let host = authority.rsplit('@').next()?;
        match host.split_once(':').filter(|_| has_port) {
            Some((host, port)) if port != "22" => Some(format!("[{host}]:{port}")),
            Some((host, _)) => Some(host.to_owned()),
            None => Some(host.to_owned()),
        }
    }
}

/// A TCP port from 1 to 65535; on the wire a number, and on input also a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Port(u16);

impl Port {
    /// The port as a number, never 0.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u64> for Port {
    type Error = InvalidName;

    fn try_from(number: u64) -> Result<Self, InvalidName> {
        match u16::try_from(number) {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => invalid("a port is a number from 1 to 65535"),
        }
    }
}

impl FromStr for Port {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        // No sign and no zeros in front: one port has one text.
        if text.starts_with(['0', '+']) {
            return Self::try_from(0);
        }
        text.parse::<u64>()
            .map_or_else(|_| Self::try_from(0), Self::try_from)
    }
}

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let number = json_schema!({"type": "integer", "minimum": 1, "maximum": 65535});
        if generator.contract().is_serialize() {
            return number;
        }
        json_schema!({
            "anyOf": [number, {"type": "string", "pattern": PORT_PATTERN}],
            "examples": [3000],
        })
    }
}

/// Decimal texts from 1 to 65535.
const PORT_PATTERN: &str =
    "^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$";

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PortVisitor;

        impl Visitor<'_> for PortVisitor {
            type Value = Port;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port from 1 to 65535")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Port, E> {
                Port::try_from(number).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Port, E> {
                Port::try_from(u64::try_from(number).unwrap_or(0)).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Port, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(PortVisitor)
    }
}

#[cfg(test)]
mod tests;

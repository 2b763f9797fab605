//! Slugs and host names made from what people type.

use sha2::{Digest, Sha256};
use tose_api::{Hostname, Slug};
use uuid::Uuid;

/// The slug for a name: transliterated to ASCII, in lower case, everything else to single dashes.
/// A name of which nothing is left gets one from `id`.
pub fn from_name(name: &str, id: &Uuid) -> Slug {
    let mut text = String::new();
    for c in deunicode::deunicode(name).chars() {
        if c.is_ascii_alphanumeric() {
            text.push(c.to_ascii_lowercase());
        } else if !text.is_empty() && !text.ends_with('-') {
            text.push('-');
        }
    }
    text.truncate(40);
    text.trim_matches('-').parse().unwrap_or_else(|_| {
        let id = id.simple().to_string();
        // The tail of a UUIDv7 is its random part.
        let tail = &id[id.len() - 10..];
        format!("app-{tail}")
            .parse()
            .expect("hex digits make a slug")
    })
}

/// The platform's own host name for a project: `{workspace}-{project}.{base}`.
///
/// Two pairs of slugs can make the same text (`a-b` + `c`, `a` + `b-c`), and a label has at most 63
/// characters, so `attempt` > 0 and overlong names get a suffix that tells them apart.
pub fn default_hostname(
    workspace: &Slug,
    project: &Slug,
    base: &Hostname,
    attempt: u32,
) -> Hostname {
    let plain = format!("{workspace}-{project}");
    let label = if attempt == 0 && plain.len() <= 63 {
        plain
    } else {
        let digest = hex::encode(Sha256::digest(format!("{workspace}/{project}/{attempt}")));
        let head: String = plain.chars().take(54).collect();
        format!("{}-{}", head.trim_end_matches('-'), &digest[..8])
    };
    format!("{label}.{base}")
        .parse()
        .expect("slugs make host labels, and the base domain is short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_slugs() {
        for (name, slug) in [
            ("My App", "my-app"),
            ("Ứng dụng của tôi", "ung-dung-cua-toi"),
            ("Đà Nẵng!", "da-nang"),
            ("  --a__b--  ", "a-b"),
            (&"x".repeat(60), &"x".repeat(40)),
        ] {
            assert_eq!(from_name(name, &Uuid::nil()).as_str(), slug, "{name}");
        }
        let made_up = from_name("!!!", &Uuid::from_u128(0xab));
        assert_eq!(made_up.as_str(), "app-00000000ab");
    }

    #[test]
    fn default_hostnames_differ_where_slugs_run_together() {
        let base: Hostname = "apps.example.com".parse().expect("a host name");
        let host = |workspace: &str, project: &str, attempt| {
            let slug = |text: &str| text.parse().expect("a slug");
            default_hostname(&slug(workspace), &slug(project), &base, attempt).to_string()
        };
        assert_eq!(host("a", "b-c", 0), "a-b-c.apps.example.com");
        assert_eq!(host("a-b", "c", 0), "a-b-c.apps.example.com");
        assert_ne!(host("a", "b-c", 1), host("a-b", "c", 1));
        let long = host(&"w".repeat(40), &"p".repeat(40), 0);
        assert!(
            long.split('.')
                .next()
                .is_some_and(|label| label.len() <= 63),
            "{long}"
        );
    }
}

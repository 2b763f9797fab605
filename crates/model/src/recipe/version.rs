//! Versions that a source asks for, and the tag of a base image that has one.

use std::cmp::Ordering;
use std::fmt;

/// A version of up to three numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version(Vec<u32>);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

impl Version {
    /// Reads `22`, `v22.3`, `3.12.1`, `python-3.12` or `22.x`: the numbers up to what is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|character: char| character.is_ascii_digit())?;
        let (before, numbers) = text.split_at(digits);
        let is_prefix = before
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || b"-=".contains(&byte));
        if !is_prefix {
            return None;
        }
        let end = numbers.find(|character: char| !character.is_ascii_digit() && character != '.');
        let parts = numbers[..end.unwrap_or(numbers.len())].split('.');
        let parts: Vec<u32> = parts.map_while(|part| part.parse().ok()).take(3).collect();
        (!parts.is_empty()).then_some(Self(parts))
    }

    /// Its first `count` numbers.
    pub(super) fn cut(&self, count: usize) -> Self {
        Self(self.0.iter().copied().take(count).collect())
    }

    /// Compares as far as both have numbers: `3` stands for every version that begins so.
    fn compare(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0);
        pairs
            .map(|(a, b)| a.cmp(b))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// Whether `have` is in the range that npm, Composer and Python people write: alternatives by `||`, each
/// of comparisons that all have to hold.
fn satisfies(have: &Version, range: &str, one_of_major: bool) -> bool {
    range.split("||").any(|all| {
        let comparisons: Vec<_> = comparisons(all).collect();
        !comparisons.is_empty()
            && comparisons.iter().all(|(operator, wanted)| {
                let order = have.compare(wanted);
                match *operator {
                    ">=" => order.is_ge(),
                    // A shorter `have` stands for the newest of its kind.
                    ">" => order.is_gt() || order.is_eq() && have.0.len() < wanted.0.len(),
                    "<=" => order.is_le(),
                    "<" => order.is_lt(),
                    "!=" => true,
                    "^" if one_of_major => order.is_ge() && have.0.first() == wanted.0.first(),
                    "~" | "~>" | "~=" if wanted.0.len() == 2 && one_of_major => {
                        order.is_ge() && have.0.first() == wanted.0.first()
                    }
                    _ => order.is_eq(),
                }
            })
    })
}

/// The comparisons of a range, as operator and version. What cannot be read is left out.
fn comparisons(text: &str) -> impl Iterator<Item = (&str, Version)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(|character: char| {
                "<>=^~!".contains(character) || character.is_ascii_digit()
            })?;
            let after = &rest[start..];
            let digits = after.find(|character: char| character.is_ascii_digit())?;
            let operator = after[..digits].trim().trim_end_matches(['v', 'V']).trim();
            let numbers = &after[digits..];
            let end = numbers
                .find(|character: char| {
                    !character.is_ascii_alphanumeric() && !".*-+".contains(character)
                })
                .unwrap_or(numbers.len());
            let version = Version::parse(&numbers[..end]);
            rest = &numbers[end..];
            if let Some(version) = version {
                return Some((operator, version));
            }
        }
    })
}

/// Which image to use, and what to say about it.
pub(super) struct Choice {
    /// The version of the tag; `None` where the tag has none.
    pub(super) from: Option<String>,
    /// What it is to be; equal to `from` where the tag's own will do.
    pub(super) to: Option<String>,
}

impl Choice {
    /// Chooses for the range `wanted`, in versions of `precision` numbers, from what `image` has.
    pub(super) fn make(image: &str, wanted: Option<&str>, precision: usize) -> Self {
        let from = tag_version(image);
        let have = from.as_deref().and_then(Version::parse);
        let (Some(have), Some(wanted)) = (have, wanted) else {
            return Self {
                to: from.clone(),
                from,
            };
        };
        let to = if satisfies(&have, wanted, precision > 1) {
            from.clone()
        } else {
            // The newest alternative is written last.
            let last = wanted.rsplit("||").next().unwrap_or(wanted);
            let version = comparisons(last).find(|(operator, _)| !operator.starts_with(['<', '!']));
            version
                .map(|(_, version)| version.cut(precision).to_string())
                .or_else(|| from.clone())
        };
        Self { from, to }
    }

    /// `image` with the chosen version in its tag.
    pub(super) fn apply(&self, image: &str) -> String {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) if from != to => retag(image, from, to),
            _ => image.to_owned(),
        }
    }
}

fn split_tag(image: &str) -> Option<(&str, &str)> {
    let (name, tag) = image.rsplit_once(':')?;
    let is_tag = !tag.contains('/') && !image.contains('@');
    is_tag.then_some((name, tag))
}

/// The version with which an image's tag begins.
fn tag_version(image: &str) -> Option<String> {
    let (_, tag) = split_tag(image)?;
    let end = tag.find(|character: char| !character.is_ascii_digit() && character != '.');
    let version = tag[..end.unwrap_or(tag.len())].trim_end_matches('.');
    (!version.is_empty()).then(|| version.to_owned())
}

/// `image` with the first number `from` in its tag replaced by `to`.
fn retag(image: &str, from: &str, to: &str) -> String {
    let Some((name, tag)) = split_tag(image) else {
        return image.to_owned();
    };
    let mut search = 0;
    while let Some(at) = tag[search..].find(from).map(|at| search + at) {
        let end = at + from.len();
        let is_number =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
        let bytes = tag.as_bytes();
        let before = at.checked_sub(1).and_then(|index| bytes.get(index));
        if !is_number(before) && !is_number(bytes.get(end)) {
            return format!("{name}:{}{to}{}", &tag[..at], &tag[end..]);
        }
        search = end;
    }
    image.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(image: &str, wanted: &str, precision: usize) -> String {
        Choice::make(image, Some(wanted), precision).apply(image)
    }

    #[test]
    fn a_range_keeps_the_default_where_it_fits_and_else_names_its_own() {
        for (wanted, expected) in [
            (">=18", "node:22-slim"),
            ("22", "node:22-slim"),
            ("v22.3.1", "node:22-slim"),
            ("^20.9.0", "node:20-slim"),
            ("20.x", "node:20-slim"),
            ("18 || 20", "node:20-slim"),
            (">=18 <21", "node:18-slim"),
            (">= 24", "node:24-slim"),
            ("~18.2", "node:18-slim"),
            ("lts/*", "node:22-slim"),
            ("<20", "node:22-slim"),
            ("", "node:22-slim"),
            ("nonsense", "node:22-slim"),
        ] {
            assert_eq!(chosen("node:22-slim", wanted, 1), expected, "{wanted}");
        }
        for (wanted, expected) in [
            (">=3.9", "python:3.12-slim"),
            ("3.11.4", "python:3.11-slim"),
            ("python-3.10.2", "python:3.10-slim"),
            ("^3.11", "python:3.12-slim"),
            (">=3.9,<3.12", "python:3.9-slim"),
            ("~=3.11", "python:3.12-slim"),
            ("3.11.*", "python:3.11-slim"),
        ] {
            assert_eq!(chosen("python:3.12-slim", wanted, 2), expected, "{wanted}");
        }
        assert_eq!(
            chosen("golang:1-bookworm", ">=1.25.3", 2),
            "golang:1-bookworm"
        );
        assert_eq!(
            chosen("golang:1.21-bookworm", ">=1.25.3", 2),
            "golang:1.25-bookworm"
        );
        assert_eq!(
            chosen("rust:1-slim-bookworm", "1.79.0", 3),
            "rust:1-slim-bookworm"
        );
    }

    #[test]
    fn the_version_is_replaced_wherever_it_stands_in_a_tag() {
        let choice = Choice::make("eclipse-temurin:21-jre", Some("17"), 1);
        assert_eq!(
            choice.apply("eclipse-temurin:21-jre"),
            "eclipse-temurin:17-jre"
        );
        assert_eq!(
            choice.apply("maven:3-eclipse-temurin-21"),
            "maven:3-eclipse-temurin-17"
        );
        assert_eq!(choice.apply("gradle:8-jdk21"), "gradle:8-jdk17");
        assert_eq!(
            choice.apply("registry.example:21/x:121-a21"),
            "registry.example:21/x:121-a17"
        );
        assert_eq!(chosen("node:lts", "20", 1), "node:lts");
        assert_eq!(
            chosen("r.example:5000/node", "20", 1),
            "r.example:5000/node"
        );
    }

    #[test]
    fn versions_are_numbers_and_nothing_else() {
        for text in ["1\nRUN x", "22 AS x", "1.2.3.4", "v3"] {
            let version = Version::parse(text).expect("a version").to_string();
            assert!(
                version
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.'),
                "{version}"
            );
        }
        assert_eq!(Version::parse("../1"), None);
        assert_eq!(Version::parse("99999999999"), None);
    }
}

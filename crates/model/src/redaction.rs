//! Output without secrets: what is masked before a text leaves the platform.
//!
//! Guarantees: no value that is known stands in what [`Redactor::apply`] gives, and nothing that the rules
//! in `redaction/rule.rs` take for a credential. What is in doubt is masked: a mask too many costs the
//! reader little.
//! Caveats: a secret that nobody knows and that looks like a word is one to nobody.

mod rule;

use std::ops::Range;

use memchr::memmem;

use crate::analysis::plain;
use crate::secret::{ExposeSecret, SecretString};

/// What stands in place of a secret.
pub const MASK: &str = "***";
/// Values shorter than this are not looked for: they would be found everywhere.
const MIN_VALUE: usize = 6;

/// Masks values that are known, and what looks like a credential.
pub struct Redactor {
    values: Vec<SecretString>,
}

impl Redactor {
    /// For these values, whole and line by line, also as JSON and addresses write them.
    pub fn new<'a>(values: impl Iterator<Item = &'a SecretString>) -> Self {
        let texts = values.flat_map(|value| spellings(value.expose_secret()));
        let long_enough = texts.filter(|text| text.len() >= MIN_VALUE);
        Self {
            values: long_enough.map(SecretString::from).collect(),
        }
    }

    /// The text with [`MASK`] in place of each secret. Lines may be missing: a key can have several.
    pub fn apply(&self, text: &str) -> String {
        let mut spans = rule::find(text);
        for value in &self.values {
            let value = value.expose_secret();
            let found = memmem::find_iter(text.as_bytes(), value);
            spans.extend(found.map(|at| at..at + value.len()));
        }
        mask(text, spans)
    }
}

/// How a value may stand in a text.
fn spellings(value: &str) -> Vec<String> {
    let mut texts = vec![value.to_owned(), value.trim().to_owned()];
    texts.extend(value.lines().map(|line| line.trim().to_owned()));
    texts.extend(value.lines().map(|line| plain(line).trim().to_owned()));
    let json = serde_json::Value::from(value).to_string();
    texts.push(json[1..json.len() - 1].to_owned());
    texts.push(percent_encoded(value));
    texts.sort_unstable();
    texts.dedup();
    texts
}

fn percent_encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Puts one mask in place of all spans that touch each other.
fn mask(text: &str, mut spans: Vec<Range<usize>>) -> String {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for span in spans.into_iter().filter(|span| !span.is_empty()) {
        if span.start > end || (end == 0 && span.start == 0) {
            masked.push_str(&text[end..span.start]);
            masked.push_str(MASK);
        }
        end = end.max(span.end);
    }
    masked.push_str(&text[end..]);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(values: &[&str], text: &str) -> String {
        let values: Vec<_> = values
            .iter()
            .map(|value| SecretString::from(*value))
            .collect();
        Redactor::new(values.iter()).apply(text)
    }

    #[test]
    fn values_are_masked_in_every_spelling() {
        for (values, text, expected) in [
            (&["hunter22"][..], "is hunter22 it", "is *** it"),
            (&["hunter22"], "hunter22", "***"),
            (&["short"], "a short one", "a short one"),
            (&["abcdefgh", "defghxyz"], "abcdefghxyz!", "***!"),
            (&["line one\nline two\n"], "x line two y", "x *** y"),
            (
                &["say \"hello\""],
                r#"{"a":"say \"hello\""}"#,
                r#"{"a":"***"}"#,
            ),
            (&["p@ss/wörd"], "u=p%40ss%2Fw%C3%B6rd.", "u=***."),
            (&["größer als"], "ist größer als ä", "ist *** ä"),
            (&["pass\u{a0}word\u{200b}s"], "pass words", "***"),
        ] {
            assert_eq!(redacted(values, text), expected);
        }
    }
}

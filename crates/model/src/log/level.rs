//! How severe a line is, as far as its text says so.
//!
//! Apps write levels in many ways: as a field of JSON or logfmt, as a word in capitals or in
//! brackets, or as the name of an exception. Only the beginning of a line is looked at: what comes
//! later is more likely to be about a level than to be one.

use tose_api::log::LogLevel;

/// How much of a line is looked at for a word.
const WORDS_WITHIN: usize = 160;
/// How much of a line is looked at for a field of JSON.
const FIELDS_WITHIN: usize = 2048;

/// The level that a line names; `None` if it names none.
pub fn detect_level(text: &[u8]) -> Option<LogLevel> {
    let text = text.trim_ascii_start();
    match text.first()? {
        b'{' => json_level(&text[..text.len().min(FIELDS_WITHIN)]),
        _ => word_level(&text[..text.len().min(WORDS_WITHIN)]),
    }
}

/// Whether a line goes on with what the line before it began, as the frames of a stack trace do.
pub fn is_continuation(text: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 6] = [
        b"Caused by:",
        b"at ",
        b"... ",
        b"goroutine ",
        b"stack backtrace:",
        b"note: run with",
    ];
    match text.first() {
        Some(b' ' | b'\t' | b'}' | b')' | b']') => true,
        // Each line is looked at, and the first byte tells nearly all apart.
        first => BEGINNINGS
            .iter()
            .any(|beginning| first == beginning.first() && text.starts_with(beginning)),
    }
}

/// The value of the first field whose name is one of those that loggers use.
fn json_level(text: &[u8]) -> Option<LogLevel> {
    let mut rest = text;
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        rest = &rest[start + 1..];
        let end = rest.iter().position(|byte| *byte == b'"')?;
        let (name, after) = rest.split_at(end);
        let after = after[1..].trim_ascii_start();
        if let Some(value) = after.strip_prefix(b":")
            && is_level_field(name)
        {
            return value_level(value.trim_ascii_start());
        }
        rest = after;
    }
    None
}

fn is_level_field(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 7] = [
        b"level",
        b"severity",
        b"lvl",
        b"levelname",
        b"log.level",
        b"loglevel",
        b"severity_text",
    ];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// A level as a name, quoted or not, or as a number of pino and bunyan.
fn value_level(value: &[u8]) -> Option<LogLevel> {
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let len = value
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric())
        .unwrap_or(value.len());
    let value = &value[..len];
    let number = || std::str::from_utf8(value).ok()?.parse::<u32>().ok();
    named_level(value).or_else(|| match number()? {
        0..=20 => Some(LogLevel::Debug),
        21..=30 => Some(LogLevel::Info),
        31..=40 => Some(LogLevel::Warn),
        41..=100 => Some(LogLevel::Error),
        _ => None,
    })
}

fn named_level(word: &[u8]) -> Option<LogLevel> {
    const NAMES: [(LogLevel, &[&[u8]]); 4] = [
        (
            LogLevel::Error,
            &[
                b"error",
                b"err",
                b"fatal",
                b"critical",
                b"crit",
                b"panic",
                b"severe",
                b"emerg",
                b"alert",
            ],
        ),
        (LogLevel::Warn, &[b"warn", b"warning"]),
        (LogLevel::Info, &[b"info", b"notice", b"log"]),
        (LogLevel::Debug, &[b"debug", b"trace", b"verbose", b"fine"]),
    ];
    if !(3..=8).contains(&word.len()) {
        return None;
    }
    let has = |names: &[&[u8]]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    let found = NAMES.iter().find(|(_, names)| has(names));
    found.map(|(level, _)| *level)
}

fn word_level(text: &[u8]) -> Option<LogLevel> {
    if text.starts_with(b"Traceback (most recent call last)") || text.starts_with(b"thread '") {
        return Some(LogLevel::Error);
    }
    let mut at = 0;
    let mut is_first = true;
    while at < text.len() {
        if !text[at].is_ascii_alphanumeric() {
            // A colour's code is neither a word nor does a word begin with it.
            at += match text[at..].strip_prefix(b"\x1b[") {
                Some(code) => 3 + code.iter().take_while(|byte| **byte != b'm').count(),
                None => 1,
            };
            continue;
        }
        let len = text[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
            .count();
        let (before, word, after) = (&text[..at], &text[at..at + len], &text[at + len..]);
        if let Some(level) = level_of_word(before, word, after, is_first) {
            return Some(level);
        }
        at += len;
        is_first = false;
    }
    None
}

/// The level of a word that stands where a level stands.
fn level_of_word(before: &[u8], word: &[u8], after: &[u8], is_first: bool) -> Option<LogLevel> {
    if after.first() == Some(&b'=') && is_level_field(word) {
        return value_level(&after[1..]);
    }
    let is_label = matches!(after.first(), Some(b':'));
    if is_first && is_label && (word.ends_with(b"Error") || word.ends_with(b"Exception")) {
        return Some(LogLevel::Error);
    }
    let level = named_level(word)?;
    let is_capital = word.iter().all(u8::is_ascii_uppercase);
    let is_bracketed = matches!(before.last(), Some(b'[' | b'<' | b'('))
        && matches!(after.first(), Some(b']' | b'>' | b')'));
    let is_label = is_first && (is_label || after.starts_with(b"\x1b["));
    let is_tool = is_first && after.is_empty() && before.is_empty();
    (is_capital || is_bracketed || is_label || is_tool).then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_found_where_loggers_put_it() {
        use LogLevel::{Debug, Error, Info, Warn};
        let cases = [
            (r#"{"level":"error","msg":"x"}"#, Some(Error)),
            (r#"{"time":1,"level":30,"msg":"error"}"#, Some(Info)),
            (r#"{"level":50,"msg":"x"}"#, Some(Error)),
            (r#"{"severity":"WARNING"}"#, Some(Warn)),
            (r#"{"msg":"level: error"}"#, None),
            ("time=2026-01-01 level=warn msg=\"x\"", Some(Warn)),
            ("2026-01-01 10:00:00,123 ERROR main: broken", Some(Error)),
            ("2026-01-01 10:00:00.123 UTC [12] FATAL:  no", Some(Error)),
            ("2026-01-01 10:00:00.123 UTC [12] LOG:  ready", Some(Info)),
            ("2026/01/01 10:00:00 [error] 7#7: *1 open()", Some(Error)),
            ("\u{1b}[32mINFO\u{1b}[0m started", Some(Info)),
            ("\u{1b}[33mwarn\u{1b}[39m: old", Some(Warn)),
            ("TypeError: x is not a function", Some(Error)),
            ("java.lang.IllegalStateException: no", Some(Error)),
            ("Error: Cannot find module 'x'", Some(Error)),
            ("npm ERR! code 1", Some(Error)),
            ("panic: runtime error", Some(Error)),
            ("Traceback (most recent call last):", Some(Error)),
            ("DEBUG:root:hello", Some(Debug)),
            ("an error happened", None),
            ("INFORMATION", None),
            ("GET /error 200", None),
            ("", None),
        ];
        for (text, level) in cases {
            assert_eq!(detect_level(text.as_bytes()), level, "{text}");
        }
    }

    #[test]
    fn frames_of_a_stack_trace_go_on() {
        for text in ["    at main (a.js:1:2)", "\tat x.Y", "Caused by: z", "}"] {
            assert!(is_continuation(text.as_bytes()), "{text}");
        }
        for text in ["", "started", "GET / 200", "atlas"] {
            assert!(!is_continuation(text.as_bytes()), "{text}");
        }
    }
}

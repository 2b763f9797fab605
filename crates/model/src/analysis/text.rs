//! Lines of output as they are looked at and shown: short, and without what only terminals read.
//!
//! Invariant: what [`clean`] and [`shorten`] give holds no control character but tabs, and nothing that
//! turns the direction of writing.

use std::borrow::Cow;

/// The most of one line that is looked at, in bytes.
pub(super) const MAX_LINE: usize = 8 * 1024;
/// The most of one line that is shown, in characters.
const MAX_SHOWN: usize = 300;
const ESCAPE: char = '\u{1b}';
const BELL: char = '\u{7}';

/// The beginning of `line` that has at most `max` bytes.
pub(super) fn cut(line: &str, max: usize) -> &str {
    &line[..line.floor_char_boundary(max)]
}

/// The line without colours, control characters and what lies beyond [`MAX_LINE`].
pub(super) fn clean(line: &str) -> Cow<'_, str> {
    plain(cut(line, MAX_LINE))
}

/// The line without colours and control characters, however long it is.
pub fn plain(line: &str) -> Cow<'_, str> {
    let line = line.trim_end();
    if line.bytes().all(is_plain) {
        return Cow::Borrowed(line);
    }
    Cow::Owned(without_controls(line))
}

/// The line as evidence shows it, without the passwords of addresses in it.
pub(super) fn shorten(line: &str) -> String {
    let line = without_passwords(&clean(line));
    let line = line.trim();
    let mut chars = line.chars();
    let mut shown: String = chars.by_ref().take(MAX_SHOWN).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The line with `***` in place of each password within an address: `scheme://user:password@host`.
pub(super) fn without_passwords(line: &str) -> String {
    let mut parts = line.split("://");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("://");
        let ends = |c: char| c.is_whitespace() || "/'\"`<>".contains(c);
        let authority = &part[..part.find(ends).unwrap_or(part.len())];
        let password = authority
            .rfind('@')
            .and_then(|end| Some((authority[..end].find(':')? + 1, end)));
        match password {
            Some((start, end)) => {
                text.push_str(&part[..start]);
                text.push_str("***");
                text.push_str(&part[end..]);
            }
            None => text.push_str(part),
        }
    }
    text
}

fn is_plain(byte: u8) -> bool {
    (b' '..0x7f).contains(&byte) || byte == b'\t'
}

fn without_controls(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => skip_sequence(&mut chars),
            '\t' => text.push('\t'),
            '\r' | '\u{a0}' | '\u{2000}'..='\u{200a}' => text.push(' '),
            c if c.is_control() || turns_direction(c) => {}
            c => text.push(c),
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Skips what belongs to an escape character: a colour or the like, or the title of a window.
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => {
            chars.find(|c| ('@'..='~').contains(c));
        }
        Some(']') => {
            while let Some(c) = chars.next() {
                if c == BELL || (c == ESCAPE && chars.next_if_eq(&'\\').is_some()) {
                    return;
                }
            }
        }
        _ => {}
    }
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_terminals_read_is_left_out() {
        for (line, expected) in [
            ("\u{1b}[31mnpm ERR!\u{1b}[0m code\r", "npm ERR! code"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("a\u{202e}b\u{0}c\u{85}d", "abcd"),
            ("\u{1b}[", ""),
            ("\u{1b}", ""),
            ("größe\t1", "größe\t1"),
            ("\u{2009}ERR_PNPM\u{2009} x", " ERR_PNPM  x"),
        ] {
            assert_eq!(clean(line), expected, "{line:?}");
        }
    }

    #[test]
    fn passwords_of_addresses_are_not_shown() {
        for (line, expected) in [
            (
                "to postgres://app:a@b@db:5432/x",
                "to postgres://app:***@db:5432/x",
            ),
            (
                "redis://:secret@cache http://a/b:c@d",
                "redis://:***@cache http://a/b:c@d",
            ),
            ("http://user@host:80 x:y@z", "http://user@host:80 x:y@z"),
        ] {
            assert_eq!(without_passwords(line), expected);
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = "ä".repeat(MAX_LINE);
        assert_eq!(clean(&line).len(), MAX_LINE);
        assert_eq!(shorten(&line).chars().count(), MAX_SHOWN + 1);
        assert_eq!(cut("aä", 2), "a");
    }
}

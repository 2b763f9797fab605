//! Rust files, taken apart just far enough for the rules: code, comments, texts, and what is test.
//!
//! Assumption: the file compiles. Not here: the meaning of anything; the rules look for words.

use std::ops::Range;

/// What a piece of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Comment,
    Text,
}

/// A comment, or the inside of a text literal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    kind: Kind,
    range: Range<usize>,
}

/// A parsed file. Offsets are those of its text.
pub(crate) struct RustSource {
    /// The text with comments and the insides of literals as spaces.
    code: String,
    /// The code without white space, and where each of its bytes stands.
    compact: String,
    offsets: Vec<usize>,
    pieces: Vec<Piece>,
    is_test: bool,
    tests: Vec<Range<usize>>,
}

impl RustSource {
    /// Takes a file apart.
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let pieces = Scanner::new(text).pieces();
        let code = blank(text, &pieces);
        let (compact, offsets) = compact(&code);
        Self {
            tests: test_ranges(&code),
            is_test: is_test_path(path),
            compact,
            offsets,
            pieces,
            code,
        }
    }

    /// Where `words` stand in the code, however it is broken into lines.
    pub(crate) fn find<'a>(&'a self, words: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.compact
            .match_indices(words)
            .map(move |(at, _)| self.offsets[at])
    }

    /// Each comment with its offset.
    pub(crate) fn comments<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Iterator<Item = (usize, &'a str)> + 'a {
        self.of_kind(Kind::Comment, text)
    }

    /// The inside of each text literal with its offset.
    pub(crate) fn texts<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Iterator<Item = (usize, &'a str)> + 'a {
        self.of_kind(Kind::Text, text)
    }

    fn of_kind<'a>(
        &'a self,
        kind: Kind,
        text: &'a str,
    ) -> impl Iterator<Item = (usize, &'a str)> + 'a {
        self.pieces
            .iter()
            .filter(move |piece| piece.kind == kind)
            .map(move |piece| (piece.range.start, &text[piece.range.clone()]))
    }

    /// Whether the code at `offset` runs in tests only.
    pub(crate) fn is_test(&self, offset: usize) -> bool {
        self.is_test || self.tests.iter().any(|range| range.contains(&offset))
    }

    /// The name of the last function that begins before `offset`.
    pub(crate) fn function_at(&self, offset: usize) -> Option<&str> {
        let before = &self.code[..offset];
        let start = before
            .rmatch_indices("fn ")
            .map(|(at, _)| at)
            .find(|at| !before[..*at].ends_with(is_name_char))?;
        let rest = &self.code[start + 3..];
        let end = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
        Some(&rest[..end])
    }
}

/// Files that only tests compile. A bench is a program, not a test.
fn is_test_path(path: &str) -> bool {
    let is_tests = |part: &str| part == "tests" || part == "tests.rs";
    path.split('/').any(is_tests) && !path.starts_with("tests/bench/")
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text with every piece as spaces; lines and offsets stay.
fn blank(text: &str, pieces: &[Piece]) -> String {
    let mut blanked = String::with_capacity(text.len());
    let mut end = 0;
    for Piece { range, .. } in pieces {
        blanked.push_str(&text[end..range.start]);
        for byte in text[range.clone()].bytes() {
            blanked.push(if byte == b'\n' { '\n' } else { ' ' });
        }
        end = range.end;
    }
    blanked.push_str(&text[end..]);
    blanked
}

fn compact(code: &str) -> (String, Vec<usize>) {
    let mut text = String::with_capacity(code.len());
    let mut offsets = Vec::with_capacity(code.len());
    for (offset, c) in code.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        text.push(c);
        offsets.extend(std::iter::repeat_n(offset, c.len_utf8()));
    }
    (text, offsets)
}

/// What stands under `#[cfg(test)]`, or another `cfg` that names `test`.
fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for (start, opening) in code.match_indices("#[cfg(") {
        let rest = &code[start..];
        let Some(length) = rest.find(']') else {
            continue;
        };
        let condition = &rest[opening.len()..length];
        let names_test = condition.split(|c| !is_name_char(c)).any(|w| w == "test");
        if names_test && !condition.contains("not(test)") {
            ranges.push(start..item_end(code, start + length + 1));
        }
    }
    ranges
}

/// Where the item that begins at `start` ends: its `;`, or the brace that closes its body.
fn item_end(code: &str, start: usize) -> usize {
    let mut braces = 0_usize;
    let mut others = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' => others = others.saturating_sub(1),
            b'{' => braces += 1,
            b'}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return at + 1;
                }
            }
            b';' if braces == 0 && others == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Finds comments and text literals.
struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    pieces: Vec<Piece>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            pieces: Vec::new(),
        }
    }

    fn pieces(mut self) -> Vec<Piece> {
        while self.at < self.bytes.len() {
            match self.bytes[self.at] {
                b'/' if self.looks_at("//") => self.line_comment(),
                b'/' if self.looks_at("/*") => self.block_comment(),
                b'"' => self.quoted(),
                b'r' if self.raw_hashes().is_some() => self.raw(),
                b'\'' => self.tick(),
                _ => self.at += 1,
            }
        }
        self.pieces
    }

    fn looks_at(&self, text: &str) -> bool {
        self.bytes[self.at..].starts_with(text.as_bytes())
    }

    fn take(&mut self, kind: Kind, range: Range<usize>) {
        self.pieces.push(Piece { kind, range });
    }

    fn line_comment(&mut self) {
        let rest = &self.text[self.at..];
        let end = self.at + rest.find('\n').unwrap_or(rest.len());
        self.take(Kind::Comment, self.at..end);
        self.at = end;
    }

    fn block_comment(&mut self) {
        let start = self.at;
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            if self.looks_at("/*") {
                depth += 1;
                self.at += 2;
            } else if self.looks_at("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    break;
                }
            } else {
                self.at += 1;
            }
        }
        self.take(Kind::Comment, start..self.at);
    }

    fn quoted(&mut self) {
        self.at += 1;
        let start = self.at;
        while self.at < self.bytes.len() && self.bytes[self.at] != b'"' {
            self.at += if self.bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        let end = self.at.min(self.bytes.len());
        self.take(Kind::Text, start..end);
        self.at = end + 1;
    }

    /// How many `#` stand between the `r` here and a quote, if this is a raw text.
    fn raw_hashes(&self) -> Option<usize> {
        let before = self.text[..self.at].trim_end_matches(['b', 'c']);
        let is_word_start = self.at - before.len() <= 1 && !before.ends_with(is_name_char);
        let rest = &self.bytes[self.at + 1..];
        let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
        (is_word_start && rest.get(hashes) == Some(&b'"')).then_some(hashes)
    }

    fn raw(&mut self) {
        let hashes = self.raw_hashes().unwrap_or(0);
        let start = self.at + hashes + 2;
        let closing = format!("\"{}", "#".repeat(hashes));
        let rest = &self.text[start..];
        let end = start + rest.find(&closing).unwrap_or(rest.len());
        self.take(Kind::Text, start..end);
        self.at = end + closing.len();
    }

    /// A character such as `'"'`, or a lifetime.
    fn tick(&mut self) {
        let mut rest = self.text[self.at + 1..].char_indices();
        let length = match (rest.next(), rest.next()) {
            (Some((_, '\\')), Some((at, c))) => {
                let after = &self.text[self.at + 1 + at + c.len_utf8()..];
                after.find('\'').map(|end| at + c.len_utf8() + end)
            }
            (Some(_), Some((end, '\''))) => Some(end),
            _ => None,
        };
        let start = self.at + 1;
        match length {
            Some(length) => {
                self.take(Kind::Text, start..start + length);
                self.at = start + length + 1;
            }
            None => self.at = start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        RustSource::parse("crates/a/src/lib.rs", text).code
    }

    #[test]
    fn comments_and_texts_are_no_code() {
        for (text, expected) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"y") z"#, r#"f("    ") z"#),
            ("r#\"a\"b\"# c", "r#\"   \"# c"),
            ("br\"a\\\" c", "br\"  \" c"),
            ("('\"', 'a', '\\'', b'\\n') x", "(' ', ' ', '  ', b'  ') x"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("\"é\" b", "\"  \" b"),
            ("r#type + car", "r#type + car"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn tests_are_known_by_their_path_and_their_attribute() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { [1; 2]; } }\nfn c() {}\n#[cfg(not(test))]\nfn d() {}";
        let source = RustSource::parse("crates/a/src/lib.rs", text);
        let is_test = |word: &str| source.is_test(text.find(word).expect("a word"));
        assert!(!is_test("fn a") && is_test("fn b") && !is_test("fn c") && !is_test("fn d"));
        for (path, expected) in [
            ("crates/a/tests/it/main.rs", true),
            ("crates/a/src/name/tests.rs", true),
            ("crates/a/src/tests/damage.rs", true),
            ("tests/e2e/tests/it/main.rs", true),
            ("tests/bench/src/main.rs", false),
            ("crates/testkit/src/lib.rs", false),
        ] {
            let source = RustSource::parse(path, "fn a() {}");
            assert_eq!(source.is_test(0), expected, "{path}");
        }
    }

    #[test]
    fn words_are_found_across_lines_with_their_function() {
        let text = "fn one() {}\nasync fn two() {\n    self\n        .vault\n        .open(x)\n}\n";
        let source = RustSource::parse("crates/a/src/lib.rs", text);
        let found: Vec<_> = source.find("vault.open(").collect();
        assert_eq!(found, [text.find("vault").expect("a word")]);
        assert_eq!(source.function_at(found[0]), Some("two"));
        assert_eq!(source.function_at(0), None);
    }
}

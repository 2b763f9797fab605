//! What finds lines: words, phrases, fields, and what must not be there.
//!
//! | written | finds lines in which |
//! |---|---|
//! | `timeout` | this word stands, in small or capital letters |
//! | `time*`, `*out`, `*eou*` | a word begins with it, ends with it, has it inside |
//! | `"connection refused"` | these words stand beside each other, with the same signs between them |
//! | `status:500`, `user.id:7` | the field of a JSON or logfmt line has this value |
//! | `status:>=500`, `path:/api/*`, `error:*` | it compares so, begins so, is there at all |
//! | `~"took [0-9]{4,} ms"` | a part of it matches this regular expression; `(?i)` at its beginning ignores case |
//! | `-healthz`, `-"GET /"`, `-status:200` | this is not so |
//!
//! All of what is written must hold. Letters beyond ASCII count as they are.
//!
//! Invariant: a line that a search finds has all of [`Search::required_words`] among its [`words`],
//! so whoever knows that one of them is missing need not look.

use std::borrow::Cow;

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};
use serde_json::Value;

/// The longest search, in characters.
pub const MAX_SEARCH_CHARS: usize = 500;
/// The most terms of a search.
const MAX_TERMS: usize = 32;

/// A search, parsed.
#[derive(Debug, Clone, Default)]
pub struct Search {
    terms: Vec<Term>,
}

#[derive(Debug, Clone)]
struct Term {
    is_negated: bool,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Literal(Box<Literal>),
    Field { name: String, test: Test },
    Regex(Box<Pattern>),
}

/// A regular expression.
#[derive(Debug, Clone)]
struct Pattern {
    regex: Regex,
    /// The longest text that stands in whatever it matches, if there is one.
    literal: Option<Literal>,
}

/// The most memory that a regular expression may be compiled into, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// Text that has to stand in the line.
#[derive(Debug, Clone)]
struct Literal {
    finder: Finder<'static>,
    /// Whether it has to begin and end where words do.
    begins_word: bool,
    ends_word: bool,
}

/// What a field's value has to be.
#[derive(Debug, Clone)]
enum Test {
    Exists,
    Equals(String),
    BeginsWith(String),
    Compares(Comparison, f64),
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Less,
    AtMost,
    AtLeast,
    More,
}

/// The words of a text: runs of ASCII letters, digits and `_`, and of whatever is beyond ASCII.
pub fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !is_word(*byte))
        .filter(|word| !word.is_empty())
}

/// Which bytes belong to words. Each byte of each line is looked up here once.
const IS_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii();
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// Whether a byte belongs to a word.
pub fn is_word(byte: u8) -> bool {
    IS_WORD[usize::from(byte)]
}

impl Search {
    /// Reads a search. The error is a sentence for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > MAX_SEARCH_CHARS {
            return Err(format!("must have at most {MAX_SEARCH_CHARS} characters"));
        }
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            if terms.len() == MAX_TERMS {
                return Err(format!("must have at most {MAX_TERMS} terms"));
            }
            let term;
            (term, rest) = take_term(rest)?;
            terms.push(term);
            rest = rest.trim_start();
        }
        Ok(Self { terms })
    }

    /// Whether it finds every line.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether it finds this line. `lower` is the same text with its ASCII letters in lower case.
    pub fn finds(&self, text: &[u8], lower: &[u8]) -> bool {
        let mut fields = Fields { text, parsed: None };
        self.terms.iter().all(|term| {
            let holds = match &term.kind {
                Kind::Literal(literal) => literal.stands_in(lower),
                Kind::Field { name, test } => fields.holds(name, test),
                Kind::Regex(pattern) => pattern.regex.is_match(text),
            };
            holds != term.is_negated
        })
    }

    /// Words, in lower case, that every line has which this finds.
    pub fn required_words(&self) -> Vec<Vec<u8>> {
        let mut required = Vec::new();
        for term in self.terms.iter().filter(|term| !term.is_negated) {
            match &term.kind {
                Kind::Literal(literal) => literal.required_words(&mut required),
                Kind::Regex(pattern) => {
                    if let Some(literal) = &pattern.literal {
                        literal.required_words(&mut required);
                    }
                }
                Kind::Field { name, test } => {
                    field_words(name, &mut required);
                    if let Test::Equals(value) = test {
                        field_words(value, &mut required);
                    }
                }
            }
        }
        required.sort_unstable();
        required.dedup();
        required
    }

    /// The longest text, in lower case, that stands in every line which this finds.
    pub fn required_text(&self) -> Option<&Finder<'static>> {
        let required = self.terms.iter().filter(|term| !term.is_negated);
        let literals = required.filter_map(|term| match &term.kind {
            Kind::Literal(literal) => Some(&literal.finder),
            Kind::Regex(pattern) => pattern.literal.as_ref().map(|literal| &literal.finder),
            Kind::Field { .. } => None,
        });
        literals.max_by_key(|finder| finder.needle().len())
    }
}

/// Words that stand in a field's text as they stand in its value. A JSON writer may spell
/// whatever is beyond ASCII or a control character in another way, and then no word beside it is sure.
fn field_words(text: &str, required: &mut Vec<Vec<u8>>) {
    if text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"'))
    {
        required.extend(words(text.as_bytes()).map(<[u8]>::to_ascii_lowercase));
    }
}

impl Literal {
    fn new(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('*').unwrap_or(text);
        let is_open_before = inner.len() < text.len();
        let literal = inner.strip_suffix('*').unwrap_or(inner);
        Self::exact(literal, is_open_before, literal.len() < inner.len())
    }

    fn exact(text: &str, is_open_before: bool, is_open_after: bool) -> Result<Self, String> {
        let literal = text.to_ascii_lowercase().into_bytes();
        let (Some(first), Some(last)) = (literal.first(), literal.last()) else {
            return Err("has a term without text; write \\* in quotes to find a star".to_owned());
        };
        Ok(Self {
            begins_word: !is_open_before && is_word(*first),
            ends_word: !is_open_after && is_word(*last),
            finder: Finder::new(&literal).into_owned(),
        })
    }

    fn stands_in(&self, lower: &[u8]) -> bool {
        let len = self.finder.needle().len();
        self.finder.find_iter(lower).any(|at| {
            let before = at.checked_sub(1).and_then(|at| lower.get(at));
            let after = lower.get(at + len);
            let is_cut = |byte: Option<&u8>| byte.is_some_and(|byte| is_word(*byte));
            !(self.begins_word && is_cut(before) || self.ends_word && is_cut(after))
        })
    }

    fn required_words(&self, required: &mut Vec<Vec<u8>>) {
        let needle = self.finder.needle();
        let is_inside = |at: usize| is_word(needle[at]);
        let mut found: Vec<_> = words(needle).map(<[u8]>::to_vec).collect();
        // A word that may go on beyond the text is not known whole.
        if !self.ends_word && is_inside(needle.len() - 1) {
            found.pop();
        }
        if !self.begins_word && is_inside(0) && !found.is_empty() {
            found.remove(0);
        }
        required.append(&mut found);
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        let invalid = |error: String| {
            let problem = error.lines().last().unwrap_or_default().to_owned();
            format!("has a regular expression that cannot be used: {problem}")
        };
        let regex = RegexBuilder::new(text)
            .size_limit(MAX_REGEX_BYTES)
            .dfa_size_limit(MAX_REGEX_BYTES)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        let parsed = regex_syntax::parse(text).map_err(|error| invalid(error.to_string()))?;
        let literal = longest_literal(&parsed);
        let literal = literal.and_then(|text| Literal::exact(text, true, true).ok());
        Ok(Self { regex, literal })
    }
}

/// The longest text that stands, as it is, in all that an expression matches.
fn longest_literal(expression: &Hir) -> Option<&str> {
    match expression.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok(),
        HirKind::Capture(group) => longest_literal(&group.sub),
        HirKind::Repetition(repeated) if repeated.min > 0 => longest_literal(&repeated.sub),
        HirKind::Concat(parts) => parts
            .iter()
            .filter_map(longest_literal)
            .max_by_key(|text| text.len()),
        _ => None,
    }
}

/// The first term, and what follows it.
fn take_term(text: &str) -> Result<(Term, &str), String> {
    let (is_negated, text) = match text.strip_prefix('-') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(char::is_whitespace) => (true, rest),
        _ => (false, text),
    };
    let (kind, rest) = if let Some(quoted) = text.strip_prefix("~\"") {
        let (pattern, rest) = take_quoted(quoted)?;
        (Kind::Regex(Box::new(Pattern::new(&pattern)?)), rest)
    } else if let Some(quoted) = text.strip_prefix('"') {
        let (phrase, rest) = take_quoted(quoted)?;
        (
            Kind::Literal(Box::new(Literal::exact(&phrase, false, false)?)),
            rest,
        )
    } else if let Some((name, value)) = split_field(text) {
        let (test, rest) = take_test(value)?;
        let name = name.to_owned();
        (Kind::Field { name, test }, rest)
    } else {
        let (word, rest) = take_word(text);
        (Kind::Literal(Box::new(Literal::new(word)?)), rest)
    };
    Ok((Term { is_negated, kind }, rest))
}

fn take_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// The text up to the closing quotation mark; `\"` and `\\` stand for themselves.
fn take_quoted(text: &str) -> Result<(String, &str), String> {
    let mut phrase = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((phrase, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, next @ ('"' | '\\'))) => phrase.push(next),
                Some((_, next)) => phrase.extend(['\\', next]),
                None => break,
            },
            char => phrase.push(char),
        }
    }
    Err("has a quotation mark that is not closed".to_owned())
}

/// `name:value` in its parts; `None` if the text is not that, as `http://…` and `12:30` are not.
fn split_field(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@'));
    let is_value = !value.is_empty()
        && !value.starts_with(char::is_whitespace)
        && !value.starts_with("//")
        && !value.starts_with(':');
    (is_name && is_value).then_some((name, value))
}

fn take_test(text: &str) -> Result<(Test, &str), String> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, rest) = take_quoted(quoted)?;
        return Ok((Test::Equals(value), rest));
    }
    let (word, rest) = take_word(text);
    let comparisons = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        (">", Comparison::More),
        ("<", Comparison::Less),
    ];
    for (sign, comparison) in comparisons {
        let Some(number) = word.strip_prefix(sign) else {
            continue;
        };
        let number: f64 = number
            .parse()
            .map_err(|_| format!("compares a field with {number:?}, which is no number"))?;
        return Ok((Test::Compares(comparison, number), rest));
    }
    let test = match word.strip_suffix('*') {
        Some("") => Test::Exists,
        Some(beginning) => Test::BeginsWith(beginning.to_owned()),
        None => Test::Equals(word.to_owned()),
    };
    Ok((test, rest))
}

/// A line's fields, read when the first term asks.
struct Fields<'a> {
    text: &'a [u8],
    parsed: Option<Parsed<'a>>,
}

enum Parsed<'a> {
    Json(Value),
    Logfmt(Vec<(&'a str, Cow<'a, str>)>),
    None,
}

impl<'a> Fields<'a> {
    fn holds(&mut self, name: &str, test: &Test) -> bool {
        let text = self.text;
        match self.parsed.get_or_insert_with(|| parse_fields(text)) {
            Parsed::Json(value) => {
                find_json(value, name).is_some_and(|value| test.holds_json(value))
            }
            Parsed::Logfmt(pairs) => pairs
                .iter()
                .any(|(key, value)| *key == name && test.holds(value)),
            Parsed::None => false,
        }
    }
}

fn parse_fields(text: &[u8]) -> Parsed<'_> {
    if text.trim_ascii_start().starts_with(b"{") {
        return serde_json::from_slice(text).map_or(Parsed::None, Parsed::Json);
    }
    match std::str::from_utf8(text) {
        Ok(text) if text.contains('=') => Parsed::Logfmt(parse_logfmt(text)),
        _ => Parsed::None,
    }
}

/// `key=value key="quoted value"`; what is neither is passed over.
fn parse_logfmt(text: &str) -> Vec<(&str, Cow<'_, str>)> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest
            .find(|char: char| char.is_whitespace() || char == '=')
            .unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        rest = match after.strip_prefix('=') {
            None => after,
            Some(value) => {
                let (value, after) = match value.strip_prefix('"').map(take_quoted) {
                    Some(Ok((value, after))) => (Cow::Owned(value), after),
                    _ => {
                        let (word, after) = take_word(value);
                        (Cow::Borrowed(word), after)
                    }
                };
                if !key.is_empty() {
                    pairs.push((key, value));
                }
                after
            }
        };
        rest = rest.trim_start();
    }
    pairs
}

/// The value with this name, or at this path of names with points between them.
fn find_json<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(name).or_else(|| {
        name.match_indices('.').find_map(|(at, _)| {
            let inner = object.get(&name[..at])?;
            find_json(inner, &name[at + 1..])
        })
    })
}

impl Test {
    fn holds_json(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.holds(text),
            Value::Array(values) => {
                matches!(self, Self::Exists) || values.iter().any(|value| self.holds_json(value))
            }
            Value::Object(_) => matches!(self, Self::Exists),
            other => self.holds(&other.to_string()),
        }
    }

    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Exists => true,
            Self::Equals(expected) => value.eq_ignore_ascii_case(expected),
            Self::BeginsWith(beginning) => value
                .get(..beginning.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(beginning)),
            Self::Compares(comparison, bound) => value
                .parse::<f64>()
                .is_ok_and(|number| comparison.holds(number, *bound)),
        }
    }
}

impl Comparison {
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Less => number < bound,
            Self::AtMost => number <= bound,
            Self::AtLeast => number >= bound,
            Self::More => number > bound,
        }
    }
}

#[cfg(test)]
mod tests;

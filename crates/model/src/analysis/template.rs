//! Templates: how a message is written down in the tables, and what it holds where it is found.
//!
//! `connect ECONNREFUSED {host}:{port#}` is text with holes. `{name}` holds a word (no white space, quotes
//! or brackets), `{name#}` digits, `{name*}` anything up to the text that follows, or to the end. A hole at
//! the beginning holds what stands before the first text. `{{` and `}}` are braces.
//! In titles and fixes `{name}` is what was held, `{name|its port}` says what stands there without it.
//!
//! Invariant: looking takes a bounded number of steps, whatever the line is.

use super::text::cut;

/// The most that one hole holds, in bytes.
const MAX_HELD: usize = 256;
/// The most that is shown of it, in bytes.
const MAX_FILLED: usize = 160;
/// How many places a template is tried at within one line, and how many steps that may take in all.
const MAX_PLACES: usize = 8;
const MAX_STEPS: u32 = 2_000;

/// What was held, by the names of the holes.
pub(super) type Held<'a> = Vec<(&'static str, &'a str)>;

/// A message with holes.
#[derive(Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole(&'static str, Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Digits,
    Anything,
}

impl Template {
    /// Reads a template of the tables. A brace that is never closed is text.
    pub(super) fn parse(source: &'static str) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let brace = &rest[at..];
            let doubled = brace.starts_with("{{") || brace.starts_with("}}");
            match brace[1..].find('}') {
                Some(end) if !doubled && brace.starts_with('{') => {
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text)));
                    }
                    parts.push(parse_hole(&brace[1..=end]));
                    rest = &brace[end + 2..];
                }
                _ => {
                    text.push_str(&brace[..1]);
                    rest = &brace[1 + usize::from(doubled)..];
                }
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Self { parts }
    }

    /// Its longest text, without which it is not found.
    pub(super) fn anchor(&self) -> &str {
        self.texts().max_by_key(|text| text.len()).unwrap_or("")
    }

    /// How much of it is text: of two that are found in a line, the one with more says more.
    pub(super) fn weight(&self) -> usize {
        self.texts().map(str::len).sum()
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Hole(..) => None,
        })
    }

    /// What its holes hold in `line`, if it is there.
    pub(super) fn find<'a>(&self, line: &'a str) -> Option<Held<'a>> {
        let (leading, parts) = match self.parts.as_slice() {
            [Part::Hole(name, kind), rest @ ..] => (Some((*name, *kind)), rest),
            parts => (None, parts),
        };
        let Some(Part::Text(first)) = parts.first() else {
            return None;
        };
        let mut steps = MAX_STEPS;
        for (at, _) in line.match_indices(first.as_str()).take(MAX_PLACES) {
            let mut held = Vec::new();
            if let Some((name, kind)) = leading {
                let Some(text) = held_before(&line[..at], kind) else {
                    continue;
                };
                held.push((name, text));
            }
            if follow(parts, &line[at..], &mut held, &mut steps) {
                return Some(held);
            }
        }
        None
    }
}

fn parse_hole(source: &'static str) -> Part {
    if let Some(name) = source.strip_suffix('#') {
        Part::Hole(name, Kind::Digits)
    } else if let Some(name) = source.strip_suffix('*') {
        Part::Hole(name, Kind::Anything)
    } else {
        Part::Hole(source, Kind::Word)
    }
}

/// Whether `line` begins with `parts`; `held` gets what their holes hold.
fn follow<'a>(parts: &[Part], line: &'a str, held: &mut Held<'a>, steps: &mut u32) -> bool {
    let Some(left) = steps.checked_sub(1) else {
        return false;
    };
    *steps = left;
    match parts {
        [] => true,
        [Part::Text(text), rest @ ..] => {
            after_text(text, line).is_some_and(|line| follow(rest, line, held, steps))
        }
        [Part::Hole(name, kind)] => {
            let text = trimmed(reach(line, *kind), *kind);
            held.push((name, text));
            !text.is_empty()
        }
        [Part::Hole(name, kind), rest @ ..] => follow_hole((name, *kind), rest, line, held, steps),
    }
}

/// Tries each place where the hole may end: a word is as long as it can be, anything as short.
fn follow_hole<'a>(
    (name, kind): (&'static str, Kind),
    rest: &[Part],
    line: &'a str,
    held: &mut Held<'a>,
    steps: &mut u32,
) -> bool {
    let Some(Part::Text(next)) = rest.first() else {
        return false;
    };
    let mut fits_at = |end: usize| {
        let count = held.len();
        held.push((name, trimmed(&line[..end], kind)));
        let follows = end > 0 && follow(rest, &line[end..], held, steps);
        if !follows {
            held.truncate(count);
        }
        follows
    };
    // The text that ends the hole may lie beyond what the hole may hold.
    let room = cut(line, reach(line, kind).len() + next.len());
    if kind == Kind::Anything {
        return room.match_indices(next.as_str()).any(|(at, _)| fits_at(at));
    }
    room.rmatch_indices(next.as_str())
        .any(|(at, _)| fits_at(at))
}

/// What comes after `text` at the beginning of `line`. A number that goes on is another number.
fn after_text<'a>(text: &str, line: &'a str) -> Option<&'a str> {
    let rest = line.strip_prefix(text)?;
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let goes_on = is_digit(text.chars().next_back()) && is_digit(rest.chars().next());
    (!goes_on).then_some(rest)
}

/// The longest beginning of `text` that a hole of `kind` may hold.
fn reach(text: &str, kind: Kind) -> &str {
    let text = cut(text, MAX_HELD);
    let end = text.find(|c| !may_hold(kind, c)).unwrap_or(text.len());
    &text[..end]
}

/// What a hole at the beginning holds, which ends where the first text begins.
fn held_before(before: &str, kind: Kind) -> Option<&str> {
    let from = before.len().saturating_sub(MAX_HELD);
    let before = &before[before.ceil_char_boundary(from)..];
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| may_hold(kind, *c))
        .last()?
        .0;
    Some(trimmed(&before[start..], kind)).filter(|text| !text.is_empty())
}

fn may_hold(kind: Kind, c: char) -> bool {
    match kind {
        Kind::Word => !c.is_whitespace() && !"'\"`,;()[]{}<>|\\‘’“”".contains(c),
        Kind::Digits => c.is_ascii_digit(),
        Kind::Anything => true,
    }
}

/// Without the punctuation of the sentence around it.
fn trimmed(text: &str, kind: Kind) -> &str {
    let ends = |c: char| c.is_whitespace() || ",;:.\\".contains(c);
    let is_quote = |c: char| kind != Kind::Anything && "'\"`".contains(c);
    text.trim_start()
        .trim_start_matches(is_quote)
        .trim_end_matches(|c| ends(c) || is_quote(c))
}

/// A title or a fix with what was held. What was not held, and has no other words, is left out.
pub(super) fn fill(text: &str, held: &Held<'_>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, otherwise, after_hole)) = split_hole(after) else {
            filled.push('{');
            rest = after;
            continue;
        };
        let found = held.iter().find(|(other, _)| *other == name);
        match found {
            Some((_, text)) if text.len() > MAX_FILLED => {
                filled.push_str(cut(text, MAX_FILLED));
                filled.push('…');
            }
            Some((_, text)) => filled.push_str(text),
            None => filled.push_str(otherwise.unwrap_or_default()),
        }
        rest = after_hole;
    }
    filled.push_str(rest);
    filled
}

/// The name of a hole whose brace was opened, its other words, and what comes after it. Braces around
/// anything but a name are text.
fn split_hole(after: &str) -> Option<(&str, Option<&str>, &str)> {
    let (hole, rest) = after.split_once('}')?;
    let (name, otherwise) = match hole.split_once('|') {
        Some((name, otherwise)) => (name, Some(otherwise)),
        None => (hole, None),
    };
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    is_name.then_some((name, otherwise, rest))
}

/// The names of the holes of a title or a fix that have no other words.
#[cfg(test)]
pub(super) fn names_needed(text: &str) -> Vec<&str> {
    let holes = text.split('{').skip(1).filter_map(split_hole);
    holes
        .filter_map(|(name, otherwise, _)| otherwise.is_none().then_some(name))
        .collect()
}

#[cfg(test)]
impl Template {
    /// The names of its holes.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let hole = |part: &Part| match part {
            Part::Hole(name, _) => Some(*name),
            Part::Text(_) => None,
        };
        self.parts.iter().filter_map(hole).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &'static str, line: &str, expected: Option<&[(&str, &str)]>) {
        let held = Template::parse(template).find(line);
        assert_eq!(held.as_deref(), expected, "{template} in {line}");
    }

    #[test]
    fn holes_hold_what_stands_there() {
        check(
            "connect ECONNREFUSED {host}:{port#}",
            "Error: connect ECONNREFUSED ::1:5432",
            Some(&[("host", "::1"), ("port", "5432")]),
        );
        check(
            "dial tcp {host}:{port#}: connect",
            "dial tcp db.internal:5432: connect: connection refused",
            Some(&[("host", "db.internal"), ("port", "5432")]),
        );
        check(
            "{command}: command not found",
            "bash: line 1: gunicorn: command not found",
            Some(&[("command", "gunicorn")]),
        );
        check("no {word} here", "no 'quoted' here", None);
        check("port {n#} is", "port x is", None);
        check(
            "said {all*} to {whom}",
            "he said a, b to me.",
            Some(&[("all", "a, b"), ("whom", "me")]),
        );
        check("module '{name}'", "module 'a/b'", Some(&[("name", "a/b")]));
        check(":5432", "x:54321", None);
        check("{{ {a} }}", "{ b }", Some(&[("a", "b")]));
    }

    #[test]
    fn what_is_not_held_has_other_words() {
        let held = vec![("port", "80")];
        assert_eq!(
            fill("port {port}, {host|the host}.", &held),
            "port 80, the host."
        );
        assert_eq!(fill("${A:b} {", &held), "${A:b} {");
        assert_eq!(names_needed("port {port}, {host|the host}."), ["port"]);
    }

    #[test]
    fn a_hostile_line_takes_few_steps() {
        let line = "a:".repeat(4096);
        assert!(Template::parse("a{b}:{c}:{d}:{e}:x").find(&line).is_none());
    }
}

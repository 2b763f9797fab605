//! Why an app fails, told from its output: a table of known messages, and rules for what matters among them.
//!
//! [`analyze`] reads the lines once, recognises what the tables in `table/` describe, and ranks it: how sure
//! the message makes one, then what came last, since a crash's last error explains more than a warning at
//! the start. What an app recovered from is no cause.
//!
//! Guarantees: no input makes it panic, a line costs at most a bounded number of steps, and only what is in
//! a table is ever named as a cause.
//!
//! Not here: which lines are looked at, and who may read them.

mod evidence;
mod finder;
mod scan;
mod table;
mod template;
mod text;

use std::sync::LazyLock;

use scan::{Findings, Matcher, Seen, Since, scan};
use table::{HINT, LIKELY, Pattern};
use template::{Held, fill};
pub use text::plain;
use text::{clean, shorten, without_passwords};

/// The most lines that are looked at: the last ones.
const MAX_LINES: usize = 200_000;
/// The most causes that are named.
const MAX_CAUSES: usize = 5;
/// What a cause loses that seems to be over, and what it needs to be named.
const LOSS: u8 = 30;
const MIN_CONFIDENCE: u8 = HINT;
/// Where the last output begins within a deployment's reason.
const LAST_OUTPUT: &str = ". Its last output: ";

static MATCHER: LazyLock<Matcher> = LazyLock::new(Matcher::new);

/// What is known besides the lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The reason on the deployment's record, see [`crate::deployment::failure`].
    pub reason: Option<&'a str>,
    /// What the process ended with, if it ended.
    pub exit_code: Option<i64>,
}

/// What is known of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// One sentence that the author can act on.
    pub summary: String,
    /// At most five, the likeliest first.
    pub causes: Vec<Cause>,
    /// Without a cause: the last lines that look like trouble.
    pub unexplained: Vec<String>,
}

impl Analysis {
    /// The cause that is told to somebody who did not ask: the first one, if the message nearly always
    /// means it.
    pub fn likely(&self) -> Option<&Cause> {
        self.causes
            .first()
            .filter(|cause| cause.confidence >= LIKELY)
    }
}

/// Something that makes an app fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The pattern that was recognised, such as `node-missing-module`.
    pub pattern: &'static str,
    /// What is wrong, in the words of a heading.
    pub title: String,
    /// From 1 to 100.
    pub confidence: u8,
    /// Lines of the log, shortened, in their order.
    pub evidence: Vec<String>,
    /// What to do.
    pub fix: String,
}

/// Explains why an app, a job or a build failed.
pub fn analyze(lines: &[&str], facts: &Facts<'_>) -> Analysis {
    let ending = facts
        .exit_code
        .filter(|code| *code != 0 && facts.reason.is_none())
        .map(|code| format!("the process exited with code {code}"));
    let mut looked_at = lines[lines.len().saturating_sub(MAX_LINES)..].to_vec();
    let count = looked_at.len();
    looked_at.extend(facts.reason.map(without_last_output));
    looked_at.extend(ending.as_deref());

    let findings = scan(&MATCHER, &looked_at);
    let causes = rank(&findings, &looked_at);
    let unexplained = if causes.is_empty() {
        let troubles = findings.troubles.iter();
        troubles.map(|at| shorten(looked_at[*at])).collect()
    } else {
        Vec::new()
    };
    Analysis {
        summary: summarize(&causes, &unexplained, count),
        causes,
        unexplained,
    }
}

/// The ids of all patterns, in the order of the tables.
pub fn patterns() -> impl Iterator<Item = &'static str> {
    table::all().map(|pattern| pattern.id)
}

/// The reason's own words: the output that it repeats is in the log.
fn without_last_output(reason: &str) -> &str {
    reason
        .split_once(LAST_OUTPUT)
        .map_or(reason, |(own, _)| own)
}

/// The causes worth naming, the likeliest first.
fn rank(findings: &Findings, lines: &[&str]) -> Vec<Cause> {
    let mut ranked: Vec<(u8, &Seen)> = findings
        .seen
        .iter()
        .filter_map(|seen| Some((confidence(findings, seen)?, seen)))
        .collect();
    ranked.sort_by_key(|(confidence, seen)| std::cmp::Reverse((*confidence, seen.last.line)));
    let is_clear = ranked.first().is_some_and(|(best, _)| *best >= LIKELY);
    ranked
        .into_iter()
        .filter(|(confidence, _)| !is_clear || *confidence > HINT)
        .take(MAX_CAUSES)
        .map(|(confidence, seen)| describe(seen, confidence, lines))
        .collect()
}

/// How sure one can be of a pattern after all that happened since; `None` if it is over.
fn confidence(findings: &Findings, seen: &Seen) -> Option<u8> {
    let pattern = MATCHER.pattern(&seen.last);
    let lowered = Some(pattern.confidence.saturating_sub(LOSS));
    match findings.since(seen) {
        Since::Well if pattern.passes => None,
        Since::Well | Since::WellForAWhile if !pattern.stays => {
            lowered.filter(|confidence| *confidence >= MIN_CONFIDENCE)
        }
        _ => Some(pattern.confidence),
    }
}

fn describe(seen: &Seen, confidence: u8, lines: &[&str]) -> Cause {
    let pattern: &Pattern = MATCHER.pattern(&seen.last);
    let sighting = if pattern.is_first {
        seen.first
    } else {
        seen.best
    };
    let line = without_passwords(&clean(lines[sighting.line]));
    let held: Held<'_> = MATCHER.held(&sighting, &line);
    Cause {
        pattern: pattern.id,
        title: fill(pattern.title, &held),
        confidence,
        evidence: evidence::gather(lines, sighting.line, pattern.more),
        fix: fill(pattern.fix, &held),
    }
}

fn summarize(causes: &[Cause], unexplained: &[String], count: usize) -> String {
    if let Some(cause) = causes.first() {
        let advice = cause.fix.split(". ").next().unwrap_or_default();
        let advice = advice.trim_end_matches('.');
        let likely = if cause.confidence >= LIKELY {
            ""
        } else {
            "Perhaps: "
        };
        return format!("{likely}{}; {}.", cause.title, lower_first(advice));
    }
    match unexplained.last() {
        Some(line) => format!(
            "No known cause was recognised in {count} lines; the last one that looks like trouble is: {line}"
        ),
        None if count == 0 => "There is no output to look at.".to_owned(),
        None => format!("Nothing in {count} lines looks like a failure."),
    }
}

/// As it stands within a sentence.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

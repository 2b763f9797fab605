//! The one pass over the lines: where each pattern was seen, and what of the log is normal.
//!
//! Invariant: memory grows with the number of patterns, never with the number of lines.

use std::collections::VecDeque;

use super::finder::Finder;
use super::table::{Pattern, all};
use super::template::{Held, Template};
use super::text::clean;

/// How far around a line the words may be that a pattern wants, or does not want, to be near.
const NEAR_BEFORE: usize = 15;
const NEAR_AFTER: usize = 5;
/// How many of the last lines that look like trouble are remembered.
const MAX_TROUBLES: usize = 5;

/// What a line holds that looks like trouble.
const TROUBLE: &[&str] = &[
    "error",
    "Error",
    "ERROR",
    "ERR!",
    "fatal",
    "Fatal",
    "FATAL",
    "panic",
    "Traceback",
    "xception",
    "failed",
    "Failed",
    "FAILED",
    "annot ",
    "exited with",
    "killed",
    "Killed",
    "refused",
    "denied",
    "not found",
    "Not found",
];
/// What a line holds that only looks like it.
const HARMLESS: &[&str] = &[
    "-error",
    "/error",
    "0 error",
    "no error",
    "No error",
    "errors: 0",
    "errors=0",
    "error=null",
    "\"error\":null",
    "error_log",
    "without error",
    "0 failed",
    "failed: 0",
    "failed=0",
];
/// What a line holds that says that things are well.
const WELL: &[&str] = &[
    "istening on",
    "istening at",
    "onnected to",
    "onnection established",
    "ready to accept connections",
    "erver started",
    "erver is running on",
    "erver is running at http",
    "erver running",
    "tarted server",
    "pplication startup complete",
    "tart worker process",
    "atabase connected",
    "eady in ",
    "Started Application",
];
const NOT_WELL: &[&str] = &[
    "isconnected",
    "not connected",
    "onnected to the internet",
    "ake sure",
    "Is the server",
    "ontrol socket",
];

#[derive(Debug, Clone, Copy)]
enum Role {
    Template(usize),
    Trouble,
    Harmless,
    Well,
    NotWell,
}

/// The tables in the form in which they are looked for.
#[derive(Debug)]
pub(super) struct Matcher {
    patterns: Vec<&'static Pattern>,
    /// Each with the place of its pattern. What says most comes first.
    templates: Vec<(usize, Template)>,
    roles: Vec<Role>,
    finder: Finder,
}

impl Matcher {
    pub(super) fn new() -> Self {
        let patterns: Vec<&'static Pattern> = all().collect();
        let mut templates: Vec<(usize, Template)> = patterns
            .iter()
            .enumerate()
            .flat_map(|(at, pattern)| pattern.texts.iter().map(move |text| (at, *text)))
            .map(|(at, text)| (at, Template::parse(text)))
            .collect();
        templates.sort_by_key(|(at, template)| {
            std::cmp::Reverse((patterns[*at].confidence, template.weight()))
        });
        let words = [
            (TROUBLE, Role::Trouble),
            (HARMLESS, Role::Harmless),
            (WELL, Role::Well),
            (NOT_WELL, Role::NotWell),
        ];
        let mut texts: Vec<&str> = templates
            .iter()
            .map(|(_, template)| template.anchor())
            .collect();
        let mut roles: Vec<Role> = (0..templates.len()).map(Role::Template).collect();
        for (list, role) in words {
            texts.extend(list);
            roles.extend(list.iter().map(|_| role));
        }
        let finder = Finder::new(texts);
        Self {
            patterns,
            templates,
            roles,
            finder,
        }
    }

    /// The pattern at a place of [`Seen`].
    pub(super) fn pattern(&self, sighting: &Sighting) -> &'static Pattern {
        self.patterns[self.templates[sighting.template].0]
    }

    /// What the holes held there.
    pub(super) fn held<'a>(&self, sighting: &Sighting, line: &'a str) -> Held<'a> {
        self.templates[sighting.template]
            .1
            .find(line)
            .unwrap_or_default()
    }
}

/// One place at which a pattern was recognised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) line: usize,
    template: usize,
    /// How many lines before it were normal.
    normal_before: usize,
}

/// Where one pattern was recognised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) first: Sighting,
    pub(super) last: Sighting,
    /// Where the message says most, of those places that are near the last one.
    pub(super) best: Sighting,
}

impl Seen {
    fn at(sighting: Sighting) -> Self {
        Self {
            first: sighting,
            last: sighting,
            best: sighting,
        }
    }

    /// Templates that say more come first.
    fn see(&mut self, sighting: Sighting) {
        let is_near = sighting.line - self.last.line <= SAME_ERROR;
        if !is_near || sighting.template <= self.best.template {
            self.best = sighting;
        }
        self.last = sighting;
    }
}

/// Two messages so many lines apart at most belong to one error.
const SAME_ERROR: usize = 30;

/// What the pass found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// In the order of the tables.
    pub(super) seen: Vec<Seen>,
    /// The last lines that look like trouble.
    pub(super) troubles: VecDeque<usize>,
    last_well: Option<usize>,
    normal: usize,
}

/// What happened after a pattern was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// Nothing that says that it is over.
    Nothing,
    /// Things were well, and trouble came again.
    WellForAWhile,
    /// Things are well.
    Well,
}

/// So many normal lines say that it is over.
const MANY_NORMAL: usize = 200;

impl Findings {
    /// What happened after a pattern was last seen.
    pub(super) fn since(&self, seen: &Seen) -> Since {
        let normal = self.normal - seen.last.normal_before;
        let last_trouble = self.troubles.back().copied();
        match self.last_well {
            _ if normal >= MANY_NORMAL => Since::Well,
            Some(well) if well <= seen.last.line => Since::Nothing,
            Some(well) if last_trouble.is_none_or(|trouble| trouble < well) => Since::Well,
            Some(_) => Since::WellForAWhile,
            None => Since::Nothing,
        }
    }
}

/// Looks at every line once.
pub(super) fn scan(matcher: &Matcher, lines: &[&str]) -> Findings {
    let mut seen: Vec<Option<Seen>> = vec![None; matcher.patterns.len()];
    let mut findings = Findings::default();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let line = clean(line);
        matcher.finder.find(&line, &mut found);
        let best = best_template(matcher, lines, at, &line, &found);
        if let Some(template) = best {
            let sighting = Sighting {
                line: at,
                template,
                normal_before: findings.normal,
            };
            seen[matcher.templates[template].0]
                .get_or_insert(Seen::at(sighting))
                .see(sighting);
        }
        note(matcher, &found, best.is_some(), at, &mut findings);
    }
    findings.seen = seen.into_iter().flatten().collect();
    findings
}

/// The first template that is found in the line: of several it says most.
fn best_template(
    matcher: &Matcher,
    lines: &[&str],
    at: usize,
    line: &str,
    found: &[usize],
) -> Option<usize> {
    let mut candidates = found.iter().filter_map(|text| match matcher.roles[*text] {
        Role::Template(template) => Some(template),
        _ => None,
    });
    candidates.find(|template| {
        let (pattern, text) = &matcher.templates[*template];
        text.find(line).is_some() && fits(matcher.patterns[*pattern], lines, at)
    })
}

/// Whether the lines around allow the pattern.
fn fits(pattern: &Pattern, lines: &[&str], at: usize) -> bool {
    let holds = |from: usize, until: usize, words: &[&str]| {
        lines[from..until.min(lines.len())].iter().any(|line| {
            let line = super::text::cut(line, super::text::MAX_LINE);
            words.iter().any(|word| line.contains(word))
        })
    };
    let around = (at.saturating_sub(NEAR_BEFORE), at + 1 + NEAR_AFTER);
    if holds(at, at + 1, pattern.unless) {
        return false;
    }
    if holds(around.0, around.1, pattern.not_near) {
        return false;
    }
    pattern.near.is_empty() || holds(around.0, around.1, pattern.near)
}

/// Notes whether the line is trouble, normal, or says that things are well.
fn note(
    matcher: &Matcher,
    found: &[usize],
    is_recognised: bool,
    at: usize,
    findings: &mut Findings,
) {
    let mut is_trouble = is_recognised;
    let mut is_well = false;
    let mut is_harmless = false;
    let mut is_not_well = false;
    for text in found {
        match matcher.roles[*text] {
            Role::Template(_) => {}
            Role::Trouble => is_trouble = true,
            Role::Harmless => is_harmless = true,
            Role::Well => is_well = true,
            Role::NotWell => is_not_well = true,
        }
    }
    if is_trouble && (is_recognised || !is_harmless) {
        if findings.troubles.len() == MAX_TROUBLES {
            findings.troubles.pop_front();
        }
        findings.troubles.push_back(at);
        return;
    }
    findings.normal += 1;
    if is_well && !is_not_well {
        findings.last_well = Some(at);
    }
}

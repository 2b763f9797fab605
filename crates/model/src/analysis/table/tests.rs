//! What holds of every row.

use std::collections::HashSet;

use super::super::finder::MIN_TEXT;
use super::super::template::{Template, names_needed};
use super::*;

#[test]
fn ids_are_unique_and_say_where_they_belong() {
    let mut ids = HashSet::new();
    for pattern in all() {
        assert!(ids.insert(pattern.id), "{} is there twice", pattern.id);
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(
            pattern.id.chars().all(is_plain) && pattern.id.contains('-'),
            "{}",
            pattern.id
        );
    }
}

#[test]
fn no_text_is_there_twice() {
    let mut texts = HashSet::new();
    for pattern in all().filter(|pattern| pattern.near.is_empty()) {
        for text in pattern.texts {
            assert!(
                texts.insert(text),
                "{} has {text} a second time",
                pattern.id
            );
        }
    }
}

/// What one text of a row lacks.
fn lacks(pattern: &Pattern, text: &'static str) -> Option<String> {
    let template = Template::parse(text);
    if template.anchor().len() < MIN_TEXT {
        return Some(format!("{}: {text} is too short", pattern.id));
    }
    let held = template.names();
    let needed = [pattern.title, pattern.fix]
        .into_iter()
        .flat_map(names_needed);
    let missing: Vec<&str> = needed.filter(|name| !held.contains(name)).collect();
    (!missing.is_empty()).then(|| format!("{}: {text} has no {missing:?}", pattern.id))
}

#[test]
fn every_text_can_be_found_and_holds_what_is_said() {
    let wrong: Vec<String> = all()
        .flat_map(|pattern| pattern.texts.iter().filter_map(|text| lacks(pattern, text)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(all().all(|pattern| !pattern.texts.is_empty()));
}

#[test]
fn titles_and_fixes_are_sentences() {
    for pattern in all() {
        let id = pattern.id;
        assert!(
            pattern.title.len() >= 15 && !pattern.title.ends_with('.'),
            "{id}"
        );
        assert!(
            pattern.fix.len() >= 30 && pattern.fix.ends_with('.'),
            "{id}: {}",
            pattern.fix
        );
        assert!(
            pattern.fix.starts_with(|c: char| c.is_uppercase()),
            "{id}: {}",
            pattern.fix
        );
        assert!((1..=100).contains(&pattern.confidence), "{id}");
    }
}

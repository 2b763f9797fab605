//! Habits: what code holds nowhere, and what tests do not do.

use crate::finding::Finding;
use crate::rust::RustSource;
use crate::tree::{TextFile, Tree};

/// Code that is nowhere.
const NOWHERE: [(&str, &str); 4] = [
    (
        "#[ignore",
        "a test runs or is not there: make it fast, or remove it",
    ),
    (
        "#[should_panic",
        "look at the error instead of waiting for a panic",
    ),
    ("todo!", "write it, or leave the feature out"),
    ("unimplemented!", "write it, or leave the feature out"),
];

/// Words that put work off.
const MARKERS: [&str; 3] = ["TODO", "FIXME", "XXX"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.rust_files().flat_map(|(file, source)| {
        let mut findings = check_nowhere(file, source);
        findings.extend(check_sleeps(file, source));
        findings.extend(check_comments(file, source));
        findings
    });
    let others = tree.files().iter().filter(|file| may_hold_markers(file));
    rust.chain(others.flat_map(check_lines)).collect()
}

fn check_nowhere(file: &TextFile, source: &RustSource) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (words, advice) in NOWHERE {
        for offset in source.find(words).filter(|at| is_word_start(file, *at)) {
            findings.push(Finding::at(file, offset, "unfinished", advice));
        }
    }
    findings
}

/// Waiting a fixed time makes a test slow on a good day and wrong on a bad one.
fn check_sleeps(file: &TextFile, source: &RustSource) -> Vec<Finding> {
    let advice = "wait for a condition (an interval that asks, or paused time), not for a time";
    let is_call = |offset: usize| {
        let before = file.text[..offset].trim_end();
        is_word_start(file, offset) && !before.ends_with('.') && !before.ends_with("fn")
    };
    source
        .find("sleep(")
        .filter(|offset| source.is_test(*offset) && is_call(*offset))
        .map(|offset| Finding::at(file, offset, "sleeping-test", advice))
        .collect()
}

fn is_word_start(file: &TextFile, offset: usize) -> bool {
    let before = file.text[..offset].chars().next_back();
    !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn check_comments(file: &TextFile, source: &RustSource) -> Vec<Finding> {
    let comments = source.comments(&file.text);
    comments
        .filter_map(|(offset, text)| Some((offset, marker(text)?)))
        .map(|(offset, marker)| put_off(file, file.line_of(offset), marker))
        .collect()
}

/// Scripts, manifests and the like. Prose may speak of the words, lock files are generated.
fn may_hold_markers(file: &TextFile) -> bool {
    let endings = [".rs", ".md", ".lock", "package-lock.json"];
    !endings.iter().any(|ending| file.path.ends_with(ending))
}

fn check_lines(file: &TextFile) -> Vec<Finding> {
    file.lines()
        .filter_map(|(number, line)| Some(put_off(file, number, marker(line)?)))
        .collect()
}

fn put_off(file: &TextFile, line: usize, marker: &str) -> Finding {
    let advice = format!("{marker}: do it, or say in words what is not there");
    Finding::new(file, line, "put-off", advice)
}

fn marker(text: &str) -> Option<&'static str> {
    let is_word_char = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = text.split(|c| !is_word_char(c));
    words.find_map(|word| MARKERS.into_iter().find(|marker| *marker == word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::broken;

    fn check_at(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        broken(check, &[(path, text)])
    }

    #[test]
    fn tests_are_run_and_code_is_finished() {
        let path = "crates/a/src/lib.rs";
        for line in [
            "#[ignore]",
            "#[ignore = \"slow\"]",
            "#[should_panic(expected = \"x\")]",
            "    todo!()",
            "    unimplemented!(\"x\")",
        ] {
            let text = format!("//! x\n{line}\n");
            assert_eq!(check_at(path, &text), [("unfinished", 2)], "{line}");
        }
        let clean = "//! No #[ignore] and no todo! here.\nfn x() { f(\"todo!\"); my_todo!(); }\n";
        assert_eq!(check_at(path, clean), []);
    }

    #[test]
    fn tests_do_not_sleep() {
        for call in [
            "std::thread::sleep(x)",
            "tokio::time::sleep(x).await",
            "sleep(x)",
        ] {
            let text = format!("#[test]\nfn x() {{\n    {call};\n}}\n");
            let found = check_at("crates/a/tests/it/main.rs", &text);
            assert_eq!(found, [("sleeping-test", 3)], "{call}");
            assert_eq!(check_at("crates/a/src/lib.rs", &text), [], "{call}");
            let inside = format!("fn y() {{}}\n#[cfg(test)]\nmod tests {{\n{text}}}\n");
            let found = check_at("crates/a/src/lib.rs", &inside);
            assert_eq!(found, [("sleeping-test", 6)], "{call}");
        }
        let clean =
            "fn x() { program.sleep(1); tokio::time::sleep_until(at); }\nfn sleep(x: u8) {}\n";
        assert_eq!(check_at("crates/a/tests/it/main.rs", clean), []);
    }

    #[test]
    fn work_is_not_put_off() {
        let text = "//! x\n// FIXME: later\nfn x() { f(\"TODO\"); }\n";
        assert_eq!(check_at("crates/a/src/lib.rs", text), [("put-off", 2)]);
        assert_eq!(check_at("scripts/x", "ok\n# TODO\n"), [("put-off", 2)]);
        assert_eq!(check_at("scripts/x", "mktemp x.XXXXXX\n"), []);
        assert_eq!(check_at("docs/x.md", "No TODO.\n"), []);
    }
}

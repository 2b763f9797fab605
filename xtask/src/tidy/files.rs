//! Files: how each begins, how long it is, what none holds, and how migrations are numbered.

use crate::finding::Finding;
use crate::tree::{TextFile, Tree};

/// The most lines of a Rust file.
const MAX_LINES: usize = 800;
const MIGRATIONS: &str = "crates/store/migrations/";
/// This file names what it looks for.
const THIS_FILE: &str = "xtask/src/tidy/files.rs";

/// Texts that say something about the machine on which they were written.
const OF_ONE_MACHINE: [(&str, &str); 9] = [
    (
        "/root/",
        "a path of one machine: use $HOME, or a relative path",
    ),
    (
        "/home/",
        "a path of one machine: use $HOME, or a relative path",
    ),
    (
        "/Users/",
        "a path of one machine: use $HOME, or a relative path",
    ),
    ("index.crates.io", REGISTRY),
    ("registry.npmjs.org", REGISTRY),
    ("pypi.org/simple", REGISTRY),
    ("files.pythonhosted.org", REGISTRY),
    ("deb.debian.org", REGISTRY),
    ("proxy.golang.org", REGISTRY),
];
const REGISTRY: &str = "a package registry: leave it to the package manager's own settings";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = check_migrations(tree);
    for file in tree.files() {
        if file.rust.is_some() {
            findings.extend(check_beginning(file));
            findings.extend(check_length(file));
        }
        findings.extend(check_machine(file));
    }
    findings
}

fn check_beginning(file: &TextFile) -> Option<Finding> {
    let advice = "begin with `//!`: what the file owns, what holds in it, what is not here";
    (!file.text.starts_with("//! ")).then(|| Finding::new(file, 1, "file-doc", advice))
}

fn check_length(file: &TextFile) -> Option<Finding> {
    let count = file.lines().count();
    (count > MAX_LINES).then(|| {
        let advice =
            format!("{count} lines, and {MAX_LINES} are the most: split it by what it owns");
        Finding::new(file, MAX_LINES + 1, "file-length", advice)
    })
}

fn check_machine(file: &TextFile) -> Vec<Finding> {
    let is_generated = ["Cargo.lock", "package-lock.json"].contains(&file.name());
    if is_generated || file.path == THIS_FILE {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        for (words, advice) in OF_ONE_MACHINE {
            // What templates name are paths inside their images.
            let is_folder = ["/home/", "/root/"].contains(&words);
            let is_inside = is_folder && file.path.starts_with("templates/");
            if line.contains(words) && !is_inside {
                findings.push(Finding::new(file, number, "one-machine", advice));
            }
        }
    }
    findings
}

/// `0001_name.sql` and on, without a gap: two branches that took the same number have to notice.
fn check_migrations(tree: &Tree) -> Vec<Finding> {
    let migrations = tree
        .files()
        .iter()
        .filter(|file| file.path.starts_with(MIGRATIONS));
    let mut findings = Vec::new();
    for (expected, file) in (1_u32..).zip(migrations) {
        if number(file.name()) != Some(expected) {
            let advice = format!(
                "this has to be {expected:04}_a_name.sql: numbers have no gap and come once"
            );
            findings.push(Finding::new(file, 1, "migration-number", advice));
        }
    }
    findings
}

fn number(name: &str) -> Option<u32> {
    let (digits, rest) = name.split_once('_')?;
    let words = rest.strip_suffix(".sql")?;
    (digits.len() == 4 && !words.is_empty())
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::broken;

    #[test]
    fn a_file_begins_with_what_it_owns() {
        for path in [
            "crates/a/src/lib.rs",
            "crates/a/build.rs",
            "crates/a/tests/it/b.rs",
        ] {
            assert_eq!(
                broken(check, &[(path, "use x;\n")]),
                [("file-doc", 1)],
                "{path}"
            );
            assert_eq!(broken(check, &[(path, "//! It owns x.\n")]), [], "{path}");
        }
    }

    #[test]
    fn a_file_has_an_upper_limit() {
        let text = |lines: usize| format!("//! x\n{}", "\n".repeat(lines - 1));
        let path = "crates/a/src/lib.rs";
        assert_eq!(broken(check, &[(path, &text(MAX_LINES))]), []);
        let found = broken(check, &[(path, &text(MAX_LINES + 1))]);
        assert_eq!(found, [("file-length", MAX_LINES + 1)]);
    }

    #[test]
    fn no_file_knows_one_machine() {
        for line in [
            "cd /root/tose",
            "see /home/ada/x",
            "https://deb.debian.org/debian",
        ] {
            let text = format!("ok\n{line}\n");
            assert_eq!(
                broken(check, &[("docs/a.md", &text)]),
                [("one-machine", 2)],
                "{line}"
            );
            assert_eq!(broken(check, &[("Cargo.lock", &text)]), [], "{line}");
        }
        assert_eq!(
            broken(check, &[("docs/a.md", "crates.io, ~/.tose, $HOME/x\n")]),
            []
        );
    }

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let sample = |names: &[&str]| {
            let files: Vec<_> = names
                .iter()
                .map(|name| (format!("{MIGRATIONS}{name}"), String::new()))
                .collect();
            check(&Tree::of(files)).len()
        };
        assert_eq!(sample(&["0001_a.sql", "0002_b.sql"]), 0);
        assert_eq!(sample(&["0001_a.sql", "0003_b.sql"]), 1);
        assert_eq!(sample(&["0001_a.sql", "0001_b.sql"]), 1);
        assert_eq!(sample(&["first.sql"]), 1);
    }
}

//! Links in Markdown: what they point to in this repository is there.
//!
//! Not here: addresses on the web, and headings within a page.

use crate::finding::Finding;
use crate::tree::{TextFile, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let pages = tree
        .files()
        .iter()
        .filter(|file| file.path.ends_with(".md"));
    pages.flat_map(|page| check_page(tree, page)).collect()
}

fn check_page(tree: &Tree, page: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_code = false;
    for (number, line) in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            for target in targets(&without_code(line)) {
                if !is_there(tree, page, &target) {
                    let advice = format!("{target} is not there: mend the link");
                    findings.push(Finding::new(page, number, "dead-link", advice));
                }
            }
        }
    }
    findings
}

/// The line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// What `[text](target)` and `[name]: target` point to in this repository.
fn targets(line: &str) -> Vec<String> {
    let inline = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next());
    let reference = line.strip_prefix('[').and_then(|rest| {
        let (_, target) = rest.split_once("]: ")?;
        target.split_whitespace().next()
    });
    inline
        .chain(reference)
        .map(|target| target.split('#').next().unwrap_or(target))
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .map(str::to_owned)
        .collect()
}

fn is_there(tree: &Tree, page: &TextFile, target: &str) -> bool {
    let Some(path) = resolve(&page.path, target) else {
        return false;
    };
    let folder = format!("{path}/");
    path.is_empty()
        || tree.find(&path).is_some()
        || tree
            .files()
            .iter()
            .any(|file| file.path.starts_with(&folder))
}

/// The path that `target` means on the page at `page`; `None` outside the repository.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    if target.starts_with('/') {
        parts.clear();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::broken;

    fn check_page_with(text: &str) -> Vec<(&'static str, usize)> {
        let files = [
            ("docs/a.md", text),
            ("docs/decisions/0001-x.md", ""),
            ("README.md", ""),
        ];
        broken(check, &files)
    }

    #[test]
    fn links_to_files_and_folders_that_are_there_pass() {
        for link in [
            "[x](decisions/0001-x.md)",
            "[x](decisions/)",
            "[x](../README.md#first-steps)",
            "[x](/README.md)",
            "[x](..)",
            "[x](#here)",
            "[x](https://example.com/none.md)",
            "[x]: ../README.md",
            "`[x](none.md)`",
            "```\n[x](none.md)\n```",
        ] {
            assert_eq!(check_page_with(link), [], "{link}");
        }
    }

    #[test]
    fn links_to_nothing_are_found() {
        for link in [
            "[x](none.md)",
            "[x](decisions/0001)",
            "[x](../../README.md)",
            "see [a](../README.md) and [x](none.md \"title\")",
            "[x]: none.md",
        ] {
            let text = format!("ok\n{link}\n");
            assert_eq!(check_page_with(&text), [("dead-link", 2)], "{link}");
        }
    }
}

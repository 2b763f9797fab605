//! The rules, one file for each group.
//!
//! To add one: a function from a tree to findings in the group that it belongs to, a line in the
//! group's `check`, and a test with a sample that breaks it and one that does not.

mod files;
mod habits;
mod links;
mod packages;
mod places;

use crate::finding::Finding;
use crate::tree::Tree;

/// Every group of rules.
const GROUPS: [fn(&Tree) -> Vec<Finding>; 5] = [
    packages::check,
    places::check,
    habits::check,
    files::check,
    links::check,
];

/// Everything that breaks a rule, by path and line.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = GROUPS.into_iter().flat_map(|group| group(tree)).collect();
    findings.sort();
    findings
}

/// The rules that `group` finds broken in a sample, with their lines.
#[cfg(test)]
fn broken(group: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<(&'static str, usize)> {
    let findings = group(&Tree::sample(files));
    findings
        .iter()
        .map(|finding| (finding.rule(), finding.line()))
        .collect()
}

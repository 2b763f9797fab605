//! The tables: one row for each failure that has a name.
//!
//! Invariant: ids are unique, every text holds at least four bytes that do not change, and what a title or
//! a fix needs is held by each text of its row. Tests below check it.
//!
//! Not here: what is made of a row that was recognised (see the parent module).

mod configuration;
mod database;
mod dockerfile;
mod dotnet;
mod files;
mod go;
mod java;
mod javascript_build;
mod migration;
mod network;
mod node;
mod php;
mod platform;
mod port;
mod python;
mod python_build;
mod resource;
mod ruby;
mod rust;
mod service;
mod web;

/// The message says it.
pub(super) const CERTAIN: u8 = 95;
/// The message nearly always means it.
pub(super) const LIKELY: u8 = 80;
/// The message may mean something else.
pub(super) const POSSIBLE: u8 = 60;
/// A consequence, or something that also well apps say: named only when nothing better is known.
pub(super) const HINT: u8 = 35;

/// A failure that has a name. Texts are templates, see [`super::template`].
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// Any of these in a line.
    pub(super) texts: &'static [&'static str],
    /// What to do, beginning with a verb: the first sentence ends the summary.
    pub(super) fix: &'static str,
    pub(super) confidence: u8,
    /// One of these has to be in the lines around; none of them means that nothing has to be.
    pub(super) near: &'static [&'static str],
    /// None of these may be in the lines around.
    pub(super) not_near: &'static [&'static str],
    /// None of these may be in the line itself.
    pub(super) unless: &'static [&'static str],
    /// So many lines after it belong to it.
    pub(super) more: usize,
    /// Whether an app waits for it to be over, so that it is no cause once things are well.
    pub(super) passes: bool,
    /// Whether it goes on, however well things look after it.
    pub(super) stays: bool,
    /// Whether the first of many says most, as with errors of a compiler.
    pub(super) is_first: bool,
}

/// What rows have in common.
const BASE: Pattern = Pattern {
    id: "",
    title: "",
    texts: &[],
    fix: "",
    confidence: LIKELY,
    near: &[],
    not_near: &[],
    unless: &[],
    more: 0,
    passes: false,
    stays: false,
    is_first: false,
};

const TABLES: &[&[Pattern]] = &[
    platform::TABLE,
    resource::TABLE,
    network::TABLE,
    port::TABLE,
    files::TABLE,
    database::TABLE,
    migration::TABLE,
    configuration::TABLE,
    service::TABLE,
    web::TABLE,
    node::TABLE,
    python::TABLE,
    go::TABLE,
    rust::TABLE,
    java::TABLE,
    php::TABLE,
    ruby::TABLE,
    dotnet::TABLE,
    javascript_build::TABLE,
    python_build::TABLE,
    dockerfile::TABLE,
];

/// Every row, table by table.
pub(super) fn all() -> impl Iterator<Item = &'static Pattern> {
    TABLES.iter().flat_map(|table| table.iter())
}

#[cfg(test)]
mod tests;

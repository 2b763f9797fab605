//! What a recipe sees of a source tree: the names of files near its root, and the texts of a few.

use std::collections::{BTreeMap, BTreeSet};

/// How many folders deep names are collected: `a/b/c` is the deepest.
pub const MAX_DEPTH: usize = 3;
/// The most names that are collected.
pub const MAX_PATHS: usize = 20_000;

/// Files whose text a recipe may look at.
const READ: &[&str] = &[
    ".java-version",
    ".node-version",
    ".nvmrc",
    ".python-version",
    ".ruby-version",
    "Cargo.toml",
    "Gemfile",
    "Gemfile.lock",
    "Pipfile",
    "Pipfile.lock",
    "Procfile",
    "app.py",
    "app/__init__.py",
    "app/main.py",
    "application.py",
    "composer.json",
    "deno.json",
    "deno.jsonc",
    "go.mod",
    "index.py",
    "main.py",
    "manage.py",
    "next.config.cjs",
    "next.config.js",
    "next.config.mjs",
    "next.config.ts",
    "package.json",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pom.xml",
    "pyproject.toml",
    "requirements.txt",
    "run.py",
    "runtime.txt",
    "rust-toolchain",
    "rust-toolchain.toml",
    "server.py",
    "src/app.py",
    "src/main.py",
    "system.properties",
    "tose.json",
    "tose.toml",
    "uv.lock",
    "wsgi.py",
];

/// Folders whose files are nobody's source.
const SKIPPED: &[&str] = &[".git", "node_modules", "vendor", "target", ".venv", "venv"];

/// A source tree as far as recipes look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    files: BTreeSet<String>,
    texts: BTreeMap<String, String>,
}

impl Tree {
    /// Whether a recipe wants the text of this file, a path relative to the root.
    pub fn is_read(path: &str) -> bool {
        READ.binary_search(&path).is_ok()
    }

    /// Whether the files of this folder are of no interest.
    pub fn is_skipped(folder: &str) -> bool {
        let name = folder.rsplit('/').next().unwrap_or(folder);
        SKIPPED.contains(&name)
    }

    /// Adds the name of a file, a path relative to the root. What is too deep, in a folder that is
    /// skipped, or more than [`MAX_PATHS`], is left out.
    pub fn add_file(&mut self, path: impl Into<String>) {
        let path = path.into();
        let is_wanted = path.split('/').count() <= MAX_DEPTH
            && self.files.len() < MAX_PATHS
            && !path.split('/').any(Self::is_skipped);
        if is_wanted {
            self.files.insert(path);
        }
    }

    /// Adds a file with its text.
    pub fn add_text(&mut self, path: impl Into<String>, text: impl Into<String>) {
        let path = path.into();
        self.files.insert(path.clone());
        self.texts.insert(path, text.into());
    }

    /// Whether there is this file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// The first of these files that is there.
    pub(super) fn first_of(&self, paths: &[&'static str]) -> Option<&'static str> {
        paths.iter().copied().find(|path| self.has(path))
    }

    /// Whether there is a file in this folder.
    pub(super) fn has_folder(&self, folder: &str) -> bool {
        self.files.iter().any(|path| {
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// The text of a file; empty where there is none.
    pub fn text(&self, path: &str) -> &str {
        self.texts.get(path).map_or("", String::as_str)
    }

    /// The names of the files of the root.
    pub(super) fn root_files(&self) -> impl Iterator<Item = &str> {
        self.files
            .iter()
            .map(String::as_str)
            .filter(|path| !path.contains('/'))
    }

    /// The names of the folders in `folder` that have files.
    pub(super) fn folders_in(&self, folder: &str) -> BTreeSet<&str> {
        self.files
            .iter()
            .filter_map(|path| {
                path.strip_prefix(folder)?
                    .strip_prefix('/')?
                    .split_once('/')
            })
            .map(|(name, _)| name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_sorted() {
        assert!(READ.is_sorted());
    }

    #[test]
    fn names_are_kept_near_the_root_only() {
        let mut tree = Tree::default();
        for path in ["a", "b/c", "d/e/f", "d/e/f/g", "node_modules/x", "b/.git/y"] {
            tree.add_file(path);
        }
        assert!(tree.has("d/e/f") && !tree.has("d/e/f/g"));
        assert!(!tree.has_folder("node_modules") && !tree.has("b/.git/y"));
        assert_eq!(tree.folders_in("d").into_iter().collect::<Vec<_>>(), ["e"]);
        assert_eq!(tree.root_files().collect::<Vec<_>>(), ["a"]);
    }
}

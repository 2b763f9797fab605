//! The files of the repository, as Git lists them.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::rust::RustSource;

/// A text file; one that is not UTF-8 is in no tree.
pub(crate) struct TextFile {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
    /// What is code in it, if it is Rust.
    pub(crate) rust: Option<RustSource>,
}

impl TextFile {
    fn new(path: String, text: String) -> Self {
        let rust = path
            .ends_with(".rs")
            .then(|| RustSource::parse(&path, &text));
        Self { path, text, rust }
    }

    /// The line, from 1, that holds the byte at `offset`.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Every line with its number, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// All files, sorted by path.
pub(crate) struct Tree {
    files: Vec<TextFile>,
}

impl Tree {
    /// Reads what Git tracks below `root`, and what it would add.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for path in list_files(root)? {
            if let Some(text) = read_text(&root.join(&path))? {
                files.push((path, text));
            }
        }
        Ok(Self::of(files))
    }

    /// A tree of these paths and texts.
    pub(crate) fn of(files: Vec<(String, String)>) -> Self {
        let mut files: Vec<TextFile> = files
            .into_iter()
            .map(|(path, text)| TextFile::new(path, text))
            .collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Self { files }
    }

    /// A tree of samples.
    #[cfg(test)]
    pub(crate) fn sample(files: &[(&str, &str)]) -> Self {
        let owned = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self::of(owned.collect())
    }

    /// Every file.
    pub(crate) fn files(&self) -> &[TextFile] {
        &self.files
    }

    /// The Rust files, each with what is code in it.
    pub(crate) fn rust_files(&self) -> impl Iterator<Item = (&TextFile, &RustSource)> {
        let files = self.files.iter();
        files.filter_map(|file| file.rust.as_ref().map(|source| (file, source)))
    }

    /// The file with this path.
    pub(crate) fn find(&self, path: &str) -> Option<&TextFile> {
        let found = self
            .files
            .binary_search_by(|file| file.path.as_str().cmp(path));
        found.ok().map(|index| &self.files[index])
    }
}

/// New files are listed too, so that a finding comes before the commit and not after it.
#[expect(clippy::disallowed_methods, reason = "the one place that asks git")]
fn list_files(root: &Path) -> Result<Vec<String>> {
    let arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let answer = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output()
        .context("git cannot be run")?;
    ensure!(
        answer.status.success(),
        "git ls-files failed: {}",
        String::from_utf8_lossy(&answer.stderr).trim()
    );
    let list = String::from_utf8(answer.stdout).context("a file's name is not UTF-8")?;
    let mut paths: Vec<String> = list
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

/// `None` for what is no text: binary files, links, and tracked files that were deleted.
fn read_text(path: &Path) -> Result<Option<String>> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    if !metadata.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_path_and_lines_by_their_bytes() {
        let tree = Tree::sample(&[("b.md", "one\ntwo\n"), ("a/c.rs", "//! x\n")]);
        let file = tree.find("b.md").expect("a file");
        assert_eq!(
            (file.name(), file.line_of(0), file.line_of(4)),
            ("b.md", 1, 2)
        );
        assert!(tree.find("a").is_none());
        assert_eq!(tree.rust_files().count(), 1);
    }
}

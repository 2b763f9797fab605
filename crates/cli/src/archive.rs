//! Packing a folder into the gzipped tar archive that an upload sends.
//!
//! What Git ignores stays out, and so do `.git` and `node_modules`. Where the folder is what the Dockerfile
//! sees, what `.dockerignore` names stays out too. Links are packed as links and never followed;
//! times and owners are fixed, so that an unchanged folder makes the same archive.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, Walk, WalkBuilder};
use tar::{Builder, HeaderMode};

/// Folders that no build needs.
const NEVER_SENT: [&str; 2] = [".git", "node_modules"];
const DOCKERIGNORE: &str = ".dockerignore";

/// A packed folder.
pub(crate) struct Archive {
    pub(crate) bytes: Vec<u8>,
    pub(crate) file_count: usize,
}

/// Packs `folder`. `dockerfile` is the path of the Dockerfile in it, where the folder is what the
/// Dockerfile sees.
pub(crate) fn pack(folder: &Path, dockerfile: Option<&str>) -> Result<Archive> {
    let dockerignore = dockerfile
        .map(|dockerfile| Dockerignore::read(folder, dockerfile))
        .transpose()?;
    let cannot_pack = || format!("cannot pack {}", folder.display());
    let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    archive.mode(HeaderMode::Deterministic);
    archive.follow_symlinks(false);
    // The server takes plain files only.
    archive.sparse(false);
    let mut file_count = 0;
    for entry in walk(folder, dockerignore) {
        let entry = entry.with_context(cannot_pack)?;
        let (path, kind) = (entry.path(), entry.file_type());
        let relative = path.strip_prefix(folder).unwrap_or(path);
        let is_kind = |is: fn(&fs::FileType) -> bool| kind.as_ref().is_some_and(is);
        if entry.depth() == 0 {
            continue;
        }
        let packed = if is_kind(fs::FileType::is_dir) {
            archive.append_dir(relative, path)
        } else if is_kind(fs::FileType::is_file) || is_kind(fs::FileType::is_symlink) {
            file_count += 1;
            archive.append_path_with_name(path, relative)
        } else {
            // A socket, a pipe or a device is no part of a source tree.
            continue;
        };
        packed.with_context(|| format!("cannot pack {}", path.display()))?;
    }
    let bytes = archive.into_inner().and_then(GzEncoder::finish);
    Ok(Archive {
        bytes: bytes.with_context(cannot_pack)?,
        file_count,
    })
}

fn walk(folder: &Path, dockerignore: Option<Dockerignore>) -> Walk {
    let is_in_repository = folder
        .ancestors()
        .any(|folder| folder.join(".git").exists());
    let root = folder.to_owned();
    let belongs = move |entry: &DirEntry| {
        let relative = entry.path().strip_prefix(&root).unwrap_or(entry.path());
        let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
        let is_left_out = dockerignore
            .as_ref()
            .is_some_and(|dockerignore| dockerignore.leaves_out(relative, is_dir));
        let is_never_sent = NEVER_SENT.iter().any(|name| entry.file_name() == *name);
        entry.depth() == 0 || !is_never_sent && !is_left_out
    };
    WalkBuilder::new(folder)
        .hidden(false)
        .ignore(false)
        .require_git(false)
        // Outside a repository, what stands in the folders above is about something else.
        .parents(is_in_repository)
        .sort_by_file_name(|a, b| a.cmp(b))
        .filter_entry(belongs)
        .build()
}

/// What the engine is not to see.
struct Dockerignore {
    rules: Gitignore,
    dockerfile: PathBuf,
}

impl Dockerignore {
    fn read(folder: &Path, dockerfile: &str) -> Result<Self> {
        let path = folder.join(DOCKERIGNORE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let rules = parse(&text)
            .with_context(|| format!("{} cannot be read as patterns", path.display()))?;
        let dockerfile = Path::new(dockerfile);
        let dockerfile = dockerfile.strip_prefix(".").unwrap_or(dockerfile);
        Ok(Self {
            rules,
            dockerfile: dockerfile.to_owned(),
        })
    }

    fn leaves_out(&self, relative: &Path, is_dir: bool) -> bool {
        // The server reads these two, whatever the rules say.
        let is_needed = relative == self.dockerfile || relative == Path::new(DOCKERIGNORE);
        // An ignored folder may hold the Dockerfile, or what an exception names.
        let is_walked =
            is_dir && (self.rules.num_whitelists() > 0 || self.dockerfile.starts_with(relative));
        let found = self.rules.matched_path_or_any_parents(relative, is_dir);
        found.is_ignore() && !is_needed && !is_walked
    }
}

/// `.dockerignore` in terms of `.gitignore`: its patterns are anchored at the root.
fn parse(text: &str) -> Result<Gitignore, ignore::Error> {
    let mut builder = GitignoreBuilder::new("");
    let lines = text.lines().map(str::trim);
    for line in lines.filter(|line| !line.starts_with('#')) {
        let (sign, pattern) = match line.strip_prefix('!') {
            Some(pattern) => ("!", pattern),
            None => ("", line),
        };
        let pattern = pattern.trim_start_matches("./").trim_matches('/');
        if !pattern.is_empty() {
            builder.add_line(None, &format!("{sign}/{pattern}"))?;
        }
    }
    builder.build()
}

#[cfg(test)]
mod tests;

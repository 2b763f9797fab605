//! Packing a tree into the tar stream that the engine builds from.
//!
//! Guarantees: nothing outside the tree is read (links are packed as links, never followed); `.git`
//! is left out; times and owners are fixed, so that an unchanged tree hits the engine's cache.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use tokio::sync::mpsc;

/// How many bytes travel at once, and how many such pieces wait: memory stays flat for any tree.
const CHUNK_BYTES: usize = 64 * 1024;
const CHUNKS_WAITING: usize = 8;

/// Why a tree cannot be built, in words for its author.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    #[error("{0}")]
    Missing(String),
    #[error("the source tree could not be read")]
    Io(#[from] io::Error),
}

/// A tree that can be built.
#[derive(Debug)]
pub(crate) struct Context {
    root: PathBuf,
    /// The Dockerfile, relative to the root.
    pub(crate) dockerfile: String,
    /// Its text.
    pub(crate) dockerfile_text: String,
}

impl Context {
    /// Looks for the folder and the Dockerfile.
    ///
    /// # Errors
    /// `Missing` when one of them is not there or leads out of the tree.
    pub(crate) fn find(
        tree: &Path,
        root_directory: Option<&str>,
        dockerfile: Option<&str>,
    ) -> Result<Self, ContextError> {
        let tree = tree.canonicalize()?;
        let folder = root_directory.unwrap_or(".");
        let inside = |path: PathBuf| {
            path.canonicalize()
                .ok()
                .filter(|path| path.starts_with(&tree))
        };
        let root = inside(tree.join(folder))
            .filter(|path| path.is_dir())
            .ok_or_else(|| {
                ContextError::Missing(format!(
                    "the repository has no folder {folder}; check the project's root_directory"
                ))
            })?;
        let name = dockerfile.unwrap_or("Dockerfile");
        let file = inside(root.join(name)).filter(|path| path.is_file()).ok_or_else(|| {
            ContextError::Missing(format!(
                "the repository has no {name} in {}; add one, or set the project's dockerfile_path",
                if folder == "." { "its root folder".to_owned() } else { format!("the folder {folder}") }
            ))
        })?;
        let dockerfile_text = String::from_utf8_lossy(&std::fs::read(file)?).into_owned();
        Ok(Self {
            root,
            dockerfile: name.to_owned(),
            dockerfile_text,
        })
    }

    /// The tree as an uncompressed tar stream.
    pub(crate) fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING);
        tokio::task::spawn_blocking(move || {
            let writer = ChannelWriter {
                sender: sender.clone(),
                buffer: Vec::new(),
            };
            if let Err(error) = self.pack(writer) {
                // The receiver is gone when the build ended first; then nobody wants to know.
                let _ = sender.blocking_send(Err(error));
            }
        });
        futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        })
        .boxed()
    }

    fn pack(&self, writer: ChannelWriter) -> io::Result<()> {
        let ignored = self.ignored()?;
        let mut archive = tar::Builder::new(writer);
        archive.mode(tar::HeaderMode::Deterministic);
        archive.follow_symlinks(false);
        self.pack_folder(&mut archive, Path::new(""), &ignored)?;
        archive.into_inner()?.flush()
    }

    fn pack_folder(
        &self,
        archive: &mut tar::Builder<ChannelWriter>,
        folder: &Path,
        ignored: &Gitignore,
    ) -> io::Result<()> {
        let mut entries: Vec<_> =
            std::fs::read_dir(self.root.join(folder))?.collect::<io::Result<_>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let relative = folder.join(entry.file_name());
            let kind = entry.file_type()?;
            if entry.file_name() == ".git" {
                continue;
            }
            let is_left_out = !self.is_needed(&relative)
                && matches!(
                    ignored.matched_path_or_any_parents(&relative, kind.is_dir()),
                    Match::Ignore(_)
                );
            if kind.is_dir() {
                // An ignored folder is walked all the same: an exception may name a file in it.
                if !is_left_out {
                    archive.append_dir(&relative, self.root.join(&relative))?;
                }
                if !is_left_out || ignored.num_whitelists() > 0 {
                    self.pack_folder(archive, &relative, ignored)?;
                }
            } else if (kind.is_symlink() || kind.is_file()) && !is_left_out {
                archive.append_path_with_name(self.root.join(&relative), &relative)?;
            }
        }
        Ok(())
    }

    /// The engine reads these two itself, whatever `.dockerignore` says.
    fn is_needed(&self, relative: &Path) -> bool {
        relative == Path::new(&self.dockerfile) || relative == Path::new(".dockerignore")
    }

    /// `.dockerignore` in terms of `.gitignore`: its patterns are anchored at the root.
    fn ignored(&self) -> io::Result<Gitignore> {
        let mut builder = GitignoreBuilder::new("");
        let path = self.root.join(".dockerignore");
        let text = match File::open(&path) {
            Ok(file) => io::read_to_string(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'))
        {
            let (sign, pattern) = line
                .strip_prefix('!')
                .map_or(("", line), |rest| ("!", rest));
            let pattern = pattern.trim_start_matches("./").trim_matches('/');
            if !pattern.is_empty() {
                let anchored = format!("{sign}/{pattern}");
                builder
                    .add_line(None, &anchored)
                    .map_err(io::Error::other)?;
            }
        }
        builder.build().map_err(io::Error::other)
    }
}

/// Sends what is written to it, in pieces.
struct ChannelWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.buffer));
        self.sender
            .blocking_send(Ok(chunk))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the build has ended"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        dir
    }

    async fn packed(context: Context) -> (BTreeSet<String>, Vec<u8>) {
        let mut stream = context.into_stream();
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk.expect("a chunk"));
        }
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names = archive
            .entries()
            .expect("entries")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .path()
                    .expect("a path")
                    .display()
                    .to_string()
            })
            .collect();
        (names, bytes)
    }

    #[tokio::test]
    async fn dockerignore_leaves_out_what_it_names_and_keeps_exceptions() {
        let dir = tree(&[
            ("Dockerfile", "FROM x"),
            (
                ".dockerignore",
                "# comment\nnode_modules\n**/*.log\nbuild\n!build/keep.txt\nDockerfile\n",
            ),
            ("node_modules/a/index.js", ""),
            ("src/node_modules/b.js", ""),
            ("src/x.log", ""),
            ("build/drop.txt", ""),
            ("build/keep.txt", ""),
            (".git/config", ""),
        ]);
        let context = Context::find(dir.path(), None, None).expect("a context");
        let (names, _) = packed(context).await;
        let expected = [
            ".dockerignore",
            "Dockerfile",
            "build/keep.txt",
            "src",
            "src/node_modules",
            "src/node_modules/b.js",
        ];
        assert_eq!(names, expected.map(str::to_owned).into());
    }

    #[tokio::test]
    async fn the_same_tree_makes_the_same_bytes() {
        let files = [("Dockerfile", "FROM x"), ("a", "1"), ("b/c", "2")];
        let (first, second) = (tree(&files), tree(&files));
        let context =
            |dir: &tempfile::TempDir| Context::find(dir.path(), None, None).expect("a context");
        assert_eq!(
            packed(context(&first)).await.1,
            packed(context(&second)).await.1
        );
    }

    #[tokio::test]
    async fn links_are_packed_and_never_followed() {
        let dir = tree(&[("Dockerfile", "FROM x")]);
        std::os::unix::fs::symlink("/etc", dir.path().join("escape")).expect("a link");
        let (names, _) = packed(Context::find(dir.path(), None, None).expect("a context")).await;
        assert_eq!(names, ["Dockerfile", "escape"].map(str::to_owned).into());
    }

    #[test]
    fn what_is_missing_or_outside_is_named() {
        let dir = tree(&[("app/Dockerfile", "FROM x")]);
        std::os::unix::fs::symlink("/etc", dir.path().join("escape")).expect("a link");
        let find = |root, file| Context::find(dir.path(), root, file).map(|_| ());
        let text = |root, file| find(root, file).expect_err("refused").to_string();
        assert!(find(Some("app"), None).is_ok());
        assert!(text(None, None).contains("no Dockerfile in its root folder"));
        assert!(text(Some("nowhere"), None).contains("no folder nowhere"));
        assert!(text(Some("escape"), Some("passwd")).contains("no folder escape"));
    }
}

//! Packing a tree, or an archive that was sent, into the tar stream that the engine builds from.
//!
//! Guarantees: nothing outside the tree is read (links are packed as links, never followed); `.git`
//! is left out; times and owners are fixed, so that an unchanged tree hits the engine's cache.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

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
    Refused(String),
    #[error("{0} has more than 1 MiB")]
    TooLarge(String),
    #[error("the source tree could not be read")]
    Io(#[from] io::Error),
}

/// Where the files of a context come from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// A folder, and the tree that it lies in.
    Folder { tree: PathBuf, root: PathBuf },
    /// A folder of an archive that [`crate::build::archive::repack`] wrote.
    Archive { file: PathBuf, folder: PathBuf },
}

/// A tree that can be built; [`super::source::SourceTree`] makes one.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(super) origin: Origin,
    /// The text of `.dockerignore`, empty where there is none.
    pub(super) ignore_text: String,
    /// The Dockerfile, relative to the root.
    pub(crate) dockerfile: String,
    /// Its text.
    pub(crate) dockerfile_text: String,
    /// Whether a recipe made it, so that it is not among the files.
    pub(super) is_made: bool,
}

impl Context {
    /// The same files with this Dockerfile in place of their own.
    pub(crate) fn with_text(mut self, text: String) -> Self {
        self.dockerfile_text = text;
        self.is_made = true;
        self
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
        if self.is_made {
            add_text(&mut archive, &self.dockerfile, &self.dockerfile_text)?;
            add_text(&mut archive, IGNORE_FILE, &self.ignore_text)?;
        }
        match &self.origin {
            Origin::Folder { root, .. } => {
                self.pack_folder(&mut archive, root, Path::new(""), &ignored)?;
            }
            Origin::Archive { file, folder } => {
                self.pack_archive(&mut archive, file, folder, &ignored)?;
            }
        }
        archive.into_inner()?.flush()
    }

    /// Copies the entries of an archive's folder. Their headers are fixed already.
    fn pack_archive(
        &self,
        archive: &mut tar::Builder<ChannelWriter>,
        file: &Path,
        folder: &Path,
        ignored: &Gitignore,
    ) -> io::Result<()> {
        let mut source = tar::Archive::new(BufReader::new(File::open(file)?));
        for entry in source.entries()? {
            let entry = entry?;
            let path = entry.path()?.into_owned();
            let Ok(relative) = path.strip_prefix(folder) else {
                continue;
            };
            let kind = entry.header().entry_type();
            if relative.as_os_str().is_empty() || self.is_left_out(relative, kind.is_dir(), ignored)
            {
                continue;
            }
            let mut header = entry.header().clone();
            if kind.is_symlink() || kind.is_hard_link() {
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                let target = match target.strip_prefix(folder) {
                    Ok(inside) if kind.is_hard_link() => inside.to_owned(),
                    _ => target,
                };
                archive.append_link(&mut header, relative, target)?;
            } else {
                archive.append_data(&mut header, relative, entry)?;
            }
        }
        Ok(())
    }

    fn is_left_out(&self, relative: &Path, is_dir: bool, ignored: &Gitignore) -> bool {
        let is_read_by_engine = self.is_read_by_engine(relative);
        if self.is_made && is_read_by_engine {
            // There are others of these names in the archive already.
            return true;
        }
        !is_read_by_engine
            && matches!(
                ignored.matched_path_or_any_parents(relative, is_dir),
                Match::Ignore(_)
            )
    }

    fn pack_folder(
        &self,
        archive: &mut tar::Builder<ChannelWriter>,
        root: &Path,
        folder: &Path,
        ignored: &Gitignore,
    ) -> io::Result<()> {
        let mut entries: Vec<_> =
            std::fs::read_dir(root.join(folder))?.collect::<io::Result<_>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let relative = folder.join(entry.file_name());
            let kind = entry.file_type()?;
            if entry.file_name() == ".git" {
                continue;
            }
            let is_left_out = self.is_left_out(&relative, kind.is_dir(), ignored);
            if kind.is_dir() {
                // An ignored folder is walked all the same: an exception may name a file in it.
                if !is_left_out {
                    archive.append_dir(&relative, root.join(&relative))?;
                }
                if !is_left_out || ignored.num_whitelists() > 0 {
                    self.pack_folder(archive, root, &relative, ignored)?;
                }
            } else if (kind.is_symlink() || kind.is_file()) && !is_left_out {
                archive.append_path_with_name(root.join(&relative), &relative)?;
            }
        }
        Ok(())
    }

    /// The engine reads these two itself, whatever `.dockerignore` says.
    fn is_read_by_engine(&self, relative: &Path) -> bool {
        relative == Path::new(&self.dockerfile) || relative == Path::new(IGNORE_FILE)
    }

    /// `.dockerignore` in terms of `.gitignore`: its patterns are anchored at the root.
    fn ignored(&self) -> io::Result<Gitignore> {
        let mut builder = GitignoreBuilder::new("");
        for line in self
            .ignore_text
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

/// The most bytes of a Dockerfile or of [`IGNORE_FILE`].
const MAX_TEXT: u64 = 1 << 20;
/// What says which files stay out.
pub(super) const IGNORE_FILE: &str = ".dockerignore";

/// A file that is not in the tree.
fn add_text(archive: &mut tar::Builder<ChannelWriter>, name: &str, text: &str) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_mtime(1);
    header.set_size(text.len() as u64);
    archive.append_data(&mut header, name, text.as_bytes())
}

/// Text that a user sent, in memory: never more than [`MAX_TEXT`] of it.
pub(super) fn read_text(name: &str, source: impl Read) -> Result<String, ContextError> {
    let mut bytes = Vec::new();
    source.take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(ContextError::TooLarge(name.to_owned()));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The beginning of a text that a user sent.
pub(super) fn read_start(source: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    source.take(MAX_TEXT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A path without `.` parts.
pub(super) fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect()
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
    use crate::build::source::{DOCKERFILE, SourceTree};
    use std::collections::BTreeSet;
    use tose_model::recipe::Recipe;

    fn context(source: SourceTree) -> Result<Context, ContextError> {
        let text = source.read_dockerfile(DOCKERFILE)?.expect("a Dockerfile");
        Ok(source.with_dockerfile(DOCKERFILE, text))
    }

    fn find(tree: &Path) -> Result<Context, ContextError> {
        context(SourceTree::open(tree, None)?)
    }

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
        let context = find(dir.path()).expect("a context");
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
        let context = |dir: &tempfile::TempDir| find(dir.path()).expect("a context");
        assert_eq!(
            packed(context(&first)).await.1,
            packed(context(&second)).await.1
        );
    }

    #[tokio::test]
    async fn links_are_packed_and_never_followed() {
        let dir = tree(&[("Dockerfile", "FROM x")]);
        std::os::unix::fs::symlink("/etc", dir.path().join("escape")).expect("a link");
        let (names, _) = packed(find(dir.path()).expect("a context")).await;
        assert_eq!(names, ["Dockerfile", "escape"].map(str::to_owned).into());
    }

    #[tokio::test]
    async fn a_dockerignore_that_leads_out_is_not_read() {
        let dir = tree(&[("Dockerfile", "FROM x"), ("a", "1")]);
        // Whoever reads it to its end never comes back.
        std::os::unix::fs::symlink("/dev/zero", dir.path().join(IGNORE_FILE)).expect("a link");
        let (names, _) = packed(find(dir.path()).expect("a context")).await;
        let expected = [IGNORE_FILE, "Dockerfile", "a"];
        assert_eq!(names, expected.map(str::to_owned).into());
    }

    #[test]
    fn what_is_read_into_memory_has_a_limit() {
        let long = "x".repeat((1 << 20) + 1);
        for name in ["Dockerfile", IGNORE_FILE] {
            let dir = tree(&[("Dockerfile", "FROM x"), (name, &long)]);
            let problem = format!("{name} has more than 1 MiB");
            let found = find(dir.path()).map(|_| ());
            assert_eq!(found.expect_err("refused").to_string(), problem);
            let file = dir.path().join("tree.tar");
            let mut archive = tar::Builder::new(File::create(&file).expect("a file"));
            for part in ["Dockerfile", IGNORE_FILE] {
                let path = dir.path().join(part);
                if path.exists() {
                    archive.append_path_with_name(path, part).expect("packed");
                }
            }
            archive.finish().expect("packed");
            let found = SourceTree::open_archive(&file, None)
                .and_then(context)
                .map(|_| ());
            assert_eq!(found.expect_err("refused").to_string(), problem);
        }
    }

    #[test]
    fn what_is_missing_or_outside_is_named() {
        let dir = tree(&[("app/Dockerfile", "FROM x")]);
        std::os::unix::fs::symlink("/etc", dir.path().join("escape")).expect("a link");
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("app/Other")).expect("a link");
        let open = |root| SourceTree::open(dir.path(), root);
        let text = |root| open(root).map(|_| ()).expect_err("refused").to_string();
        let source = open(Some("app")).expect("a source");
        assert!(
            source
                .read_dockerfile("Dockerfile")
                .expect("read")
                .is_some()
        );
        assert!(source.read_dockerfile("Other").expect("read").is_none());
        assert!(
            source
                .read_dockerfile("../nowhere")
                .expect("read")
                .is_none()
        );
        assert!(text(Some("nowhere")).contains("no folder nowhere"));
        assert!(text(Some("escape")).contains("no folder escape"));
    }

    #[tokio::test]
    async fn a_recipe_adds_its_dockerfile_and_leaves_out_what_it_names() {
        let dir = tree(&[
            ("app.js", ""),
            ("node_modules/a", ""),
            ("keep/node_modules/b", ""),
            (".dockerignore", "secret\n!keep/node_modules\n"),
            ("secret", ""),
            (".tose.Dockerfile", "FROM evil"),
        ]);
        let recipe = Recipe {
            name: "node",
            reason: String::new(),
            dockerfile: "FROM x\n".to_owned(),
            ignore: vec!["**/node_modules"],
            notes: Vec::new(),
            processes: Default::default(),
            release: None,
        };
        let source = SourceTree::open(dir.path(), None).expect("a source");
        let (names, bytes) = packed(source.with_recipe(&recipe)).await;
        let expected = [
            ".dockerignore",
            ".tose.Dockerfile",
            "app.js",
            "keep",
            "keep/node_modules",
            "keep/node_modules/b",
        ];
        assert_eq!(names, expected.map(str::to_owned).into());
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut texts = archive.entries().expect("entries").map(|entry| {
            let mut text = String::new();
            entry
                .expect("an entry")
                .read_to_string(&mut text)
                .expect("text");
            text
        });
        assert_eq!(texts.next().as_deref(), Some("FROM x\n"));
        // The engine itself takes the Dockerfile out of what is copied.
        let ignore = texts.next().expect("a text");
        assert_eq!(
            ignore,
            "**/node_modules\nsecret\n!keep/node_modules\n\n.tose.Dockerfile\n"
        );
    }
}

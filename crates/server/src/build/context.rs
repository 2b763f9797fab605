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
    Missing(String),
    #[error("{0} has more than 1 MiB")]
    TooLarge(String),
    #[error("the source tree could not be read")]
    Io(#[from] io::Error),
}

/// Where the files of a context come from.
#[derive(Debug)]
enum Origin {
    /// A folder.
    Folder(PathBuf),
    /// A folder of an archive that [`crate::build::archive::repack`] wrote.
    Archive { file: PathBuf, folder: PathBuf },
}

/// A tree that can be built.
#[derive(Debug)]
pub(crate) struct Context {
    origin: Origin,
    /// The text of `.dockerignore`, empty where there is none.
    ignore_text: String,
    /// The Dockerfile, relative to the root.
    pub(crate) dockerfile: String,
    /// Its text.
    pub(crate) dockerfile_text: String,
}

impl Context {
    /// Looks for the folder and the Dockerfile.
    ///
    /// # Errors
    /// `Missing` when one of them is not there or leads out of the tree, `TooLarge` when a file that
    /// is read here has more than 1 MiB.
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
            .ok_or_else(|| no_folder(folder))?;
        let name = dockerfile.unwrap_or("Dockerfile");
        let file = inside(root.join(name))
            .filter(|path| path.is_file())
            .ok_or_else(|| no_dockerfile(name, folder))?;
        let dockerfile_text = read_text(name, File::open(file)?)?;
        let ignore_text = match inside(root.join(IGNORE_FILE)).filter(|path| path.is_file()) {
            Some(file) => read_text(IGNORE_FILE, File::open(file)?)?,
            None => String::new(),
        };
        Ok(Self {
            origin: Origin::Folder(root),
            ignore_text,
            dockerfile: name.to_owned(),
            dockerfile_text,
        })
    }

    /// Looks for the folder and the Dockerfile in an archive.
    ///
    /// # Errors
    /// As for [`Context::find`].
    pub(crate) fn find_in_archive(
        file: &Path,
        root_directory: Option<&str>,
        dockerfile: Option<&str>,
    ) -> Result<Self, ContextError> {
        let folder = root_directory.unwrap_or(".");
        let root: PathBuf = plain(Path::new(folder));
        let name = dockerfile.unwrap_or("Dockerfile");
        let wanted = plain(&root.join(name));
        let ignore_file = root.join(IGNORE_FILE);
        let (mut has_folder, mut dockerfile_text, mut ignore_text) = (false, None, String::new());
        let mut archive = tar::Archive::new(BufReader::new(File::open(file)?));
        for entry in archive.entries()? {
            let entry = entry?;
            let path = entry.path()?.into_owned();
            has_folder |= path.starts_with(&root);
            if !entry.header().entry_type().is_file() {
                continue;
            }
            if path == wanted {
                dockerfile_text = Some(read_text(name, entry)?);
            } else if path == ignore_file {
                ignore_text = read_text(IGNORE_FILE, entry)?;
            }
        }
        if !has_folder {
            return Err(no_folder(folder));
        }
        Ok(Self {
            dockerfile_text: dockerfile_text.ok_or_else(|| no_dockerfile(name, folder))?,
            dockerfile: name.to_owned(),
            ignore_text,
            origin: Origin::Archive {
                file: file.to_owned(),
                folder: root,
            },
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
        match &self.origin {
            Origin::Folder(root) => {
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
        !self.is_needed(relative)
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
    fn is_needed(&self, relative: &Path) -> bool {
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
const IGNORE_FILE: &str = ".dockerignore";

fn no_folder(folder: &str) -> ContextError {
    ContextError::Missing(format!(
        "the source has no folder {folder}; check the project's root_directory"
    ))
}

fn no_dockerfile(name: &str, folder: &str) -> ContextError {
    let place = if folder == "." {
        "its root folder".to_owned()
    } else {
        format!("the folder {folder}")
    };
    ContextError::Missing(format!(
        "the source has no {name} in {place}; add one, or set the project's dockerfile_path"
    ))
}

/// Text that a user sent, in memory: never more than [`MAX_TEXT`] of it.
fn read_text(name: &str, source: impl Read) -> Result<String, ContextError> {
    let mut bytes = Vec::new();
    source.take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(ContextError::TooLarge(name.to_owned()));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A path without `.` parts.
fn plain(path: &Path) -> PathBuf {
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

    #[tokio::test]
    async fn a_dockerignore_that_leads_out_is_not_read() {
        let dir = tree(&[("Dockerfile", "FROM x"), ("a", "1")]);
        // Whoever reads it to its end never comes back.
        std::os::unix::fs::symlink("/dev/zero", dir.path().join(IGNORE_FILE)).expect("a link");
        let (names, _) = packed(Context::find(dir.path(), None, None).expect("a context")).await;
        let expected = [IGNORE_FILE, "Dockerfile", "a"];
        assert_eq!(names, expected.map(str::to_owned).into());
    }

    #[test]
    fn what_is_read_into_memory_has_a_limit() {
        let long = "x".repeat((1 << 20) + 1);
        for name in ["Dockerfile", IGNORE_FILE] {
            let dir = tree(&[("Dockerfile", "FROM x"), (name, &long)]);
            let problem = format!("{name} has more than 1 MiB");
            let found = Context::find(dir.path(), None, None).map(|_| ());
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
            let found = Context::find_in_archive(&file, None, None).map(|_| ());
            assert_eq!(found.expect_err("refused").to_string(), problem);
        }
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

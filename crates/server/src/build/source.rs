//! A source tree that was fetched or sent, looked at once: what recipes and `.dockerignore` need of it.
//!
//! Guarantees: nothing outside the tree is read; what is read into memory has a limit.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use tose_model::recipe::{MAX_DEPTH, Recipe, Tree};

use super::context::{Context, ContextError, IGNORE_FILE, Origin, plain, read_start, read_text};

/// The Dockerfile that is built when nobody names another.
pub(crate) const DOCKERFILE: &str = "Dockerfile";
/// What a recipe's Dockerfile is called inside the context.
const MADE: &str = ".tose.Dockerfile";

/// A source tree, or the folder of it that is built.
#[derive(Debug)]
pub(crate) struct SourceTree {
    origin: Origin,
    /// The folder, in words.
    folder: String,
    /// What recipes see of it.
    pub(crate) tree: Tree,
    /// The text of `.dockerignore`, empty where there is none.
    ignore_text: String,
}

impl SourceTree {
    /// Looks at a folder of a tree.
    ///
    /// # Errors
    /// `Missing` when it is not there or leads out of the tree, `TooLarge` when `.dockerignore` is.
    pub(crate) fn open(tree: &Path, root_directory: Option<&str>) -> Result<Self, ContextError> {
        let tree = tree.canonicalize()?;
        let folder = root_directory.unwrap_or(".");
        let root = inside(&tree, tree.join(folder))
            .filter(|path| path.is_dir())
            .ok_or_else(|| no_folder(folder))?;
        let ignore_text = match inside(&tree, root.join(IGNORE_FILE)).filter(|path| path.is_file())
        {
            Some(file) => read_text(IGNORE_FILE, File::open(file)?)?,
            None => String::new(),
        };
        let mut seen = Tree::default();
        look(&root, "", &mut seen)?;
        Ok(Self {
            origin: Origin::Folder { tree, root },
            folder: folder.to_owned(),
            tree: seen,
            ignore_text,
        })
    }

    /// Looks at a folder of an archive that [`crate::build::archive::repack`] wrote.
    ///
    /// # Errors
    /// As for [`SourceTree::open`].
    pub(crate) fn open_archive(
        file: &Path,
        root_directory: Option<&str>,
    ) -> Result<Self, ContextError> {
        let folder = root_directory.unwrap_or(".");
        let root: PathBuf = plain(Path::new(folder));
        let (mut has_folder, mut seen, mut ignore_text) = (false, Tree::default(), String::new());
        let mut archive = tar::Archive::new(BufReader::new(File::open(file)?));
        for entry in archive.entries()? {
            let entry = entry?;
            let path = entry.path()?.into_owned();
            has_folder |= path.starts_with(&root);
            let Some(path) = path.strip_prefix(&root).ok().and_then(Path::to_str) else {
                continue;
            };
            if !entry.header().entry_type().is_file() {
                continue;
            }
            if path == IGNORE_FILE {
                ignore_text = read_text(IGNORE_FILE, entry)?;
            } else if Tree::is_read(path) {
                let path = path.to_owned();
                seen.add_text(path, read_start(entry)?);
            } else {
                seen.add_file(path);
            }
        }
        if !has_folder {
            return Err(no_folder(folder));
        }
        Ok(Self {
            origin: Origin::Archive {
                file: file.to_owned(),
                folder: root,
            },
            folder: folder.to_owned(),
            tree: seen,
            ignore_text,
        })
    }

    /// The text of a Dockerfile in it; `None` when it is not there or leads out of the tree.
    ///
    /// # Errors
    /// `TooLarge` when it has more than 1 MiB.
    pub(crate) fn read_dockerfile(&self, name: &str) -> Result<Option<String>, ContextError> {
        match &self.origin {
            Origin::Folder { tree, root } => {
                let file = inside(tree, root.join(name)).filter(|path| path.is_file());
                file.map(|file| read_text(name, File::open(file)?))
                    .transpose()
            }
            Origin::Archive { file, folder } => {
                let wanted = plain(&folder.join(name));
                let mut archive = tar::Archive::new(BufReader::new(File::open(file)?));
                for entry in archive.entries()? {
                    let entry = entry?;
                    if entry.header().entry_type().is_file() && *entry.path()? == *wanted {
                        return read_text(name, entry).map(Some);
                    }
                }
                Ok(None)
            }
        }
    }

    /// The context of a Dockerfile that the source has.
    pub(crate) fn with_dockerfile(self, name: &str, text: String) -> Context {
        Context {
            origin: self.origin,
            ignore_text: self.ignore_text,
            dockerfile: name.to_owned(),
            dockerfile_text: text,
            is_made: false,
        }
    }

    /// The context of a recipe, whose Dockerfile is added to what is packed.
    pub(crate) fn with_recipe(self, recipe: &Recipe) -> Context {
        // What the author says comes last, and so can take something back.
        let ignore_text = format!(
            "{}\n{}\n{MADE}\n",
            recipe.ignore.join("\n"),
            self.ignore_text
        );
        Context {
            origin: self.origin,
            ignore_text,
            dockerfile: MADE.to_owned(),
            dockerfile_text: recipe.dockerfile.clone(),
            is_made: true,
        }
    }

    /// Where it is, in words for its author.
    pub(crate) fn place(&self) -> String {
        if self.folder == "." {
            "its root folder".to_owned()
        } else {
            format!("the folder {}", self.folder)
        }
    }
}

/// `path`, unless it leads out of `tree`.
fn inside(tree: &Path, path: PathBuf) -> Option<PathBuf> {
    path.canonicalize()
        .ok()
        .filter(|path| path.starts_with(tree))
}

/// Collects what recipes want to see. Links are left alone.
fn look(root: &Path, folder: &str, seen: &mut Tree) -> std::io::Result<()> {
    let mut entries: Vec<_> =
        std::fs::read_dir(root.join(folder))?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            continue;
        };
        let path = match folder {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let depth = path.split('/').count();
            if depth < MAX_DEPTH && !Tree::is_skipped(&path) {
                look(root, &path, seen)?;
            }
        } else if kind.is_file() {
            if Tree::is_read(&path) {
                let text = read_start(File::open(entry.path())?)?;
                seen.add_text(path, text);
            } else {
                seen.add_file(path);
            }
        }
    }
    Ok(())
}

fn no_folder(folder: &str) -> ContextError {
    ContextError::Refused(format!(
        "the source has no folder {folder}; check the project's root_directory"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_not_looked_through() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("package.json"), "{}").expect("a file");
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("go.mod")).expect("a link");
        std::os::unix::fs::symlink("/etc", dir.path().join("cmd")).expect("a link");
        let source = SourceTree::open(dir.path(), None).expect("a source");
        let mut expected = Tree::default();
        expected.add_text("package.json", "{}");
        assert_eq!(source.tree, expected);
    }

    #[test]
    fn a_folder_and_its_archive_look_the_same() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("app");
        for (path, text) in [
            ("package.json", "{\"name\": \"x\"}"),
            ("src/main.py", "app = Flask(x)"),
            ("a/b/c", ""),
            ("a/b/c2/d", ""),
            ("node_modules/x/y", ""),
        ] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        let file = dir.path().join("tree.tar");
        let mut archive = tar::Builder::new(File::create(&file).expect("a file"));
        archive.append_dir_all("app", &root).expect("packed");
        archive.finish().expect("packed");
        let folder = SourceTree::open(dir.path(), Some("app")).expect("a source");
        let sent = SourceTree::open_archive(&file, Some("app")).expect("a source");
        assert_eq!(folder.tree, sent.tree);
        assert_eq!(sent.tree.text("package.json"), "{\"name\": \"x\"}");
    }
}

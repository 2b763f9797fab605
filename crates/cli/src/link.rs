//! `tose.json`: which project a folder belongs to. It holds no secret and is meant to be committed.
//!
//! Not here: the sections `build` and `run` of the same file, which the server reads
//! (`model/src/recipe/manifest.rs`); they are kept as they are.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tose_api::Slug;

const FILE_NAME: &str = "tose.json";

/// What a link file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) workspace: Slug,
    pub(crate) project: Slug,
}

/// The file, of which the link is a part.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workspace: Option<Slug>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<Slug>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    build: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Value>,
}

impl File {
    fn parse(path: &Path, text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .with_context(|| format!("{} is no link to a project", path.display()))
    }

    fn link(&self, path: &Path) -> Result<Option<Link>> {
        match (&self.workspace, &self.project) {
            (Some(workspace), Some(project)) => Ok(Some(Link {
                workspace: workspace.clone(),
                project: project.clone(),
            })),
            (None, None) => Ok(None),
            _ => bail!(
                "{} is no link to a project: workspace and project come together",
                path.display()
            ),
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// A link and the file it stands in.
#[derive(Debug)]
pub(crate) struct FoundLink {
    pub(crate) link: Link,
    pub(crate) path: PathBuf,
}

/// The link of `directory`, or of the nearest folder above that has one.
pub(crate) fn find_link(directory: &Path) -> Result<Option<FoundLink>> {
    for folder in directory.ancestors() {
        let path = folder.join(FILE_NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        if let Some(link) = File::parse(&path, &text)?.link(&path)? {
            return Ok(Some(FoundLink { link, path }));
        }
    }
    Ok(None)
}

/// Links `directory`; a link that says the same is left as it is.
pub(crate) fn write_link(directory: &Path, link: &Link) -> Result<()> {
    let path = directory.join(FILE_NAME);
    let mut file = match fs::read_to_string(&path) {
        Ok(text) => File::parse(&path, &text)?,
        Err(_) => File::default(),
    };
    if file.link(&path)?.as_ref() == Some(link) {
        return Ok(());
    }
    file.workspace = Some(link.workspace.clone());
    file.project = Some(link.project.clone());
    file.write(&path)
}

/// Takes the link away: with the file, unless that says how to build or run.
pub(crate) fn remove_link(found: &FoundLink) -> Result<()> {
    let path = &found.path;
    let text = fs::read_to_string(path).unwrap_or_default();
    let file = File::parse(path, &text)?;
    if file.build.is_none() && file.run.is_none() {
        return fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()));
    }
    File {
        workspace: None,
        project: None,
        ..file
    }
    .write(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link {
            workspace: "demo".parse().expect("a slug"),
            project: "hello".parse().expect("a slug"),
        }
    }

    #[test]
    fn a_link_is_found_from_the_folders_below_it() {
        let root = tempfile::tempdir().expect("a folder");
        let below = root.path().join("a/b");
        fs::create_dir_all(&below).expect("folders");
        assert!(find_link(&below).expect("no link").is_none());

        write_link(root.path(), &link()).expect("a link");
        let found = find_link(&below).expect("a good link").expect("a link");
        assert_eq!(found.link, link());
        assert_eq!(found.path, root.path().join("tose.json"));
    }

    #[test]
    fn the_nearest_link_counts() {
        let root = tempfile::tempdir().expect("a folder");
        let below = root.path().join("a");
        fs::create_dir(&below).expect("a folder");
        let near = Link {
            project: "near".parse().expect("a slug"),
            ..link()
        };
        write_link(root.path(), &link()).expect("a link");
        write_link(&below, &near).expect("a link");
        assert_eq!(
            find_link(&below)
                .expect("a good link")
                .expect("a link")
                .link,
            near
        );
    }

    #[test]
    fn what_the_file_says_of_builds_is_kept_and_is_no_link() {
        let root = tempfile::tempdir().expect("a folder");
        let below = root.path().join("app");
        fs::create_dir(&below).expect("a folder");
        let text = r#"{"build": {"recipe": "node"}, "run": {"port": 80}}"#;
        fs::write(below.join(FILE_NAME), text).expect("a file");
        write_link(root.path(), &link()).expect("a link");
        let found = find_link(&below).expect("good").expect("a link");
        assert_eq!(found.path, root.path().join(FILE_NAME));

        write_link(&below, &link()).expect("a link");
        let found = find_link(&below).expect("good").expect("a link");
        assert_eq!(found.path, below.join(FILE_NAME));
        remove_link(&found).expect("removed");
        let left: Value =
            serde_json::from_str(&fs::read_to_string(&found.path).expect("there")).expect("JSON");
        assert_eq!(left, serde_json::from_str::<Value>(text).expect("JSON"));
        let found = find_link(&below).expect("good").expect("that above");
        remove_link(&found).expect("removed");
        assert!(!found.path.exists());
    }

    #[test]
    fn a_broken_link_is_an_error_that_names_its_file() {
        let root = tempfile::tempdir().expect("a folder");
        for text in [
            "",
            "{",
            r#"{"workspace":"A B","project":"x"}"#,
            r#"{"workspace":"a"}"#,
        ] {
            fs::write(root.path().join("tose.json"), text).expect("a file");
            let error = find_link(root.path()).expect_err("a broken link");
            assert!(
                error.to_string().contains("tose.json is no link"),
                "{error}"
            );
        }
    }
}

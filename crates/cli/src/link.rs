//! `tose.json`: which project a folder belongs to. It holds no secret and is meant to be committed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tose_api::Slug;

const FILE_NAME: &str = "tose.json";

/// What a link file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    pub(crate) workspace: Slug,
    pub(crate) project: Slug,
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
        let link = serde_json::from_str(&text)
            .with_context(|| format!("{} is no link to a project", path.display()))?;
        return Ok(Some(FoundLink { link, path }));
    }
    Ok(None)
}

/// Links `directory`; a link that says the same is left as it is.
pub(crate) fn write_link(directory: &Path, link: &Link) -> Result<()> {
    let path = directory.join(FILE_NAME);
    let text = serde_json::to_string_pretty(link)? + "\n";
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
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

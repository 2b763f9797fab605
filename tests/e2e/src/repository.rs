//! Git repositories, made with Git itself.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::{program, run};
use crate::source::Source;

/// A repository with the branch `main`.
#[derive(Debug, Clone)]
pub struct Repository {
    folder: PathBuf,
    mark: String,
}

impl Repository {
    pub(crate) async fn create(folder: PathBuf, mark: &str) -> Self {
        fs::create_dir_all(&folder).expect("a folder for the repository");
        let repository = Self {
            folder,
            mark: mark.to_owned(),
        };
        repository
            .git(&["init", "--quiet", "--initial-branch=main"])
            .await;
        repository
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Its address for a server that builds from `file://`.
    pub fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// Makes a commit with exactly these files; its id.
    pub async fn commit(&self, source: &Source) -> String {
        for entry in fs::read_dir(&self.folder).expect("the repository is there") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                fs::remove_file(path).expect("a file of the last commit");
            } else if !path.ends_with(".git") {
                fs::remove_dir_all(path).expect("a folder of the last commit");
            }
        }
        for (name, text) in source.marked(&self.mark) {
            let path = self.folder.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            fs::write(path, text).expect("a file");
        }
        self.git(&["add", "--all"]).await;
        self.git(&[
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            "Change the app",
        ])
        .await;
        self.git(&["rev-parse", "HEAD"]).await
    }

    /// Goes to a branch, which is made here if there is none.
    pub async fn checkout(&self, branch: &str) {
        self.git(&["checkout", "--quiet", "-B", branch]).await;
    }

    async fn git(&self, args: &[&str]) -> String {
        let mut command = program("git");
        command
            .args([
                "-c",
                "user.name=Ada",
                "-c",
                "user.email=ada@example.com",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args(args)
            .current_dir(&self.folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        run(command).await.ok()
    }
}

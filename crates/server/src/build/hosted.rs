//! Repositories that live here: what `git push` to this server fills, one bare repository for each
//! project, below `git/` in the data directory.
//!
//! Guarantees: Git runs by argument lists with no configuration but the command line's, without hooks;
//! objects are checked as they come, and no more than the allowed bytes are taken.
//! Not here: the HTTP protocol around it (`http/git_push.rs`).

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};
use tose_api::ProjectId;
use tose_api::deployment::CommitView;

/// A branch with the commit that it is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) name: String,
    pub(crate) sha: String,
}

/// A project's repository.
#[derive(Debug, Clone)]
pub(crate) struct Hosted {
    path: PathBuf,
}

/// The projects whose repositories lie in `folder`.
pub(crate) fn list(folder: &Path) -> Vec<ProjectId> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.strip_suffix(".git")?.parse().ok()
        })
        .collect()
}

impl Hosted {
    /// The repository of a project, which may not be there yet.
    pub(crate) fn of(folder: &Path, project_id: ProjectId) -> Self {
        Self {
            path: folder.join(format!("{project_id}.git")),
        }
    }

    /// Whether there is anything to build.
    pub(crate) fn has_branches(&self) -> bool {
        let heads = std::fs::read_dir(self.path.join("refs/heads"));
        let is_loose = heads.is_ok_and(|mut heads| heads.next().is_some());
        is_loose || self.path.join("packed-refs").is_file()
    }

    /// Its address, for a clone on this machine.
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    /// Makes it if it is not there.
    pub(crate) async fn ensure(&self) -> io::Result<()> {
        if self.path.join("HEAD").is_file() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.path)?;
        self.run(&["init", "--quiet", "--bare", "."])
            .await
            .map(drop)
    }

    /// Removes it with all that was pushed.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// What a client is told before it pushes: the branches, and what this side can do.
    pub(crate) async fn advertise(&self) -> io::Result<Vec<u8>> {
        self.run(&["receive-pack", "--stateless-rpc", "--advertise-refs", "."])
            .await
    }

    /// Starts to take a push of so many bytes at most: its input is the client's request, its output
    /// the answer.
    pub(crate) fn receive(&self, max_bytes: u64) -> io::Result<Child> {
        let limit = format!("receive.maxInputSize={max_bytes}");
        self.command(&["-c", &limit, "receive-pack", "--stateless-rpc", "."])
            .stdin(Stdio::piped())
            .spawn()
    }

    /// Its branches.
    pub(crate) async fn branches(&self) -> io::Result<Vec<Branch>> {
        let format = "--format=%(objectname) %(refname)";
        let output = self.run(&["for-each-ref", format, "refs/heads/"]).await?;
        let text = String::from_utf8_lossy(&output);
        Ok(text
            .lines()
            .filter_map(|line| {
                let (sha, name) = line.split_once(" refs/heads/")?;
                Some(Branch {
                    name: name.to_owned(),
                    sha: sha.to_owned(),
                })
            })
            .collect())
    }

    /// The branch that is deployed: the first that was ever pushed, unless somebody chose another.
    pub(crate) async fn default_branch(&self) -> io::Result<String> {
        let output = self.run(&["symbolic-ref", "--short", "HEAD"]).await?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Chooses the branch that is deployed.
    pub(crate) async fn set_default_branch(&self, name: &str) -> io::Result<()> {
        let name = format!("refs/heads/{name}");
        self.run(&["symbolic-ref", "HEAD", &name]).await.map(drop)
    }

    /// Puts a branch from one commit back to another, or away, if it is still at the first.
    pub(crate) async fn put_back(
        &self,
        name: &str,
        from: &str,
        to: Option<&str>,
    ) -> io::Result<()> {
        let name = format!("refs/heads/{name}");
        let args = match to {
            Some(to) => vec!["update-ref", &name, to, from],
            None => vec!["update-ref", "-d", &name, from],
        };
        self.run(&args).await.map(drop)
    }

    /// A commit as it is shown.
    pub(crate) async fn commit(&self, sha: &str) -> io::Result<CommitView> {
        let output = self
            .run(&["log", "-1", "--format=%H%n%an%n%s", sha, "--"])
            .await?;
        let text = String::from_utf8_lossy(&output);
        let mut lines = text.lines().map(str::to_owned);
        let mut take = || lines.next().unwrap_or_default();
        let (sha, author, message) = (take(), take(), take());
        Ok(CommitView {
            sha,
            message,
            author,
        })
    }

    async fn run(&self, args: &[&str]) -> io::Result<Vec<u8>> {
        let output = self.command(args).stdin(Stdio::null()).output().await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let name = args.first().copied().unwrap_or_default();
        Err(io::Error::other(format!("git {name}: {}", text.trim())))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the place that runs git for repositories that live here"
    )]
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "gc.autoDetach=false",
            "receive.fsckObjects=true",
            "receive.denyDeleteCurrent=ignore",
            "safe.directory=*",
        ] {
            command.args(["-c", setting]);
        }
        command
            .args(args)
            .current_dir(&self.path)
            .env_clear()
            .envs(super::git::inherited())
            .env("HOME", &self.path)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_DIR", ".")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

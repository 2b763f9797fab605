//! Git, called with argument lists only.
//!
//! Every value that comes from a user is a parsed name that cannot begin with `-`, and stands behind
//! `--`. The program runs with an environment of its own: no configuration but the command line's, no
//! prompts, no hooks, no submodules, and only the transports that the operator allows.
//!
//! Not here: where commands run and what becomes of the output (`tasks/builder.rs`).

use std::ffi::OsString;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tose_api::deployment::CommitView;
use tose_api::{BranchName, RepoUrl};
use tose_model::secret::{ExposeSecret, SecretString};

/// What to fetch.
pub(crate) struct Checkout<'a> {
    /// The repository.
    pub(crate) url: &'a RepoUrl,
    /// The branch.
    pub(crate) branch: &'a BranchName,
    /// The commit on it; its newest when absent.
    pub(crate) commit: Option<&'a str>,
    /// A private SSH key.
    pub(crate) deploy_key: Option<&'a SecretString>,
    /// A token for https.
    pub(crate) access_token: Option<&'a SecretString>,
    /// Whether `file://` is allowed.
    pub(crate) allow_file_urls: bool,
    /// An empty directory of this build alone.
    pub(crate) scratch: &'a Path,
}

/// Why a repository could not be fetched, in words for its author.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    #[error("{0}")]
    Refused(String),
    #[error("git could not be run; it has to be installed beside tosed")]
    Run(#[source] std::io::Error),
    #[error("the scratch directory could not be written")]
    Scratch(#[source] std::io::Error),
}

/// Where the tree of a checkout lies below its scratch directory.
pub(crate) fn tree_dir(scratch: &Path) -> PathBuf {
    scratch.join("tree")
}

/// Fetches one commit without history into [`tree_dir`]; `say` gets Git's output as it comes.
///
/// # Errors
/// `Refused` with a text that says what to do when the repository, branch or commit is not there.
pub(crate) async fn fetch(
    checkout: &Checkout<'_>,
    say: &mut (dyn FnMut(String) + Send),
) -> Result<CommitView, GitError> {
    if checkout.url.is_local_file() && !checkout.allow_file_urls {
        return Err(GitError::Refused(
            "this server does not build from file:// repositories; its operator can allow it with TOSE_GIT_ALLOW_FILE_URLS=true"
                .to_owned(),
        ));
    }
    let tree = tree_dir(checkout.scratch);
    std::fs::create_dir_all(&tree).map_err(GitError::Scratch)?;
    let git = Git::prepare(checkout)?;
    git.run(
        &["init", "--quiet", "--initial-branch=build", "."],
        &mut |_| {},
    )
    .await?;
    fetch_wanted(&git, checkout, say).await?;
    git.run(&["checkout", "--quiet", "--detach", "FETCH_HEAD"], say)
        .await?;
    read_commit(&git).await
}

async fn fetch_wanted(
    git: &Git<'_>,
    checkout: &Checkout<'_>,
    say: &mut (dyn FnMut(String) + Send),
) -> Result<(), GitError> {
    let url = checkout.url.as_str();
    let branch = format!("refs/heads/{}", checkout.branch);
    let tag = format!("refs/tags/{}", checkout.branch);
    let shallow = ["fetch", "--depth=1", "--no-tags", "--progress"];
    let fetch = |what: &'static [&'static str], reference: &str| -> Vec<String> {
        let words = shallow.iter().chain(what).map(|word| (*word).to_owned());
        words
            .chain(["--".to_owned(), url.to_owned(), reference.to_owned()])
            .collect()
    };
    let Some(commit) = checkout.commit else {
        let outcome = git.run_owned(&fetch(&[], &branch), say).await;
        return match outcome {
            // A name that is no branch may be a tag.
            Err(GitError::Refused(text)) if text.contains("remote ref") => {
                let tagged = git.run_owned(&fetch(&[], &tag), say).await;
                tagged.map_err(|error| explain(error, checkout))
            }
            other => other.map_err(|error| explain(error, checkout)),
        };
    };
    // Servers may refuse to hand out a commit by its id; then its branch is fetched with history.
    if git.run_owned(&fetch(&[], commit), say).await.is_ok() {
        return Ok(());
    }
    let full = ["fetch", "--no-tags", "--progress", "--", url, &branch];
    git.run(&full, say)
        .await
        .map_err(|error| explain(error, checkout))?;
    let spec = format!("{commit}^{{commit}}");
    let known = git
        .run(
            &["merge-base", "--is-ancestor", &spec, "FETCH_HEAD"],
            &mut |_| {},
        )
        .await;
    if known.is_err() {
        let text = format!(
            "commit {commit} is not on branch {} of {url}",
            checkout.branch
        );
        return Err(GitError::Refused(text));
    }
    git.run(&["update-ref", "--no-deref", "FETCH_HEAD", &spec], say)
        .await
}

async fn read_commit(git: &Git<'_>) -> Result<CommitView, GitError> {
    let mut lines = Vec::new();
    git.run(&["log", "-1", "--format=%H%n%an%n%s"], &mut |line| {
        lines.push(line)
    })
    .await?;
    let mut next = lines.into_iter();
    let mut take = || next.next().unwrap_or_default();
    let (sha, author, message) = (take(), take(), take());
    Ok(CommitView {
        sha,
        message,
        author,
    })
}

/// Puts what Git says into words for the repository's author.
fn explain(error: GitError, checkout: &Checkout<'_>) -> GitError {
    let GitError::Refused(text) = error else {
        return error;
    };
    let (url, branch) = (checkout.url, checkout.branch);
    let has = |needle: &str| text.contains(needle);
    let reason = if has("remote ref") {
        format!("branch {branch} does not exist in {url}; push it, or connect another branch")
    } else if has("Host key verification failed") {
        format!(
            "the SSH host key of {url} is not the one that was seen first; ask the operator to check it"
        )
    } else if has("Permission denied") || has("publickey") {
        format!(
            "{url} refused the deploy key; add its public half to the repository with read access"
        )
    } else if has("Could not resolve host") || has("Connection refused") || has("timed out") {
        format!("the Git server of {url} could not be reached; check the address")
    } else if has("not found")
        || has("could not read Username")
        || has("does not appear to be a git repository")
        || has("Authentication failed")
        || has("does not exist")
    {
        format!(
            "repository {url} was not found, or it is not public; check the address, or give an access_token (https) or a deploy key (ssh) that may read it"
        )
    } else {
        format!("git could not fetch {url}: {text}")
    };
    GitError::Refused(reason)
}

/// Git in one scratch directory.
struct Git<'a> {
    checkout: &'a Checkout<'a>,
    tree: PathBuf,
    has_key: bool,
}

/// Read by the shell that Git starts for it, so it is a constant: what differs is in variables.
const SSH_COMMAND: &str = "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=20 \
    -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=\"$TOSE_KNOWN_HOSTS\"";
const SSH_COMMAND_WITH_KEY: &str = "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=20 \
    -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=\"$TOSE_KNOWN_HOSTS\" \
    -o IdentitiesOnly=yes -i \"$TOSE_SSH_KEY\"";

/// How many characters of Git's complaints are kept.
const MAX_COMPLAINT: usize = 2000;

impl<'a> Git<'a> {
    fn prepare(checkout: &'a Checkout<'a>) -> Result<Self, GitError> {
        if let Some(key) = checkout.deploy_key {
            write_key(&key_path(checkout.scratch), key).map_err(GitError::Scratch)?;
        }
        if let Some(token) = checkout.access_token
            && let Some(line) = credentials(checkout.url, token)
        {
            write_key(&credentials_path(checkout.scratch), &line).map_err(GitError::Scratch)?;
        }
        let tree = tree_dir(checkout.scratch);
        Ok(Self {
            checkout,
            tree,
            has_key: checkout.deploy_key.is_some(),
        })
    }

    async fn run_owned(
        &self,
        args: &[String],
        say: &mut (dyn FnMut(String) + Send),
    ) -> Result<(), GitError> {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.run(&args, say).await
    }

    /// Runs one command; its output goes to `say`, its complaints also into the error.
    async fn run(
        &self,
        args: &[&str],
        say: &mut (dyn FnMut(String) + Send),
    ) -> Result<(), GitError> {
        let mut child = self.command(args).spawn().map_err(GitError::Run)?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (mut out, mut err) = (lines(stdout), lines(stderr));
        let mut complaint = String::new();
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            tokio::select! {
                line = next_line(&mut out), if out_open => match line {
                    Some(line) => say(line),
                    None => out_open = false,
                },
                line = next_line(&mut err), if err_open => match line {
                    Some(line) => {
                        if complaint.len() + line.len() < MAX_COMPLAINT && !is_progress(&line) {
                            complaint.push_str(&line);
                            complaint.push(' ');
                        }
                        say(line);
                    }
                    None => err_open = false,
                },
            }
        }
        let status = child.wait().await.map_err(GitError::Run)?;
        if status.success() {
            return Ok(());
        }
        Err(GitError::Refused(complaint.trim().to_owned()))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that runs git")]
    fn command(&self, args: &[&str]) -> Command {
        let scratch = self.checkout.scratch;
        let mut command = Command::new("git");
        command
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "transfer.fsckObjects=true",
            ])
            .args([
                "-c",
                "protocol.version=2",
                "-c",
                "advice.detachedHead=false",
            ])
            .args([
                "-c",
                "fetch.recurseSubmodules=false",
                "-c",
                "core.fsmonitor=false",
            ])
            .args([
                "-c",
                "filter.lfs.smudge=",
                "-c",
                "filter.lfs.required=false",
            ])
            // Looks into ~/.git-credentials, and HOME is this build's own folder.
            .args(["-c", "credential.helper=", "-c", "credential.helper=store"])
            .args(args)
            .current_dir(&self.tree)
            .env_clear()
            .envs(inherited())
            .env("HOME", scratch)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "/bin/false")
            .env("GIT_ALLOW_PROTOCOL", self.transports())
            .env("TOSE_KNOWN_HOSTS", known_hosts_path(scratch))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if self.has_key {
            command.env("TOSE_SSH_KEY", key_path(scratch));
            command.env("GIT_SSH_COMMAND", SSH_COMMAND_WITH_KEY);
        } else {
            command.env("GIT_SSH_COMMAND", SSH_COMMAND);
        }
        command
    }

    fn transports(&self) -> &'static str {
        if self.checkout.allow_file_urls {
            "https:ssh:file"
        } else {
            "https:ssh"
        }
    }
}

/// What Git needs of the daemon's own environment: where programs are, and whom to trust.
#[expect(
    clippy::disallowed_methods,
    reason = "passed on to git, never read here"
)]
pub(super) fn inherited() -> Vec<(&'static str, OsString)> {
    [
        "PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "GIT_SSL_CAINFO",
        "https_proxy",
        "HTTPS_PROXY",
        "no_proxy",
        "NO_PROXY",
    ]
    .into_iter()
    .filter_map(|name| std::env::var_os(name).map(|value| (name, value)))
    .collect()
}

fn key_path(scratch: &Path) -> PathBuf {
    scratch.join("deploy_key")
}

/// Beside all scratch directories, so that a host key that was seen once is held on to.
pub(crate) fn known_hosts_path(scratch: &Path) -> PathBuf {
    scratch.parent().unwrap_or(scratch).join("known_hosts")
}

/// The file in which Git's own helper `store` finds the token: never on a command line, nor in an
/// address that an error could quote.
fn credentials_path(scratch: &Path) -> PathBuf {
    scratch.join(".git-credentials")
}

/// The line of that file: only this host gets the token. Git hosts take any user name beside one, but
/// for Bitbucket.
fn credentials(url: &RepoUrl, token: &SecretString) -> Option<SecretString> {
    let rest = url.as_str().strip_prefix("https://")?;
    let host = rest.split('/').next()?;
    let user = match host {
        "bitbucket.org" => "x-token-auth",
        _ => "x-access-token",
    };
    let password: String =
        form_urlencoded::byte_serialize(token.expose_secret().as_bytes()).collect();
    Some(SecretString::from(format!(
        "https://{user}:{password}@{host}"
    )))
}

pub(crate) fn write_key(path: &Path, key: &SecretString) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let text = key.expose_secret();
    file.write_all(text.as_bytes())?;
    // OpenSSH refuses a key whose last line has no end.
    if text.ends_with('\n') {
        Ok(())
    } else {
        file.write_all(b"\n")
    }
}

type Lines<R> = BufReader<R>;

fn lines<R: AsyncRead>(reader: R) -> Lines<R> {
    BufReader::new(reader)
}

/// The next line, without its end; progress that overwrites itself counts as its last state.
async fn next_line<R: AsyncRead + Unpin>(reader: &mut Lines<R>) -> Option<String> {
    let mut bytes = Vec::new();
    match reader.read_until(b'\n', &mut bytes).await {
        Ok(0) | Err(_) => None,
        Ok(_) => {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_end_matches(['\n', '\r']);
            Some(text.rsplit('\r').next().unwrap_or(text).to_owned())
        }
    }
}

fn is_progress(line: &str) -> bool {
    line.starts_with("remote: ") || line.contains("objects:") || line.starts_with("From ")
}

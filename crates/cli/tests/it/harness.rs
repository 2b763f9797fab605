//! A folder of its own for each test, and the binary run inside it.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::stand_in::StandIn;

/// A key of the right shape.
pub(crate) const KEY: &str = "tose_sk_0123456789abcdef0123456789abcdef01234567";

/// A home and a project folder that nothing else uses.
pub(crate) struct Sandbox {
    root: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Sandbox {
    /// Not logged in, nothing linked.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        for folder in ["user", "hello"] {
            fs::create_dir(root.path().join(folder)).expect("a folder");
        }
        Self {
            root,
            variables: Vec::new(),
        }
    }

    /// With a key for `server`, and `demo/hello` linked.
    pub(crate) fn linked(server: &StandIn) -> Self {
        let sandbox = Self::with_key(server);
        fs::write(
            sandbox.file("tose.json"),
            r#"{"workspace":"demo","project":"hello"}"#,
        )
        .expect("a link");
        sandbox
    }

    /// With a key for `server`.
    pub(crate) fn with_key(server: &StandIn) -> Self {
        Self::new()
            .variable("TOSE_API_URL", server.url())
            .variable("TOSE_API_KEY", KEY)
    }

    /// With an environment variable.
    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// The path of a file in the project folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.path().join("hello").join(name)
    }

    /// The path of a file in the home folder.
    pub(crate) fn home_file(&self, name: &str) -> PathBuf {
        self.root.path().join("user").join(name)
    }

    /// The binary with its arguments, ready to start.
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests run the binary, with their own PATH"
    )]
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tose"));
        command
            .args(arguments)
            .current_dir(self.root.path().join("hello"))
            .env_clear()
            .env("HOME", self.root.path().join("user"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GIT_CEILING_DIRECTORIES", self.root.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Outcome {
        let output = self.command(arguments).output().expect("the binary starts");
        self.outcome(output)
    }

    /// Runs the binary to its end with `input` on stdin.
    pub(crate) fn run_with_input<S: AsRef<OsStr>>(&self, arguments: &[S], input: &str) -> Outcome {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a start");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("the binary reads");
        drop(stdin);
        self.wait(child)
    }

    /// Waits for a started binary.
    pub(crate) fn wait(&self, child: Child) -> Outcome {
        self.outcome(child.wait_with_output().expect("an end"))
    }

    /// Names what differs between runs: the folder and the server's port.
    pub(crate) fn normal(&self, text: &str) -> String {
        let folder = self.root.path().to_str().expect("text");
        let mut text = text
            .replace(&format!("/private{folder}"), "[dir]")
            .replace(folder, "[dir]");
        for (name, value) in &self.variables {
            if *name == "TOSE_API_URL" {
                text = text.replace(value, "[server]");
            }
        }
        text
    }

    fn outcome(&self, output: Output) -> Outcome {
        let text = |bytes| self.normal(&String::from_utf8(bytes).expect("text"));
        Outcome {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Fails the test unless the run went well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self
            .code
            .map_or("signal".to_owned(), |code| code.to_string());
        writeln!(f, "exit: {code}")?;
        writeln!(f, "----- stdout -----\n{}", self.stdout)?;
        write!(f, "----- stderr -----\n{}", self.stderr)
    }
}

/// The permissions of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

//! Programs: the one place that starts any.
//!
//! Invariant: what a user has set for an installation of their own (`TOSE_…`) reaches none of them.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A command without input that ends with its caller.
#[expect(
    clippy::disallowed_methods,
    reason = "end-to-end tests drive programs as a person would"
)]
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    let own = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TOSE_"));
    for (name, _) in own {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// How a program ended.
#[derive(Debug)]
pub struct Outcome {
    /// What was run.
    pub command: String,
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Outcome {
    /// Its output without white space at the ends; fails the test unless the program went well.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout.trim().to_owned()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ended with {:?}", self.command, self.code)?;
        writeln!(f, "----- stdout -----\n{}", self.stdout)?;
        write!(f, "----- stderr -----\n{}", self.stderr)
    }
}

/// Runs a command to its end.
pub async fn run(command: Command) -> Outcome {
    let words = words(&command);
    let outcome = try_run(command).await;
    outcome.unwrap_or_else(|error| panic!("{words} could not be run: {error}"))
}

/// Runs a command to its end, where the program may be missing.
pub(crate) async fn try_run(mut command: Command) -> io::Result<Outcome> {
    let words = words(&command);
    Ok(outcome(words, command.output().await?))
}

/// Runs a command to its end with `input` on its standard input.
pub async fn run_with_input(mut command: Command, input: &str) -> Outcome {
    let words = words(&command);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let feed = async {
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        child.wait_with_output().await
    };
    let output = feed.await;
    let output = output.unwrap_or_else(|error| panic!("{words} could not be run: {error}"));
    outcome(words, output)
}

fn outcome(command: String, output: Output) -> Outcome {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome {
        command,
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The program and its arguments; variables may hold secrets.
fn words(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

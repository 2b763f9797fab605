//! The operator's program that sets and removes records of DNS, for proofs by DNS-01.
//!
//! It is run as `PROGRAM present NAME VALUE`, and has to end only when the record can be seen; then as
//! `PROGRAM cleanup NAME VALUE`. Guarantee: it is run without a shell, without the daemon's environment
//! but `PATH`, and not for ever.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// How long it may take: some providers need minutes until a record is seen everywhere.
const PATIENCE: Duration = Duration::from_secs(300);
/// How much of what it writes goes into an error.
const MAX_WORDS: usize = 300;

/// What the program is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Set the record and wait until it is seen.
    Present,
    /// Remove it.
    Cleanup,
}

/// Runs the program; an error says in words why the record is not as it should be.
pub(crate) async fn run(
    program: &Path,
    action: Action,
    name: &str,
    value: &str,
) -> Result<(), String> {
    let word = match action {
        Action::Present => "present",
        Action::Cleanup => "cleanup",
    };
    let mut command = command(program);
    command.args([word, name, value]);
    let failed = |why: String| format!("the DNS program {} {why}", program.display());
    match tokio::time::timeout(PATIENCE, command.output()).await {
        Err(_) => Err(failed(format!(
            "did not end within {} s",
            PATIENCE.as_secs()
        ))),
        Ok(Err(error)) => Err(failed(format!("cannot be run: {error}"))),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: String = said.trim().chars().take(MAX_WORDS).collect();
            Err(failed(format!("failed with {}: {said}", output.status)))
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that runs the operator's DNS program; PATH is passed on, never read here"
)]
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str) -> Result<(), String> {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a folder");
        let (text, path) = (dir.path().join("text"), dir.path().join("hook"));
        std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).expect("a file");
        std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o700)).expect("a mode");
        // What this process wrote itself cannot be run while a program that another test starts just then has the
        // file open, too.
        let mut copy = command(Path::new("cp"));
        let copied = copy.args([&text, &path]).status().await;
        assert!(copied.expect("cp runs").success());
        run(&path, Action::Present, "_acme-challenge.example.com", "a b").await
    }

    #[tokio::test]
    async fn it_gets_its_words_as_they_are_and_no_secrets() {
        sh("[ \"$#|$1|$2|$3\" = '3|present|_acme-challenge.example.com|a b' ]")
            .await
            .expect("well");
        sh("[ -z \"$CARGO_MANIFEST_DIR$HOME\" ] && [ -n \"$PATH\" ]")
            .await
            .expect("well");
    }

    #[tokio::test]
    async fn a_failure_says_what_the_program_said() {
        let problem = sh("echo no such zone >&2; exit 3")
            .await
            .expect_err("it fails");
        assert!(
            problem.contains("exit status: 3") && problem.ends_with("no such zone"),
            "{problem}"
        );
        let missing = run(Path::new("/nowhere"), Action::Cleanup, "a", "b").await;
        assert!(
            missing
                .expect_err("it is missing")
                .contains("cannot be run")
        );
    }
}

//! How an app is started: who says so, and as what it stands in the Dockerfile.

use super::dockerfile::check_command;
use super::{Inputs, procfile};
use crate::error::{Error, Result};

/// What `CMD` gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    /// A line for the image's shell, which becomes the program where it can.
    Shell(String),
    /// A program and its arguments.
    Program(Vec<String>),
}

impl Start {
    /// A command line of the repository's.
    pub(super) fn command(command: &str) -> Self {
        Self::Shell(with_exec(command))
    }

    /// A program with its arguments, no shell.
    pub(super) fn program(words: &[&str]) -> Self {
        Self::Program(words.iter().map(|word| (*word).to_owned()).collect())
    }
}

/// What the author says: `build.start`, then the `web` line of the Procfile.
///
/// # Errors
/// `Invalid` for a line that is none.
pub(super) fn stated(inputs: &Inputs<'_>) -> Result<Option<Start>> {
    if let Some(command) = &inputs.wishes.start {
        return Ok(Some(Start::command(&check_command(
            command,
            "build.start",
        )?)));
    }
    let Some(command) = procfile::web(inputs.tree.text("Procfile")) else {
        return Ok(None);
    };
    Ok(Some(Start::command(&check_command(
        command,
        "the web line of the Procfile",
    )?)))
}

/// The failure of a recipe that does not know how to start the app.
pub(super) fn unknown(looked_for: &str) -> Error {
    Error::invalid(format!(
        "nothing says how to start it: {looked_for}; add a Procfile with the line `web: COMMAND`, or set build.start in tose.json"
    ))
}

/// First words that only a shell understands, and before which `exec` would be wrong.
const SHELL_WORDS: [&str; 23] = [
    "!", ".", ":", "[", "{", "case", "cd", "eval", "exec", "export", "for", "if", "read", "set",
    "source", "test", "trap", "ulimit", "umask", "unset", "until", "wait", "while",
];

/// With `exec` before what runs last, so that the app is the process that gets SIGTERM. A line that is
/// neither one plain command nor several joined by `&&` is left as it is.
fn with_exec(command: &str) -> String {
    if is_plain(command) {
        return format!("exec {command}");
    }
    // Inside quotes, `&&` is only text.
    if command.contains(['"', '\'', '\\', '`', '|', '(', '{', ';']) {
        return command.to_owned();
    }
    match command.rsplit_once("&&") {
        Some((before, last)) if is_plain(last.trim()) => {
            format!("{before}&& exec {}", last.trim())
        }
        _ => command.to_owned(),
    }
}

fn is_plain(command: &str) -> bool {
    let first = command.split_whitespace().next().unwrap_or_default();
    let is_program = !first.is_empty() && !first.contains('=') && !SHELL_WORDS.contains(&first);
    is_program && !command.contains(['&', '|', ';', '(', ')', '`'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_last_becomes_the_program() {
        for (command, expected) in [
            ("node server.js", "exec node server.js"),
            (
                "gunicorn -b 0.0.0.0:${PORT:-80} a:b",
                "exec gunicorn -b 0.0.0.0:${PORT:-80} a:b",
            ),
            (
                "migrate && serve --port $PORT",
                "migrate && exec serve --port $PORT",
            ),
            ("A=b serve", "A=b serve"),
            ("cd app && node x", "cd app && exec node x"),
            ("cd app", "cd app"),
            ("exec serve", "exec serve"),
            ("a | b", "a | b"),
            ("a; b && c", "a; b && c"),
            ("sh -c \"a && b\"", "sh -c \"a && b\""),
            ("a & b", "a & b"),
        ] {
            assert_eq!(with_exec(command), expected);
        }
    }
}

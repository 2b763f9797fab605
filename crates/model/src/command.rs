//! Start commands: a line as people type it, as the argument list that an engine gets.
//!
//! Not here: a shell. Quotes and backslashes are read; variables, pipes and `&&` are plain text.

use crate::error::{Error, Result};

/// The most characters that a start command has.
const MAX_LENGTH: usize = 1000;

/// Splits a start command into the program and its arguments.
///
/// # Errors
/// `Invalid` for one that is empty, too long, or has a quote without its end.
pub fn split(command: &str) -> Result<Vec<String>> {
    let refuse = |problem: &str| Err(Error::invalid_field("start_command", problem));
    if command.chars().count() > MAX_LENGTH || command.chars().any(char::is_control) {
        return refuse("must be one line of at most 1000 characters");
    }
    match shell_words::split(command) {
        Ok(words) if words.first().is_some_and(|program| !program.is_empty()) => Ok(words),
        Ok(_) => refuse("must name a program; send null to run what the image says"),
        Err(_) => refuse("has a quote without its end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_like_command_lines_and_never_read_by_a_shell() {
        let words = |command| split(command).expect("a command");
        assert_eq!(words("node server.js"), ["node", "server.js"]);
        assert_eq!(words("sh -c 'a && b'"), ["sh", "-c", "a && b"]);
        assert_eq!(words("a;b $HOME `id`"), ["a;b", "$HOME", "`id`"]);
        for bad in ["", "   ", "''", "a 'b", "a\nb", &"x".repeat(1001)] {
            assert!(split(bad).is_err(), "{bad:?}");
        }
    }
}

//! What reaches the terminal.

use super::*;

#[test]
fn a_terminal_gets_colours_but_no_other_control_characters() {
    let line = "\x1b[1;31mred\x1b[0m \x1b]0;title\x07 a\tb \x1b[2J\r\u{9b}c";
    let colored = for_terminal(line, true, true);
    assert_eq!(colored, "\x1b[1;31mred\x1b[0m ]0;title a\tb [2Jc");
    assert_eq!(for_terminal(line, true, false), "red ]0;title a\tb [2Jc");
    assert_eq!(for_terminal(line, false, false), line);
}

#[test]
fn a_failure_names_what_was_tried_and_the_root_of_it() {
    let io = io::Error::other("disk on fire");
    let error = anyhow::Error::new(io).context("cannot read .env");
    assert_eq!(message(&error), "cannot read .env: disk on fire");
    assert_eq!(failure(&error).code, "failed");
    let error = anyhow::Error::new(Error::NotLinked);
    assert_eq!(failure(&error).code, "not_linked");
}

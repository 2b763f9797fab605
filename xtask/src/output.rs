//! The one door to the terminal.

/// Prints one line of the result.
#[expect(clippy::print_stdout, reason = "the one place that prints")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

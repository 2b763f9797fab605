//! Log drains: what a batch of lines looks like to an outside service, and how long to wait for one that fails.
//!
//! Guarantees: pure; every line of a batch carries its number in the project's log, by which a receiver can tell
//! that it got a line twice (Loki does so by itself, by time and text).
//! Not here: sending (`tose-server`, `drain.rs`), and when (`tasks/drains.rs`).

mod json;
mod syslog;

use std::time::Duration;

use tose_api::Slug;
use tose_api::drain::DrainKind;
use tose_api::log::{LogLevel, LogSource};

use crate::log::LogLine;

pub use syslog::is_element;

/// How long after the first failure in a row the next attempt comes, at most; each further one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Whose lines they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The workspace's slug.
    pub workspace: Slug,
    /// The project's slug.
    pub project: Slug,
}

/// A line of the project's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainLine {
    /// Its number in the log; 0 for a line that is not in it.
    pub seq: u64,
    /// The level that its text names, if it names one.
    pub level: Option<LogLevel>,
    /// The line.
    pub line: LogLine,
}

/// The level that a line is sent with: its own, or else a warning for what came by standard error.
fn level(numbered: &DrainLine) -> LogLevel {
    numbered.level.unwrap_or(match numbered.line.source {
        LogSource::Stderr => LogLevel::Warn,
        LogSource::Stdout | LogSource::Build | LogSource::System => LogLevel::Info,
    })
}

/// The name that a line's source has on the wire.
fn stream(line: &LogLine) -> &'static str {
    match line.source {
        LogSource::Stdout => "stdout",
        LogSource::Stderr => "stderr",
        LogSource::Build => "build",
        LogSource::System => "system",
    }
}

/// A batch as a service of this kind takes it: the body of one call, or messages of syslog one after the other.
/// `element` is what goes into the structured data of syslog besides the number, see [`is_element`].
pub fn encode(
    kind: DrainKind,
    origin: &Origin,
    element: Option<&str>,
    lines: &[DrainLine],
) -> Vec<u8> {
    match kind {
        DrainKind::Syslog => syslog::encode(origin, element, lines),
        DrainKind::Http => json::plain(origin, lines),
        DrainKind::Loki => json::loki(origin, lines),
        DrainKind::Otlp => json::otlp(origin, lines),
    }
}

/// How long to wait after so many failures in a row: 1 s and twice as long each time, 5 minutes at most; up to a
/// quarter less, as `random` has it, so that those who failed together do not come back together.
pub fn pause_after(failures: u32, random: u8) -> Duration {
    let doublings = failures.saturating_sub(1).min(30);
    let full = (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE);
    full - full / 4 * u32::from(random) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests;

//! A line of output, as drivers give it and the log store keeps it.

use tose_api::Timestamp;
use tose_api::log::LogSource;

/// One line, without its line end. The text is whatever the app wrote, valid UTF-8 or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogLine {
    /// When the engine (or the builder) read it.
    pub time: Timestamp,
    /// Where it came from.
    pub source: LogSource,
    /// The replica or deployment that wrote it.
    pub pod: Box<str>,
    /// The text.
    pub text: Vec<u8>,
}

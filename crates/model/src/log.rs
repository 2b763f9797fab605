//! Lines of output: as drivers give them and the log store keeps them, how severe they are, and
//! what finds them.

mod level;
mod search;

use tose_api::Timestamp;
use tose_api::log::LogSource;

pub use level::{detect_level, is_continuation};
pub use search::{MAX_SEARCH_CHARS, Search, is_word, words};

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

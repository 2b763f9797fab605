//! Logs, read frame by frame.

use std::time::Duration;

use tokio::time::timeout;
use tose_api::Timestamp;
use tose_api::client::{LogEvent, LogFormat, LogQuery, LogStream};

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// Everything there is, as text, without waiting for more.
pub const WHOLE: LogQuery = LogQuery {
    tail: Some(5000),
    since: None,
    follow: false,
    format: LogFormat::Text,
};

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub time: Timestamp,
    /// Its text.
    pub text: String,
}

impl Line {
    /// Takes a frame `TIMESTAMP TEXT` apart; every frame that is no sign of the server is one.
    pub fn parse(frame: &str) -> Self {
        let parsed = frame
            .split_once(' ')
            .and_then(|(time, text)| Some((time.parse().ok()?, text)));
        let (time, text) = parsed.unwrap_or_else(|| panic!("no time in the frame {frame:?}"));
        Self {
            time,
            text: text.to_owned(),
        }
    }
}

/// A log that was read to its `[END]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Its lines.
    pub lines: Vec<Line>,
    /// The text of `[ERROR] …`, right before the end.
    pub error: Option<String>,
}

impl Log {
    /// The texts of all lines.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        texts.join("\n")
    }

    /// Where the first line stands that contains `words`.
    pub fn position(&self, words: &str) -> usize {
        let found = self.lines.iter().position(|line| line.text.contains(words));
        found.unwrap_or_else(|| panic!("no line with {words:?} in:\n{}", self.text()))
    }
}

/// Reads to the end; a stream that breaks off, or goes on after an error, fails the test.
pub async fn read_log(stream: LogStream) -> Log {
    let reading = timeout(PATIENCE, read(stream)).await;
    reading.expect("a log has to come to its end")
}

async fn read(mut stream: LogStream) -> Log {
    let mut log = Log {
        lines: Vec::new(),
        error: None,
    };
    while let Some(event) = stream.next().await {
        match event.expect("a stream does not break off") {
            LogEvent::End => return log,
            other if log.error.is_some() => panic!("{other:?} after {:?}", log.error),
            LogEvent::Line(frame) => log.lines.push(Line::parse(&frame)),
            LogEvent::Error(reason) => log.error = Some(reason),
        }
    }
    panic!("a log closed without [END] after:\n{}", log.text());
}

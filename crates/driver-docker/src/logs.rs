//! Output: frames of the engine become lines.
//!
//! The engine cuts a line into chunks of 16 KiB that all carry the time of the first, and ends only
//! the last with a line end. A process that ends in the middle of a line leaves a chunk without
//! one; the next run's first chunk has another time. So chunks are joined while their times agree.
//!
//! Guarantees: per source, lines come in the order in which they were written, and no byte is lost:
//! a line beyond 1 MiB comes in parts of that length.

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use futures_util::future;
use futures_util::stream::{self, BoxStream};
use tose_api::Timestamp;
use tose_api::log::LogSource;
use tose_model::driver::{DriverError, DriverResult, ReplicaName};
use tose_model::log::LogLine;

use crate::DockerDriver;
use crate::error::{failed, refused};

/// The most text of one line.
const MAX_LINE_BYTES: usize = 1 << 20;

impl DockerDriver {
    pub(crate) async fn follow_logs(
        &self,
        name: &ReplicaName,
        since: Option<Timestamp>,
    ) -> DriverResult<BoxStream<'static, DriverResult<LogLine>>> {
        let Some(inspected) = self.find(name).await? else {
            return Err(DriverError::NotFound(format!("replica {name}")));
        };
        let since = since.filter(|time| time.as_nanos() > 0);
        // The client's own parameter has whole seconds, and not many of those.
        let query = since.map_or_else(String::new, |time| {
            let nanos = time.as_nanos();
            format!(
                "since={}.{:09}",
                nanos / 1_000_000_000,
                nanos % 1_000_000_000
            )
        });
        let docker = self.engine.docker_with(query).await?;
        let options = LogsOptionsBuilder::default()
            .follow(true)
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .build();
        let frames = docker.logs(&inspected.container.id, Some(options));
        let mut assembler = Assembler::new(name.clone());
        let lines = frames
            .map(Some)
            .chain(stream::once(future::ready(None)))
            .flat_map(move |frame| stream::iter(assembler.take(frame)))
            .filter(move |line| {
                let is_early = line.as_ref().is_ok_and(|line| Some(line.time) < since);
                future::ready(!is_early)
            });
        Ok(lines.boxed())
    }
}

/// Joins the chunks of one replica.
struct Assembler {
    name: ReplicaName,
    unfinished: [Option<LogLine>; 2],
}

impl Assembler {
    fn new(name: ReplicaName) -> Self {
        Self {
            name,
            unfinished: [None, None],
        }
    }

    /// The lines that a frame finishes; `None` is the end of all frames.
    fn take(&mut self, frame: Option<Result<LogOutput, Error>>) -> Vec<DriverResult<LogLine>> {
        let (source, frame) = match frame {
            Some(Ok(LogOutput::StdOut { message })) => (LogSource::Stdout, message),
            Some(Ok(LogOutput::StdErr { message })) => (LogSource::Stderr, message),
            Some(Ok(LogOutput::StdIn { .. })) => return Vec::new(),
            Some(Ok(LogOutput::Console { message })) => {
                // The engine's own voice, when it cannot read the log any further.
                let said = String::from_utf8_lossy(&message);
                let said = said.trim_matches(|c: char| c.is_control() || c.is_whitespace());
                return vec![Err(refused(
                    format!("read the log of replica {}", self.name),
                    said,
                ))];
            }
            Some(Err(error)) => {
                return vec![Err(failed(
                    format!("read the log of replica {}", self.name),
                    error,
                ))];
            }
            None => {
                return self
                    .unfinished
                    .iter_mut()
                    .filter_map(Option::take)
                    .map(Ok)
                    .collect();
            }
        };
        self.join(source, &frame).into_iter().map(Ok).collect()
    }

    fn join(&mut self, source: LogSource, frame: &[u8]) -> Vec<LogLine> {
        let mut lines = Vec::new();
        let slot = &mut self.unfinished[usize::from(source == LogSource::Stderr)];
        let (time, text) = split_time(frame);
        // A chunk without a time cannot be told from more of the same line.
        let time = time
            .or(slot.as_ref().map(|line| line.time))
            .unwrap_or(Timestamp::from_nanos(0));
        let (text, is_end) = match text.strip_suffix(b"\n") {
            Some(text) => (text.strip_suffix(b"\r").unwrap_or(text), true),
            None => (text, false),
        };
        if slot.as_ref().is_some_and(|line| line.time != time) {
            lines.extend(slot.take());
        }
        let line = slot.get_or_insert_with(|| LogLine {
            time,
            source,
            pod: self.name.as_str().into(),
            text: Vec::new(),
        });
        line.text.extend_from_slice(text);
        while line.text.len() > MAX_LINE_BYTES {
            let rest = line.text.split_off(MAX_LINE_BYTES);
            let full = std::mem::replace(&mut line.text, rest);
            lines.push(LogLine {
                text: full,
                ..line.clone()
            });
        }
        if is_end {
            lines.extend(slot.take());
        }
        lines
    }
}

/// `2026-11-24T11:57:31.671706361Z text` in its parts.
fn split_time(frame: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let Some(space) = frame.iter().position(|byte| *byte == b' ') else {
        return (None, frame);
    };
    let (time, text) = frame.split_at(space);
    let time = std::str::from_utf8(time)
        .ok()
        .and_then(|time| time.parse().ok());
    match time {
        Some(time) => (Some(time), &text[1..]),
        None => (None, frame),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: [&str; 3] = [
        "2026-01-01T00:00:00.000000001Z",
        "2026-01-01T00:00:00.000000002Z",
        "2026-01-01T00:00:00.000000003Z",
    ];

    fn assembler() -> Assembler {
        Assembler::new(ReplicaName::from_label("web-0"))
    }

    fn out(time: usize, text: &str) -> Option<Result<LogOutput, Error>> {
        let message = format!("{} {text}", TIMES[time]).into();
        Some(Ok(LogOutput::StdOut { message }))
    }

    fn texts(lines: Vec<DriverResult<LogLine>>) -> Vec<String> {
        let text = |line: DriverResult<LogLine>| line.expect("a line").text;
        lines
            .into_iter()
            .map(|line| String::from_utf8(text(line)).expect("UTF-8"))
            .collect()
    }

    #[test]
    fn chunks_of_one_time_are_one_line() {
        let mut assembler = assembler();
        assert!(assembler.take(out(0, "one ")).is_empty());
        let err = LogOutput::StdErr {
            message: format!("{} warning\n", TIMES[1]).into(),
        };
        assert_eq!(texts(assembler.take(Some(Ok(err)))), ["warning"]);
        let lines = assembler.take(out(0, "line\r\n"));
        let time = lines[0].as_ref().expect("a line").time;
        assert_eq!(time.to_string(), TIMES[0]);
        assert_eq!(texts(lines), ["one line"]);
    }

    #[test]
    fn an_unfinished_line_is_not_glued_to_the_next_run() {
        let mut assembler = assembler();
        assert!(assembler.take(out(0, "crashed he")).is_empty());
        assert_eq!(
            texts(assembler.take(out(1, "started\n"))),
            ["crashed he", "started"]
        );
        assert!(assembler.take(out(2, "the end")).is_empty());
        assert_eq!(texts(assembler.take(None)), ["the end"]);
    }

    #[test]
    fn a_long_line_comes_in_parts_and_whole() {
        let mut assembler = assembler();
        let chunk = "x".repeat(16 << 10);
        let mut lines = Vec::new();
        for _ in 0..65 {
            lines.extend(texts(assembler.take(out(0, &chunk))));
        }
        lines.extend(texts(assembler.take(out(0, "end\n"))));
        assert_eq!(
            lines.iter().map(String::len).collect::<Vec<_>>(),
            [1 << 20, (16 << 10) + 3]
        );
    }

    #[test]
    fn the_engines_own_complaint_is_an_error() {
        let message = "\u{3}\0\0\0\0\0\0\u{1e}Error grabbing logs: unexpected EOF\n".into();
        let lines = assembler().take(Some(Ok(LogOutput::Console { message })));
        assert!(matches!(&lines[..], [Err(DriverError::Failed { .. })]));
    }
}

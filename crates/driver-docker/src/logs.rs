//! Output: frames of the engine become lines.
//!
//! The engine cuts a line into chunks of 16 KiB that all carry the time of the first, and ends only
//! the last with a line end. A process that ends in the middle of a line leaves a chunk without
//! one; the next run's first chunk has another time. So chunks are joined while their times agree.
//!
//! Guarantees: per source, lines come in the order in which they were written, each once; a line
//! beyond 1 MiB comes in parts of that length.
//! Caveat: an engine that rotates a file before its end was read goes on in the next one (20.10
//! does), so a replica that prints faster than it is read loses what was in between.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use futures_util::future;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use tose_api::Timestamp;
use tose_api::log::LogSource;
use tose_model::driver::{DriverError, DriverResult, ReplicaName};
use tose_model::log::LogLine;

use crate::DockerDriver;
use crate::engine::Session;
use crate::error::{failed, has_status, refused};
use crate::repeats::Repeats;

/// The most text of one line.
const MAX_LINE_BYTES: usize = 1 << 20;

/// How far back one looks for lines of one source that were written beside the other's newest.
const OVERLAP: Duration = Duration::from_millis(1);

/// After how long without output it is first looked whether a process has ended, and the longest pause
/// between two looks: they become longer, because most silent processes go on.
const FIRST_SILENCE: Duration = Duration::from_secs(5);
const LONGEST_SILENCE: Duration = Duration::from_secs(300);

type Frames = BoxStream<'static, Result<LogOutput, Error>>;

impl DockerDriver {
    pub(crate) async fn follow_logs(
        &self,
        name: &ReplicaName,
        since: Option<Timestamp>,
    ) -> DriverResult<BoxStream<'static, DriverResult<LogLine>>> {
        let Some(inspected) = self.find(name).await? else {
            return Err(DriverError::NotFound(format!("replica {name}")));
        };
        let session = self.engine.session().await?;
        let reader = Reader {
            phase: Phase::Following(frames(
                &session,
                &inspected.container.id,
                since,
                Extent::Run,
            )),
            is_live: inspected.pid().is_some(),
            silence: FIRST_SILENCE,
            container_id: inspected.container.id,
            session,
            assembler: Assembler::new(name.clone()),
        };
        let news = stream::unfold(reader, |mut reader| async move {
            let lines = reader.next().await?;
            Some((stream::iter(lines), reader))
        });
        let lines = news.flatten().filter(move |line| {
            let is_early = line.as_ref().is_ok_and(|line| Some(line.time) < since);
            future::ready(!is_early)
        });
        Ok(lines.boxed())
    }
}

/// The frames of a container from `since` on.
fn frames(
    session: &Session,
    container_id: &str,
    since: Option<Timestamp>,
    extent: Extent,
) -> Frames {
    // The client's own parameter has whole seconds, and not many of those.
    let nanos = since.map_or(0, Timestamp::as_nanos).max(0);
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let docker = session.docker_with(format!("since={seconds}.{rest:09}"));
    let options = LogsOptionsBuilder::default()
        .follow(extent == Extent::Run)
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .build();
    docker.logs(container_id, Some(options)).boxed()
}

/// How much of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What there is, and what comes until the process ends.
    Run,
    /// What there is.
    Kept,
}

/// Reads one run of a replica.
struct Reader {
    session: Session,
    container_id: String,
    assembler: Assembler,
    /// Whether there is a process to follow, so that there may be more when following ends.
    is_live: bool,
    /// How long nothing may come before it is looked whether the process has ended.
    silence: Duration,
    phase: Phase,
}

/// The next frame of a container that is followed. An engine that is asked in the moment in which the
/// process ends may never end the stream (20.10 does so): after a while without a frame it is looked.
async fn next_frame<T, F: Future<Output = bool>>(
    frames: &mut (impl Stream<Item = T> + Unpin),
    silence: &mut Duration,
    has_ended: impl Fn() -> F,
) -> Option<T> {
    loop {
        if let Ok(frame) = tokio::time::timeout(*silence, frames.next()).await {
            return frame;
        }
        if has_ended().await {
            return None;
        }
        *silence = silence.saturating_mul(2).min(LONGEST_SILENCE);
    }
}

/// Whether a container's process is known to have ended.
async fn has_ended(session: &Session, container_id: &str) -> bool {
    let docker = session.docker_with(String::new());
    let asked = docker.inspect_container(container_id, None::<InspectContainerOptions>);
    match tokio::time::timeout(FIRST_SILENCE, asked).await {
        Ok(Ok(found)) => found.state.and_then(|state| state.running) == Some(false),
        Ok(Err(error)) => has_status(&error, 404),
        Err(_) => false,
    }
}

enum Phase {
    Following(Frames),
    /// The engine ends a stream with the process, whether or not it had read all. What it had not
    /// is the end, and tells why the process ended, so it is asked for.
    CatchingUp(Frames),
    Over,
}

impl Reader {
    /// The next lines, if there may be any more.
    async fn next(&mut self) -> Option<Vec<DriverResult<LogLine>>> {
        let (session, id) = (&self.session, &self.container_id);
        let frame = match &mut self.phase {
            Phase::Following(frames) if self.is_live => {
                next_frame(frames, &mut self.silence, || has_ended(session, id)).await
            }
            Phase::Following(frames) | Phase::CatchingUp(frames) => frames.next().await,
            Phase::Over => return None,
        };
        if let Some(Ok(frame)) = frame {
            return Some(self.assembler.take(frame));
        }
        let mut lines: Vec<_> = self.assembler.finish().into_iter().map(Ok).collect();
        let is_following = matches!(self.phase, Phase::Following(_));
        self.phase = match frame {
            None if is_following && self.is_live => {
                let newest = self.assembler.newest();
                let since = newest.map(|time| time.saturating_sub(OVERLAP));
                Phase::CatchingUp(frames(
                    &self.session,
                    &self.container_id,
                    since,
                    Extent::Kept,
                ))
            }
            // It was removed, and its output with it.
            Some(Err(error)) if !is_following && has_status(&error, 404) => Phase::Over,
            Some(Err(error)) => {
                lines.push(Err(self.assembler.failed(error)));
                Phase::Over
            }
            _ => Phase::Over,
        };
        Some(lines)
    }
}

/// Joins the chunks of one replica.
struct Assembler {
    name: ReplicaName,
    stdout: Joined,
    stderr: Joined,
}

/// What came from one source.
#[derive(Debug, Default)]
struct Joined {
    unfinished: Option<LogLine>,
    /// Whether parts of the unfinished line are out already.
    has_parts: bool,
    repeats: Repeats,
}

impl Joined {
    /// Adds text to the line of `time`, whose rest may be out already.
    fn push(&mut self, line: LogLine) -> Vec<LogLine> {
        let mut lines = Vec::new();
        if self
            .unfinished
            .as_ref()
            .is_some_and(|unfinished| unfinished.time != line.time)
        {
            lines = self.finish();
        }
        let Some(unfinished) = &mut self.unfinished else {
            self.unfinished = Some(line);
            return lines;
        };
        unfinished.text.extend_from_slice(&line.text);
        while unfinished.text.len() > MAX_LINE_BYTES {
            let rest = unfinished.text.split_off(MAX_LINE_BYTES);
            let text = std::mem::replace(&mut unfinished.text, rest);
            let part = LogLine {
                text,
                pod: unfinished.pod.clone(),
                ..line
            };
            lines.extend(self.repeats.accept_part(part));
            self.has_parts = true;
        }
        lines
    }

    /// The line that nothing more belongs to, with those that waited for it.
    fn finish(&mut self) -> Vec<LogLine> {
        let has_parts = std::mem::take(&mut self.has_parts);
        match self.unfinished.take() {
            Some(line) if has_parts => self.repeats.accept_part(line),
            Some(line) => self.repeats.accept(line),
            None => Vec::new(),
        }
    }
}

impl Assembler {
    fn new(name: ReplicaName) -> Self {
        let (stdout, stderr) = (Joined::default(), Joined::default());
        Self {
            name,
            stdout,
            stderr,
        }
    }

    fn failed(&self, error: Error) -> DriverError {
        failed(format!("read the log of replica {}", self.name), error)
    }

    /// The time of the newest line.
    fn newest(&self) -> Option<Timestamp> {
        self.stdout
            .repeats
            .newest()
            .max(self.stderr.repeats.newest())
    }

    /// The lines that nothing ended.
    fn finish(&mut self) -> Vec<LogLine> {
        let mut lines = Vec::new();
        for joined in [&mut self.stdout, &mut self.stderr] {
            lines.extend(joined.finish());
            lines.extend(joined.repeats.rest());
        }
        lines
    }

    /// The lines that a frame finishes.
    fn take(&mut self, frame: LogOutput) -> Vec<DriverResult<LogLine>> {
        let (source, frame) = match frame {
            LogOutput::StdOut { message } => (LogSource::Stdout, message),
            LogOutput::StdErr { message } => (LogSource::Stderr, message),
            LogOutput::StdIn { .. } => return Vec::new(),
            LogOutput::Console { message } => {
                // The engine's own voice, when it cannot read the log any further.
                let said = String::from_utf8_lossy(&message);
                let said = said.trim_matches(|c: char| c.is_control() || c.is_whitespace());
                let operation = format!("read the log of replica {}", self.name);
                return vec![Err(refused(operation, said))];
            }
        };
        self.join(source, &frame).into_iter().map(Ok).collect()
    }

    fn join(&mut self, source: LogSource, frame: &[u8]) -> Vec<LogLine> {
        let pod = self.name.as_str().into();
        let joined = match source {
            LogSource::Stderr => &mut self.stderr,
            _ => &mut self.stdout,
        };
        let (time, text) = split_time(frame);
        // A chunk without a time cannot be told from more of the same line.
        let time = time
            .or(joined.unfinished.as_ref().map(|line| line.time))
            .unwrap_or(Timestamp::from_nanos(0));
        let (text, is_end) = match text.strip_suffix(b"\n") {
            Some(text) => (text.strip_suffix(b"\r").unwrap_or(text), true),
            None => (text, false),
        };
        let mut lines = joined.push(LogLine {
            time,
            source,
            pod,
            text: text.to_vec(),
        });
        if is_end {
            lines.extend(joined.finish());
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

    fn out(time: usize, text: &str) -> LogOutput {
        let message = format!("{} {text}", TIMES[time]).into();
        LogOutput::StdOut { message }
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
        assert_eq!(texts(assembler.take(err)), ["warning"]);
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
        assert_eq!(
            texts(assembler.finish().into_iter().map(Ok).collect()),
            ["the end"]
        );
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

    #[tokio::test]
    async fn a_stream_that_never_ends_is_over_when_its_process_is() {
        let looks = std::cell::Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            future::ready(looks.get() == 3)
        };
        let mut silence = Duration::from_millis(1);
        let mut silent = stream::pending::<u8>();
        assert_eq!(next_frame(&mut silent, &mut silence, look).await, None);
        assert_eq!(looks.get(), 3);
        assert_eq!(
            silence,
            Duration::from_millis(4),
            "the pauses become longer"
        );
        let mut one = stream::iter([7]);
        for expected in [Some(7), None] {
            let never = || -> future::Ready<bool> { panic!("nobody looks while frames come") };
            assert_eq!(next_frame(&mut one, &mut silence, never).await, expected);
        }
    }

    #[test]
    fn the_engines_own_complaint_is_an_error() {
        let message = "\u{3}\0\0\0\0\0\0\u{1e}Error grabbing logs: unexpected EOF\n".into();
        let lines = assembler().take(LogOutput::Console { message });
        assert!(matches!(&lines[..], [Err(DriverError::Failed { .. })]));
    }
}

//! Lines that the engine sends twice.
//!
//! When a log file is rotated while it is followed, the engine (20.10 at least) may open the new
//! file twice, and then sends again what it had read of it: a few lines, or a whole file when it
//! is behind. Such a block goes back in time and begins with a line that was sent before, so it has
//! times that were seen, to the nanosecond. A machine's clock that is set back also makes lines go
//! back in time, but not to times that were seen.
//!
//! Guarantees: no new line is left out, but for one with the very time and text of the line before.
//! While it is not clear which of the two a step back is, up to [`SAMPLING`] lines wait.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use tose_api::Timestamp;
use tose_model::log::LogLine;

/// So many times are remembered one by one, so that a short block is known by its first line.
const TAIL: usize = 64;
/// Of what was before those, the time of each 16th line is remembered: a longer block meets one.
const SAMPLING: usize = 16;
/// So many of these: a quarter of a million lines, which is more than a file of 10 MB has.
const MARKS: usize = 16 << 10;

/// What one source has sent.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    newest: Option<(Timestamp, u64)>,
    /// Growing times.
    tail: VecDeque<Timestamp>,
    /// Growing times, all before those of the tail.
    marks: VecDeque<Timestamp>,
    left_tail: usize,
    waiting: Vec<LogLine>,
    is_repeating: bool,
}

impl Repeats {
    /// The time of the newest line.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.newest.map(|(time, _)| time)
    }

    /// The lines that are new, now that there is this one.
    pub(crate) fn accept(&mut self, line: LogLine) -> Vec<LogLine> {
        if self.newest == Some(fingerprint(&line)) {
            return Vec::new();
        }
        if !self.is_step_back(line.time) {
            self.is_repeating = false;
            self.remember(&line);
            let mut lines = self.rest();
            lines.push(line);
            return lines;
        }
        if self.is_repeating || self.knows(line.time) {
            self.is_repeating = true;
            self.waiting.clear();
            return Vec::new();
        }
        self.waiting.push(line);
        if self.waiting.len() <= SAMPLING {
            return Vec::new();
        }
        self.begin_anew();
        self.rest()
    }

    /// The same for a part of a very long line, which is never remembered.
    pub(crate) fn accept_part(&mut self, part: LogLine) -> Vec<LogLine> {
        if self.is_repeating && self.is_step_back(part.time) {
            return Vec::new();
        }
        let mut lines = self.rest();
        lines.push(part);
        lines
    }

    /// The lines that waited, when nothing more can tell what they are.
    pub(crate) fn rest(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.waiting)
    }

    fn is_step_back(&self, time: Timestamp) -> bool {
        self.newest().is_some_and(|newest| time < newest)
    }

    fn knows(&self, time: Timestamp) -> bool {
        self.tail.binary_search(&time).is_ok() || self.marks.binary_search(&time).is_ok()
    }

    fn remember(&mut self, line: &LogLine) {
        self.newest = Some(fingerprint(line));
        self.tail.push_back(line.time);
        if self.tail.len() <= TAIL {
            return;
        }
        let left = self.tail.pop_front();
        self.left_tail += 1;
        if self.left_tail.is_multiple_of(SAMPLING) {
            self.marks.extend(left);
            if self.marks.len() > MARKS {
                self.marks.pop_front();
            }
        }
    }

    /// The clock was set back: what was before says nothing about what comes.
    fn begin_anew(&mut self) {
        self.tail.clear();
        self.marks.clear();
        self.newest = None;
        for line in std::mem::take(&mut self.waiting) {
            self.remember(&line);
            self.waiting.push(line);
        }
    }
}

fn fingerprint(line: &LogLine) -> (Timestamp, u64) {
    let mut hasher = DefaultHasher::new();
    line.text.hash(&mut hasher);
    (line.time, hasher.finish())
}

#[cfg(test)]
mod tests {
    use tose_api::log::LogSource;

    use super::*;

    /// What comes out of lines with these times (in microseconds) as texts.
    fn new_ones(times: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut repeats = Repeats::default();
        let mut lines = Vec::new();
        for time in times {
            lines.extend(repeats.accept(LogLine {
                time: Timestamp::from_nanos(time * 1_000),
                source: LogSource::Stdout,
                pod: "web-0".into(),
                text: time.to_string().into_bytes(),
            }));
        }
        lines.extend(repeats.rest());
        let number = |line: &LogLine| line.time.as_nanos() / 1_000;
        lines.iter().map(number).collect()
    }

    #[test]
    fn a_block_that_comes_again_is_left_out() {
        let short = [1, 2, 3, 2, 3, 4, 4, 5];
        assert_eq!(new_ones(short), [1, 2, 3, 4, 5]);
        for length in [1, 63, 64, 65, 100, 10_000, 140_000] {
            let times = (0..150_000).chain(150_000 - length..150_010);
            assert!(new_ones(times).into_iter().eq(0..150_010), "{length}");
        }
    }

    #[test]
    fn blocks_may_come_again_and_again() {
        let times = (0..1_000)
            .chain(200..1_500)
            .chain(700..1_400)
            .chain(1_499..1_600);
        assert!(new_ones(times).into_iter().eq(0..1_600));
    }

    #[test]
    fn lines_after_a_clock_was_set_back_are_kept() {
        let few = [10, 20, 11, 12, 21];
        assert_eq!(new_ones(few), few);
        let many: Vec<_> = (0..1_000)
            .map(|time| time * 10)
            .chain((0..900).map(|time| time * 10 + 5))
            .collect();
        assert_eq!(new_ones(many.clone()), many);
        let endless: Vec<_> = [10, 20, 11].into();
        assert_eq!(new_ones(endless.clone()), endless);
    }

    #[test]
    fn equal_times_are_told_apart_by_the_text() {
        let mut repeats = Repeats::default();
        let mut accept = |text: &str| {
            let line = LogLine {
                time: Timestamp::from_nanos(1),
                source: LogSource::Stdout,
                pod: "web-0".into(),
                text: text.into(),
            };
            repeats.accept(line).len()
        };
        assert_eq!([accept("a"), accept("b"), accept("b")], [1, 1, 0]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut repeats = Repeats::default();
        for nanos in 0..1_000_000 {
            let line = LogLine {
                time: Timestamp::from_nanos(nanos),
                source: LogSource::Stdout,
                pod: "web-0".into(),
                text: Vec::new(),
            };
            repeats.accept(line);
        }
        assert_eq!((repeats.tail.len(), repeats.marks.len()), (TAIL, MARKS));
    }
}

//! How much of a build's output is kept: the beginning, up to a limit, and the last lines.

use std::collections::VecDeque;

use crate::config::LogLimit;

/// How many of the last lines are kept beyond the limit: there the build says why it failed.
const LAST_LINES: usize = 100;
/// A line of these is cut at this many bytes.
const LAST_BYTES: usize = 4096;

/// What is left of it.
#[derive(Debug)]
pub(crate) struct LogBudget {
    limit: LogLimit,
    left: LogLimit,
    last: VecDeque<String>,
    dropped: u64,
    is_over: bool,
}

impl LogBudget {
    pub(crate) fn new(limit: LogLimit) -> Self {
        Self {
            limit,
            left: limit,
            last: VecDeque::new(),
            dropped: 0,
            is_over: false,
        }
    }

    /// The lines that go into the log now; with the first that does not fit, a line that says so.
    pub(crate) fn take(&mut self, lines: Vec<String>) -> Vec<String> {
        let mut kept = Vec::with_capacity(lines.len());
        for line in lines {
            let bytes = line.len() as u64;
            if !self.is_over && self.left.lines > 0 && bytes <= self.left.bytes {
                self.left.lines -= 1;
                self.left.bytes -= bytes;
                kept.push(line);
                continue;
            }
            if !self.is_over {
                self.is_over = true;
                kept.push(format!(
                    "the build wrote more than {} lines or {} MiB: what follows is left out, but for its last lines; the build goes on",
                    self.limit.lines,
                    self.limit.bytes >> 20
                ));
            }
            self.keep_last(line);
        }
        kept
    }

    fn keep_last(&mut self, mut line: String) {
        if let Some((end, _)) = line.char_indices().find(|(at, _)| *at >= LAST_BYTES) {
            line.truncate(end);
        }
        self.last.push_back(line);
        if self.last.len() > LAST_LINES {
            self.last.pop_front();
            self.dropped += 1;
        }
    }

    /// The last lines, when the build has ended.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.dropped > 0 {
            lines.push(format!("… {} lines are left out …", self.dropped));
        }
        self.dropped = 0;
        lines.extend(self.last.drain(..));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(from: u64, to: u64) -> Vec<String> {
        (from..to).map(|number| number.to_string()).collect()
    }

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        let limit = LogLimit {
            lines: 3,
            bytes: 1 << 20,
        };
        let mut budget = LogBudget::new(limit);
        assert_eq!(budget.take(lines(0, 2)), ["0", "1"]);
        let kept = budget.take(lines(2, 300));
        assert_eq!(kept.len(), 2);
        assert!(
            kept[1].starts_with("the build wrote more than 3 lines or 1 MiB"),
            "{kept:?}"
        );
        assert!(budget.take(lines(300, 310)).is_empty());
        let last = budget.finish();
        assert_eq!(last[0], "… 207 lines are left out …");
        assert_eq!(last[1..], lines(210, 310));
        assert!(budget.finish().is_empty());
    }

    #[test]
    fn bytes_count_too_and_nothing_is_said_when_all_fits() {
        let mut budget = LogBudget::new(LogLimit {
            lines: 10,
            bytes: 5,
        });
        assert_eq!(budget.take(vec!["12345".to_owned()]), ["12345"]);
        assert!(budget.finish().is_empty());
        assert_eq!(budget.take(vec!["x".to_owned()]).len(), 1);
        assert_eq!(budget.finish(), ["x"]);
    }
}

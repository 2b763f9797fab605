//! How much of a flood of output is kept.
//!
//! A project may print so many bytes a second, and for a while much more. What goes beyond is
//! counted and left out, and a line of the platform says how many lines that were: about once a
//! second while it lasts, and when the rest is kept again.
//!
//! Guarantee: every line that was left out is counted in exactly one such line, once
//! [`Flood::take_note`] was asked at the end.

use std::time::Duration;

use tose_api::Timestamp;
use tose_api::log::LogSource;
use tose_model::log::LogLine;

use crate::app::PLATFORM_POD;

/// How many seconds' worth of output may come at once.
const BURST_SECONDS: u64 = 16;
/// What a line counts besides its text, in bytes.
const LINE_BYTES: u64 = 32;
/// How often a flood that lasts is spoken of.
const NOTE_PERIOD: Duration = Duration::from_secs(1);

/// What a project may still print.
#[derive(Debug)]
pub(super) struct Flood {
    /// Bytes a second; 0: as many as it likes.
    rate: u64,
    /// Bytes that may come at once.
    available: u64,
    refilled_at: Timestamp,
    /// Whether lines are left out until there is room again for some.
    is_closed: bool,
    dropped: u64,
    dropped_bytes: u64,
    told_at: Timestamp,
}

impl Flood {
    pub(super) fn new(rate: u64, now: Timestamp) -> Self {
        Self {
            rate,
            available: rate * BURST_SECONDS,
            refilled_at: now,
            is_closed: false,
            dropped: 0,
            dropped_bytes: 0,
            told_at: now,
        }
    }

    /// The lines that are kept, with what is said of the others.
    pub(super) fn sift(&mut self, now: Timestamp, lines: Vec<LogLine>) -> Vec<LogLine> {
        if self.rate == 0 {
            return lines;
        }
        self.refill(now);
        let mut kept = Vec::with_capacity(lines.len());
        let mut last_time = None;
        for line in lines {
            last_time = Some(line.time);
            if self.admits(&line) {
                kept.extend(self.take_note(now, line.time));
                kept.push(line);
            } else {
                self.dropped += 1;
                self.dropped_bytes += line.text.len() as u64;
            }
        }
        if let Some(time) = last_time
            && now.since(self.told_at) >= NOTE_PERIOD
        {
            kept.extend(self.take_note(now, time));
        }
        kept
    }

    /// What is said of the lines that were left out and that nothing was said of.
    pub(super) fn take_note(&mut self, now: Timestamp, time: Timestamp) -> Option<LogLine> {
        if self.dropped == 0 {
            return None;
        }
        let lines = std::mem::take(&mut self.dropped);
        let kib = std::mem::take(&mut self.dropped_bytes).div_ceil(1024);
        self.told_at = now;
        let rate = self.rate / 1024;
        let text = format!(
            "{lines} lines ({kib} KiB) were left out here: the project printed more than {rate} KiB a second for too long"
        );
        Some(LogLine {
            time,
            source: LogSource::System,
            pod: PLATFORM_POD.into(),
            text: text.into_bytes(),
        })
    }

    fn refill(&mut self, now: Timestamp) {
        let elapsed = u64::try_from(now.since(self.refilled_at).as_millis()).unwrap_or(u64::MAX);
        let gained = self.rate.saturating_mul(elapsed) / 1000;
        if gained == 0 {
            return;
        }
        self.refilled_at = now;
        let full = self.rate * BURST_SECONDS;
        self.available = self.available.saturating_add(gained).min(full);
        // Not for every few bytes that come free: lines would be kept here and there.
        if self.available >= self.rate / 2 {
            self.is_closed = false;
        }
    }

    fn admits(&mut self, line: &LogLine) -> bool {
        let cost = line.text.len() as u64 + LINE_BYTES;
        self.is_closed |= cost > self.available;
        if !self.is_closed {
            self.available -= cost;
        }
        !self.is_closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    /// So many lines that count 1 KiB each.
    fn lines(count: usize) -> Vec<LogLine> {
        let line = |_| LogLine {
            time: at(7),
            source: LogSource::Stdout,
            pod: "web-1".into(),
            text: vec![b'x'; 1024 - LINE_BYTES as usize],
        };
        (0..count).map(line).collect()
    }

    /// How many of the lines are the app's, and what the platform says.
    fn split(lines: &[LogLine]) -> (usize, Vec<String>) {
        let is_ours = |line: &&LogLine| line.source == LogSource::System;
        let notes = lines.iter().filter(is_ours);
        let notes = notes.map(|line| String::from_utf8_lossy(&line.text).into_owned());
        let notes: Vec<_> = notes.collect();
        (lines.len() - notes.len(), notes)
    }

    #[test]
    fn a_burst_is_kept_and_what_goes_beyond_is_counted_once() {
        let mut flood = Flood::new(10 << 10, at(0));
        assert_eq!(split(&flood.sift(at(0), lines(161))), (160, Vec::new()));
        assert_eq!(split(&flood.sift(at(400), lines(50))), (0, Vec::new()));
        // Half a second's worth is free again.
        let (kept, notes) = split(&flood.sift(at(500), lines(7)));
        assert_eq!(kept, 5);
        assert!(
            notes[0].starts_with("51 lines (50 KiB) were left out"),
            "{notes:?}"
        );
        // While it lasts it is told of once a second.
        let (kept, notes) = split(&flood.sift(at(1500), lines(100)));
        assert_eq!(kept, 10);
        assert!(notes[0].starts_with("2 lines"), "{notes:?}");
        assert_eq!(notes.len(), 1);
        let note = flood.take_note(at(1600), at(9)).expect("90 lines");
        assert_eq!(note.time, at(9));
        assert!(note.text.starts_with(b"90 lines"));
        assert_eq!(flood.take_note(at(1600), at(9)), None);
    }

    #[test]
    fn a_project_that_prints_no_more_than_it_may_loses_nothing() {
        let mut flood = Flood::new(10 << 10, at(0));
        for second in 0..100 {
            let kept = flood.sift(at(second * 1000), lines(10));
            assert_eq!(split(&kept), (10, Vec::new()), "second {second}");
        }
        let mut unlimited = Flood::new(0, at(0));
        assert_eq!(unlimited.sift(at(0), lines(10_000)).len(), 10_000);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_and_takes_nothing() {
        let mut flood = Flood::new(10 << 10, at(10_000));
        assert_eq!(split(&flood.sift(at(5_000), lines(161))).0, 160);
        assert_eq!(split(&flood.sift(at(11_000), lines(11))).0, 10);
    }
}

//! Lines like those of web apps, the same in each run. Their ids are random, so that no store can
//! make them small.

use std::fmt::Write as _;

/// How many projects write.
pub(crate) const PROJECTS: u64 = 200;
/// A word that stands in ten lines.
pub(crate) const NEEDLE: &str = "qzneedle7f3a";
/// A regular expression that a ninth of all lines match, and the project in which they are counted.
pub(crate) const SLOW: &str = "duration_ms=8[0-9]{2} ";
pub(crate) const SLOW_PROJECT: u64 = 7;
/// The first line's time, in milliseconds: 2026-01-01.
const START_MS: u64 = 1_767_225_600_000;
const DAY_MS: u64 = 86_400_000;

pub(crate) struct Generator {
    lines: u64,
    next: u64,
    random: u64,
}

pub(crate) struct Line {
    pub(crate) time_ms: u64,
    pub(crate) project: u64,
    pub(crate) text: String,
}

impl Generator {
    pub(crate) fn new(lines: u64) -> Self {
        Self {
            lines,
            next: 0,
            random: 1,
        }
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.random;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(crate) fn next_line(&mut self) -> Option<Line> {
        if self.next == self.lines {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let (a, id) = (self.random(), self.random());
        let needle_every = (self.lines / 10).max(1);
        let text = if number % needle_every == needle_every / 2 {
            format!("level=warn msg=\"payment {NEEDLE} was sent again\" request_id={id:016x}")
        } else {
            text(a, id)
        };
        Some(Line {
            time_ms: START_MS + number * DAY_MS / self.lines,
            project: (a >> 48) % PROJECTS,
            text,
        })
    }

    /// JSON lines of about this many bytes; none at the end.
    pub(crate) fn next_body(&mut self, bytes: usize) -> Vec<u8> {
        let mut body = String::with_capacity(bytes + 512);
        while body.len() < bytes
            && let Some(line) = self.next_line()
        {
            let text = line.text.replace('"', "\\\"");
            let _ = writeln!(
                body,
                "{{\"_time\":{}000000,\"project\":\"{}\",\"_msg\":\"{text}\"}}",
                line.time_ms, line.project
            );
        }
        body.into_bytes()
    }
}

fn text(a: u64, id: u64) -> String {
    let number = a % 100_000;
    let took = (a >> 20) % 900;
    match a % 20 {
        0 => format!(
            "level=error msg=\"query failed: connection reset by peer\" table=orders attempt={} duration_ms={took} request_id={id:016x}",
            a % 5
        ),
        1 | 2 => format!(
            "level=warn msg=\"slow query\" table=users rows={number} duration_ms={took} plan=seq_scan request_id={id:016x}"
        ),
        3..=7 => format!(
            "level=info msg=\"job done\" queue=mail worker={} duration_ms={took} attempts=1 job_id={id:016x}",
            a % 16
        ),
        _ => format!(
            "level=info msg=request method=GET path=/api/orders/{number} status=200 bytes={} duration_ms={took} request_id={id:016x}",
            (a >> 30) % 20_000
        ),
    }
}

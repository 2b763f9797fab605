//! Uptime: what a check's outcome makes of a project's status, and what people are told of it.
//!
//! Pure: the caller supplies the time. Not here: how a check is made, and where its outcome is kept.

mod certificate;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tose_api::Timestamp;
use tose_api::uptime::UptimeStatus;

pub use certificate::{CertificateNews, CertificateWatch, ends_within};

/// How a project is, as far as its checks know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its status.
    pub status: UptimeStatus,
    /// Since when.
    pub since: Timestamp,
    /// How many checks in a row failed.
    pub failures: u32,
    /// Why it is down; `Some` exactly then.
    pub reason: Option<String>,
}

/// What is seen of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A check was good.
    Good,
    /// A check failed, for this reason.
    Failed(String),
    /// It is not checked any more.
    Paused,
    /// It is to be checked, and was not so far.
    Unknown,
}

/// What people are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It went down: an incident begins.
    Down {
        /// Why.
        reason: String,
    },
    /// It answers again: the incident ends.
    Up {
        /// How long it was down.
        after: Duration,
    },
}

impl Condition {
    /// Of a project that was never checked.
    pub fn new(now: Timestamp) -> Self {
        Self {
            status: UptimeStatus::Unknown,
            since: now,
            failures: 0,
            reason: None,
        }
    }

    /// The condition after this, and what people are told of it. An incident is open exactly while the status is
    /// `down`; one that ends because nobody checks any more ends silently.
    pub fn next(
        &self,
        seen: Seen,
        failures_before_down: u32,
        now: Timestamp,
    ) -> (Self, Option<Turn>) {
        match seen {
            Seen::Good => {
                let turn = (self.status == UptimeStatus::Down).then(|| Turn::Up {
                    after: now.since(self.since),
                });
                (self.turned(UptimeStatus::Up, now), turn)
            }
            Seen::Failed(reason) => self.failed(reason, failures_before_down, now),
            Seen::Paused => (self.turned(UptimeStatus::Paused, now), None),
            Seen::Unknown => (self.turned(UptimeStatus::Unknown, now), None),
        }
    }

    fn failed(&self, reason: String, most: u32, now: Timestamp) -> (Self, Option<Turn>) {
        let failures = self.failures.saturating_add(1);
        if self.status != UptimeStatus::Down && failures >= most {
            let next = Self {
                failures,
                reason: Some(reason.clone()),
                ..self.turned(UptimeStatus::Down, now)
            };
            return (next, Some(Turn::Down { reason }));
        }
        let next = Self {
            failures,
            reason: self.reason.as_ref().map(|_| reason),
            ..self.clone()
        };
        (next, None)
    }

    /// With this status and no failures; a status that it had already keeps its time.
    fn turned(&self, status: UptimeStatus, now: Timestamp) -> Self {
        Self {
            status,
            since: if self.status == status {
                self.since
            } else {
                now
            },
            failures: 0,
            reason: None,
        }
    }
}

/// The status codes of a good answer: codes, and classes such as `2xx`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedStatus(Vec<Pattern>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern {
    Code(u16),
    Class(u16),
}

/// The most codes and classes that can be named.
const MOST_PATTERNS: usize = 20;

impl ExpectedStatus {
    /// Whether an answer with this code is good.
    pub fn includes(&self, code: u16) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Code(expected) => code == *expected,
            Pattern::Class(class) => code / 100 == *class,
        })
    }
}

impl Default for ExpectedStatus {
    fn default() -> Self {
        Self(vec![Pattern::Class(2), Pattern::Class(3)])
    }
}

impl FromStr for ExpectedStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PROBLEM: &str = "must be status codes such as 200 and classes such as 2xx, twenty at most, with commas between them";
        let pattern = |text: &str| match text.strip_suffix("xx") {
            Some(class) => digits(class, 1, 1..=5).map(Pattern::Class),
            None => digits(text, 3, 100..=599).map(Pattern::Code),
        };
        let patterns: Option<Vec<_>> = text.split(',').map(|part| pattern(part.trim())).collect();
        match patterns {
            Some(patterns) if patterns.len() <= MOST_PATTERNS => Ok(Self(patterns)),
            _ => Err(PROBLEM),
        }
    }
}

fn digits(text: &str, count: usize, range: std::ops::RangeInclusive<u16>) -> Option<u16> {
    let is_plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain)?;
    range.contains(&number).then_some(number)
}

impl fmt::Display for ExpectedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pattern) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match pattern {
                Pattern::Code(code) => write!(f, "{comma}{code}")?,
                Pattern::Class(class) => write!(f, "{comma}{class}xx")?,
            }
        }
        Ok(())
    }
}

/// How many of `total` checks were good, in percent with three digits. It is cut, not rounded: 100 means all.
pub fn share(good: u64, total: u64) -> Option<String> {
    let thousandths = u128::from(good.min(total)) * 100_000;
    let share = thousandths.checked_div(u128::from(total))?;
    Some(format!("{}.{:03}", share / 1000, share % 1000))
}

/// When the first check of a monitor is due within its interval: somewhere, so that those that begin at once do not
/// go on together for ever. Many monitors with one interval are spread evenly over it.
pub fn first_delay(interval: Duration, random: u32) -> Duration {
    let nanos = (interval.as_nanos() * u128::from(random)) >> u32::BITS;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Checks are due at whole multiples of this, in milliseconds: those that are due together are made together, which
/// costs far less than to be woken for each.
const GRID_MS: i64 = 50;

/// When a check is due that is to be made at this time: then, or less than 50 ms before.
pub fn on_grid(time: Timestamp) -> Timestamp {
    let nanos = time.as_nanos();
    Timestamp::from_nanos(nanos - nanos.rem_euclid(GRID_MS * 1_000_000))
}

/// A time as people say it.
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// The longest message that Discord takes is 2000 characters; what is told needs less.
const MAX_DISCORD: usize = 1900;

/// A text that Discord shows as it is: without markdown, links of its own, or calls to people.
pub fn escape_for_discord(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars().filter(|char| !char.is_control()) {
        let length = escaped.len() + 2;
        if length > MAX_DISCORD {
            break;
        }
        if matches!(
            char,
            '\\' | '*'
                | '_'
                | '~'
                | '`'
                | '|'
                | '>'
                | '<'
                | '#'
                | '-'
                | '['
                | ']'
                | '('
                | ')'
                | '@'
                | ':'
        ) {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * SECOND)
    }

    /// What follows from these outcomes, a second apart: `+` good, `-` failed, `p` paused, `?` unknown. The answer
    /// has a letter for each status and `!` where people are told.
    fn walk(outcomes: &str, most: u32) -> String {
        let mut condition = Condition::new(at(0));
        let mut walked = String::new();
        for (second, outcome) in (1..).zip(outcomes.chars()) {
            let seen = match outcome {
                '+' => Seen::Good,
                '-' => Seen::Failed(format!("at {second}")),
                'p' => Seen::Paused,
                _ => Seen::Unknown,
            };
            let (next, turn) = condition.next(seen, most, at(second));
            assert_eq!(next.reason.is_some(), next.status == UptimeStatus::Down);
            assert_eq!(
                next.since == condition.since,
                next.status == condition.status
            );
            walked.push_str(&next.status.as_str()[..1]);
            walked.push_str(if turn.is_some() { "!" } else { "" });
            condition = next;
        }
        walked
    }

    #[test]
    fn it_is_down_after_failures_in_a_row_and_up_after_one_good_check() {
        for (outcomes, most, expected) in [
            ("++", 2, "uu"),
            ("+-+-+", 2, "uuuuu"),
            ("+----+", 2, "uud!ddu!"),
            ("-+", 1, "d!u!"),
            ("--", 2, "ud!"),
            ("---", 3, "uud!"),
            ("--p-p", 2, "ud!ppp"),
            ("--?+", 2, "ud!uu"),
            ("--p--+", 2, "ud!ppd!u!"),
        ] {
            assert_eq!(walk(outcomes, most), expected, "{outcomes}");
        }
    }

    #[test]
    fn turns_say_why_and_for_how_long() {
        let down = Condition::new(at(0)).next(Seen::Failed("no".to_owned()), 1, at(5));
        let reason = "no".to_owned();
        assert_eq!(down.1, Some(Turn::Down { reason }));
        let (other, turn) = down.0.next(Seen::Failed("other".to_owned()), 1, at(9));
        assert_eq!((other.since, turn), (at(5), None));
        assert_eq!(other.reason.as_deref(), Some("other"), "the newest one");
        let up = other.next(Seen::Good, 1, at(65)).1;
        let after = Duration::from_secs(60);
        assert_eq!(up, Some(Turn::Up { after }));
    }

    #[test]
    fn expected_codes_are_read_and_written() {
        for (text, good, bad) in [
            ("2xx,3xx", 302, 404),
            ("200", 200, 201),
            ("200, 5xx", 503, 404),
        ] {
            let expected: ExpectedStatus = text.parse().expect("valid");
            assert!(expected.includes(good) && !expected.includes(bad), "{text}");
            assert_eq!(expected.to_string().parse(), Ok(expected));
        }
        assert_eq!(ExpectedStatus::default().to_string(), "2xx,3xx");
        let many = ["200"; 21].join(",");
        for bad in [
            "",
            ",",
            "6xx",
            "2x",
            "99",
            "600",
            "+20",
            "0xx",
            "2xx,",
            many.as_str(),
        ] {
            assert!(bad.parse::<ExpectedStatus>().is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_are_cut_so_that_a_hundred_means_all() {
        for (good, total, expected) in [
            (0, 0, None),
            (0, 1, Some("0.000")),
            (1, 3, Some("33.333")),
            (999_999, 1_000_000, Some("99.999")),
            (u64::MAX - 1, u64::MAX, Some("99.999")),
            (7, 7, Some("100.000")),
        ] {
            assert_eq!(share(good, total).as_deref(), expected, "{good} of {total}");
        }
    }

    #[test]
    fn times_are_told_in_words() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (7380, "2 h 3 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn first_checks_lie_within_the_interval() {
        let interval = Duration::from_secs(60);
        assert_eq!(first_delay(interval, 0), Duration::ZERO);
        assert!(first_delay(interval, u32::MAX) < interval);
        assert_eq!(first_delay(interval, 1 << 31), interval / 2);
        let day = Duration::from_secs(86_400);
        assert!(
            first_delay(day, 1 << 12) > first_delay(day, 0),
            "finer than a second"
        );
    }

    #[test]
    fn checks_are_due_on_a_grid_that_every_interval_keeps() {
        let at = |millis: i64| Timestamp::from_nanos(millis * 1_000_000);
        for (time, due) in [(0, 0), (49, 0), (50, 50), (10_099, 10_050), (-1, -50)] {
            assert_eq!(on_grid(at(time)), at(due), "{time}");
        }
        let next = on_grid(at(1_234)).saturating_add(Duration::from_secs(10));
        assert_eq!(on_grid(next), next);
    }

    #[test]
    fn discord_is_given_nothing_to_interpret() {
        for (text, escaped) in [
            ("shop is down", "shop is down"),
            (
                "@everyone <@1> **b**",
                "\\@everyone \\<\\@1\\> \\*\\*b\\*\\*",
            ),
            ("[a](b)\n# c", "\\[a\\]\\(b\\)\\# c"),
        ] {
            assert_eq!(escape_for_discord(text), escaped);
        }
        assert!(escape_for_discord(&"*".repeat(5000)).len() <= MAX_DISCORD);
    }
}

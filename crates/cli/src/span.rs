//! Times and durations as people give them: `30s`, `10m`, `2h`, `1d`.
//!
//! A duration alone is a time in the past for [`Since`], which looks back, and none for [`When`], which looks ahead and
//! wants it marked: `+2h`.

use std::str::FromStr;
use std::time::Duration;

use tose_api::Timestamp;

use crate::clock;

/// A point in time: so long ago, or written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    Ago(Duration),
    At(Timestamp),
}

impl Since {
    /// The point in time, as seen from now.
    pub(crate) fn time(self) -> Timestamp {
        match self {
            Self::Ago(duration) => clock::now().saturating_sub(duration),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        let ago = parse(text).map(Self::Ago);
        ago.ok_or("a time is 30s, 10m, 2h, 1d or 2026-01-31T08:00:00Z")
    }
}

/// A point in time that may be to come: so long from now, or written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    In(Duration),
    At(Timestamp),
}

impl When {
    /// The point in time, as seen from `now`.
    pub(crate) fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(duration) => now.saturating_add(duration),
            Self::At(time) => time,
        }
    }
}

impl FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        let ahead = text.strip_prefix('+').or_else(|| text.strip_prefix("in "));
        if let Some(span) = ahead.map(str::trim_start).and_then(parse) {
            return Ok(Self::In(span));
        }
        match (text, parse(text)) {
            ("now", _) => Ok(Self::In(Duration::ZERO)),
            (_, Some(_)) => Err("from now on it is written with a plus, such as +2h"),
            (_, None) => Err("a time is 2026-01-31T22:00:00Z, +30m, +2h, +1d or 'in 2h'"),
        }
    }
}

/// A duration of whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) u32);

impl Seconds {
    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

impl FromStr for Seconds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let seconds = parse(text).and_then(|span| u32::try_from(span.as_secs()).ok());
        let problem = "a duration is 30s, 10m, 2h or 1d";
        seconds.map(Self).ok_or(problem)
    }
}

/// A duration of whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Millis(pub(crate) u32);

impl FromStr for Millis {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let millis = match text.strip_suffix("ms") {
            Some(number) => whole(number),
            None => parse(text).and_then(|span| u32::try_from(span.as_millis()).ok()),
        };
        millis.map(Self).ok_or("a duration is 500ms, 10s or 1m")
    }
}

fn parse(text: &str) -> Option<Duration> {
    let split = text.len().saturating_sub(1);
    let seconds = match text.get(split..)? {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let number = whole(text.get(..split)?)?;
    Some(Duration::from_secs(u64::from(number) * seconds))
}

fn whole(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_points_or_durations() {
        let ago = |seconds| Ok(Since::Ago(Duration::from_secs(seconds)));
        for (text, seconds) in [
            ("0s", 0),
            ("30s", 30),
            ("10m", 600),
            ("2h", 7200),
            ("1d", 86400),
        ] {
            assert_eq!(text.parse::<Since>(), ago(seconds));
        }
        assert_eq!(
            "1970-01-01T00:00:00Z".parse(),
            Ok(Since::At(Timestamp::from_nanos(0)))
        );
        for text in ["", "m", "10", "10x", "-1m", "+1m", "1.5h", "10é", "é"] {
            assert!(text.parse::<Since>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn times_to_come_are_points_or_marked_durations() {
        let (begin, now) = (Timestamp::from_nanos(0), Timestamp::from_nanos(7));
        for (text, seconds) in [
            ("now", 0),
            ("+30m", 1800),
            ("in 2h", 7200),
            ("in  1d", 86400),
        ] {
            let when: When = text.parse().expect(text);
            let span = Duration::from_secs(seconds);
            assert_eq!(when.time(now), now.saturating_add(span), "{text}");
        }
        for text in ["1970-01-01T00:00:00Z", "1970-01-01T07:00:00+07:00"] {
            assert_eq!(text.parse::<When>(), Ok(When::At(begin)), "{text}");
        }
        let unmarked = "2h".parse::<When>().expect_err("it may be past");
        assert_eq!(
            unmarked,
            "from now on it is written with a plus, such as +2h"
        );
        for text in [
            "",
            "+",
            "in",
            "in ",
            "+1.5h",
            "++1h",
            "-1h",
            "tomorrow",
            "2026-01-31",
            "in +1h",
        ] {
            assert!(text.parse::<When>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!("5m".parse(), Ok(Seconds(300)));
        assert_eq!("500ms".parse(), Ok(Millis(500)));
        assert_eq!("10s".parse(), Ok(Millis(10_000)));
        for text in ["", "5", "ms", "500ms", "1.5s", "999999d"] {
            assert!(text.parse::<Seconds>().is_err(), "{text:?}");
        }
        for text in ["", "5", "ms", "-1ms", "60d"] {
            assert!(text.parse::<Millis>().is_err(), "{text:?}");
        }
    }
}

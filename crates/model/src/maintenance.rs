//! Maintenances: when failures are expected.
//!
//! Pure: the caller supplies the time. A week is 168 hours, so what repeats stays at its time in UTC.
//! Not here: what it means for checks (`tose-server`'s `tasks/uptime.rs`), and of which projects it is.

use std::time::Duration;

use tose_api::Timestamp;
use tose_api::maintenance::{MaintenanceRepeat, MaintenanceTime};

use crate::error::{Error, Result};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// The longest that comes once.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// When a maintenance is: once, or each week from its first time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceTimes {
    /// The only time, or the first one.
    pub first: MaintenanceTime,
    /// Whether it comes again.
    pub repeat: Option<MaintenanceRepeat>,
}

impl MaintenanceTimes {
    /// Whether they can be planned at `now`.
    ///
    /// # Errors
    /// `Invalid`, with the field `ends_at`: an end that is not after the begin; a time that comes once, and is past or
    /// longer than 31 days; one that repeats, and would not be over when it comes again.
    pub fn check(self, now: Timestamp) -> Result<()> {
        let refuse = |problem: &str| Err(Error::invalid_field("ends_at", problem));
        let MaintenanceTime { starts_at, ends_at } = self.first;
        if ends_at <= starts_at {
            return refuse("must be after starts_at");
        }
        let span = ends_at.since(starts_at);
        match self.repeat {
            Some(MaintenanceRepeat::Weekly) if span >= WEEK => {
                refuse("must be less than a week after starts_at, as it repeats each week")
            }
            Some(MaintenanceRepeat::Weekly) => Ok(()),
            None if ends_at <= now => refuse("must be in the future"),
            None if span > LONGEST => refuse("must be at most 31 days after starts_at"),
            None => Ok(()),
        }
    }

    /// The time that is under way at `now`, or the next one after it; `None` once there is none any more.
    pub fn next(self, now: Timestamp) -> Option<MaintenanceTime> {
        let MaintenanceTime { starts_at, ends_at } = self.first;
        if now < ends_at {
            return Some(self.first);
        }
        let week = match self.repeat {
            Some(MaintenanceRepeat::Weekly) => i128::try_from(WEEK.as_nanos()).ok()?,
            None => return None,
        };
        let nanos = |time: Timestamp| i128::from(time.as_nanos());
        // Times may lie farther apart than such a number of nanoseconds tells.
        let begun = (nanos(now) - nanos(starts_at)).div_euclid(week);
        let is_over = nanos(now) >= nanos(ends_at) + begun * week;
        let ahead = (begun + i128::from(is_over)) * week;
        let later = |time: Timestamp| {
            let time = i64::try_from(nanos(time) + ahead);
            time.ok().map(Timestamp::from_nanos)
        };
        Some(MaintenanceTime {
            starts_at: later(starts_at)?,
            ends_at: later(ends_at)?,
        })
    }

    /// Whether it is under way at `at`: from its begin on, and before its end.
    pub fn covers(self, at: Timestamp) -> bool {
        self.next(at).is_some_and(|time| time.starts_at <= at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn times(begin: &str, end: &str, repeat: Option<MaintenanceRepeat>) -> MaintenanceTimes {
        let first = MaintenanceTime {
            starts_at: time(begin),
            ends_at: time(end),
        };
        MaintenanceTimes { first, repeat }
    }

    const WEEKLY: Option<MaintenanceRepeat> = Some(MaintenanceRepeat::Weekly);

    #[test]
    fn one_time_is_under_way_from_its_begin_to_its_end() {
        let once = times("2026-01-04T22:00:00Z", "2026-01-05T02:00:00Z", None);
        for (at, is_covered) in [
            ("2026-01-04T21:59:59.999999999Z", false),
            ("2026-01-04T22:00:00Z", true),
            ("2026-01-05T01:59:59.999999999Z", true),
            ("2026-01-05T02:00:00Z", false),
            ("2026-01-11T23:00:00Z", false),
        ] {
            assert_eq!(once.covers(time(at)), is_covered, "{at}");
        }
        assert_eq!(once.next(time("2026-01-01T00:00:00Z")), Some(once.first));
        assert_eq!(once.next(time("2026-01-05T01:00:00Z")), Some(once.first));
        assert_eq!(once.next(time("2026-01-05T02:00:00Z")), None);
    }

    #[test]
    fn one_that_repeats_is_under_way_at_the_same_time_of_each_week() {
        // A Sunday night, into Monday; over the end of a month, a leap day, and years.
        let weekly = times("2026-01-04T22:00:00Z", "2026-01-05T02:00:00Z", WEEKLY);
        for (at, is_covered) in [
            ("2025-12-28T23:00:00Z", false),
            ("2026-01-04T21:59:59.999999999Z", false),
            ("2026-01-04T22:00:00Z", true),
            ("2026-01-05T02:00:00Z", false),
            ("2026-01-07T23:00:00Z", false),
            ("2026-01-11T21:59:59.999999999Z", false),
            ("2026-01-11T22:00:00Z", true),
            ("2026-01-12T01:59:59.999999999Z", true),
            ("2026-01-12T02:00:00Z", false),
            ("2026-02-01T23:00:00Z", true),
            ("2028-02-29T01:00:00Z", false),
            ("2028-02-28T01:00:00Z", true),
            ("2036-01-06T23:00:00Z", true),
        ] {
            assert_eq!(weekly.covers(time(at)), is_covered, "{at}");
        }
        for (now, begin) in [
            ("2020-01-01T00:00:00Z", "2026-01-04T22:00:00Z"),
            ("2026-01-05T01:00:00Z", "2026-01-04T22:00:00Z"),
            ("2026-01-05T02:00:00Z", "2026-01-11T22:00:00Z"),
            ("2026-01-12T01:00:00Z", "2026-01-11T22:00:00Z"),
            ("2026-01-12T02:00:00Z", "2026-01-18T22:00:00Z"),
        ] {
            let next = weekly.next(time(now)).expect("it has no end");
            assert_eq!(next.starts_at, time(begin), "{now}");
            assert_eq!(next.ends_at.since(next.starts_at).as_secs(), 4 * 3600);
        }
    }

    #[test]
    fn what_cannot_be_planned_is_refused_with_what_to_do() {
        let now = time("2026-01-05T00:00:00Z");
        for (begin, end, repeat, problem) in [
            ("2026-01-04T00:00:00Z", "2026-01-06T00:00:00Z", None, None),
            ("2026-01-06T00:00:00Z", "2026-02-06T00:00:00Z", None, None),
            (
                "2026-01-06T00:00:00Z",
                "2026-02-06T00:00:01Z",
                None,
                Some("31 days"),
            ),
            (
                "2026-01-04T00:00:00Z",
                "2026-01-05T00:00:00Z",
                None,
                Some("future"),
            ),
            (
                "2026-01-06T00:00:00Z",
                "2026-01-06T00:00:00Z",
                None,
                Some("after starts_at"),
            ),
            (
                "2026-01-06T00:00:00Z",
                "2026-01-06T00:00:00Z",
                WEEKLY,
                Some("after starts_at"),
            ),
            ("2026-01-06T00:00:00Z", "2026-01-12T23:59:59Z", WEEKLY, None),
            (
                "2026-01-06T00:00:00Z",
                "2026-01-13T00:00:00Z",
                WEEKLY,
                Some("less than a week"),
            ),
            ("2025-01-05T00:00:00Z", "2025-01-05T01:00:00Z", WEEKLY, None),
        ] {
            let checked = times(begin, end, repeat).check(now);
            let found = checked.err().map(|error| error.to_string());
            let is_right = match (&found, problem) {
                (Some(found), Some(problem)) => found.contains(problem),
                (found, problem) => found.is_none() && problem.is_none(),
            };
            assert!(is_right, "{begin} to {end}, {repeat:?}: {found:?}");
        }
    }

    #[test]
    fn the_ends_of_time_are_no_trouble() {
        let (begin, end) = (
            Timestamp::from_nanos(i64::MIN),
            Timestamp::from_nanos(i64::MAX),
        );
        let first = MaintenanceTime {
            starts_at: begin,
            ends_at: begin.saturating_add(Duration::from_secs(1)),
        };
        let weekly = MaintenanceTimes {
            first,
            repeat: WEEKLY,
        };
        assert!(weekly.covers(begin));
        assert!(weekly.next(Timestamp::from_nanos(0)).is_some());
        assert_eq!(weekly.next(end), None, "no later week can be told");
    }

    proptest! {
        /// What the arithmetic says is what going through the weeks says.
        #[test]
        fn weeks_are_counted_as_if_one_by_one(begin in 0_i64..2_000_000, span in 1_i64..604_800, at in 0_i64..8_000_000) {
            let second = |number: i64| Timestamp::from_nanos(number * 1_000_000_000);
            let first = MaintenanceTime { starts_at: second(begin), ends_at: second(begin + span) };
            let weekly = MaintenanceTimes { first, repeat: WEEKLY };
            let mut weeks = (0..).map(|week| begin + week * 604_800);
            let next = weeks.find(|begin| at < begin + span).expect("there is always a next");
            prop_assert_eq!(weekly.next(second(at)).map(|time| time.starts_at), Some(second(next)));
            prop_assert_eq!(weekly.covers(second(at)), next <= at);
        }
    }
}

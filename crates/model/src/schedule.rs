//! When schedules are due.

use cronexpr::{Crontab, MakeTimestamp, parse_crontab};
use tose_api::{JobId, ProjectId, Slug, Timestamp, WorkspaceId};

use crate::error::{Error, Result};

/// How many fields a cron expression has, and how many characters at most.
const FIELDS: usize = 5;
const MAX_LENGTH: usize = 100;

/// A cron expression on the clock of a time zone.
#[derive(Debug, Clone)]
pub struct Cron(Crontab);

impl Cron {
    /// Reads minute, hour, day of the month, month and day of the week; `timezone` is a name of the
    /// IANA's database, and a time that does not come on a day, because summer time begins, is left out on it.
    ///
    /// # Errors
    /// `Invalid`, with the field: text that is no such expression, and an unknown time zone.
    pub fn parse(cron: &str, timezone: &str) -> Result<Self> {
        let refuse = |problem: &str| Error::invalid_field("cron", problem.to_owned());
        let usual = "must have five fields (minute, hour, day of the month, month, day of the week), such as `30 3 * * *`";
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" *,-/#?".contains(&byte);
        if cron.split(' ').filter(|field| !field.is_empty()).count() != FIELDS
            || !cron.bytes().all(is_plain)
            || cron.len() > MAX_LENGTH
        {
            return Err(refuse(usual));
        }
        parse_crontab(&format!("{cron} UTC"))
            .map_err(|_| refuse(usual))?
            .find_next(MakeTimestamp::from_second(0).map_err(|_| refuse(usual))?)
            .map_err(|_| refuse("names a day that never comes"))?;
        let is_zone = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
        let zone = Some(timezone).filter(|zone| zone.bytes().all(is_zone) && !zone.is_empty());
        let parsed = zone.and_then(|zone| parse_crontab(&format!("{cron} {zone}")).ok());
        let parsed = parsed.ok_or_else(|| {
            Error::invalid_field(
                "timezone",
                "must be a name of the IANA's time zone database, such as Asia/Ho_Chi_Minh",
            )
        })?;
        Ok(Self(parsed))
    }

    /// The first time that it names after `after`; `None` where that is too far away to be told.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        const NANOS: i64 = 1_000_000_000;
        let seconds = after.as_nanos().div_euclid(NANOS);
        let next = self.0.find_next(MakeTimestamp::from_second(seconds).ok()?);
        let seconds = next.ok()?.timestamp().as_second();
        seconds.checked_mul(NANOS).map(Timestamp::from_nanos)
    }
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// Its name, unique in the project.
    pub name: Slug,
    /// When it runs; see [`Cron::parse`].
    pub cron: String,
    /// Whose clock that is.
    pub timezone: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long a run may take, in seconds.
    pub timeout_seconds: u32,
    /// When it is due; `None` while it is switched off.
    pub next_at: Option<Timestamp>,
    /// Its newest job.
    pub last_job: Option<JobId>,
    /// The last time that it was due and did not run, and why.
    pub last_skip: Option<(Timestamp, String)>,
    /// Who set it: an e-mail address.
    pub updated_by: String,
    /// When.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, timezone: &str, after: &str) -> String {
        let cron = Cron::parse(cron, timezone).expect("an expression");
        let after = after.parse().expect("a time");
        cron.next_after(after).expect("a time").to_string()
    }

    #[test]
    fn the_next_time_is_told_on_the_clock_of_its_zone() {
        for (cron, zone, after, expected) in [
            (
                "30 3 * * *",
                "UTC",
                "2026-01-01T03:30:00Z",
                "2026-01-02T03:30:00Z",
            ),
            (
                "30 3 * * *",
                "UTC",
                "2026-01-01T03:29:59.9Z",
                "2026-01-01T03:30:00Z",
            ),
            (
                "0 9 * * MON-FRI",
                "Asia/Ho_Chi_Minh",
                "2026-01-02T03:00:00Z",
                "2026-01-05T02:00:00Z",
            ),
            (
                "*/15 * * * *",
                "UTC",
                "2026-01-01T00:15:00.5Z",
                "2026-01-01T00:30:00Z",
            ),
            (
                "0 0 29 2 *",
                "UTC",
                "2026-01-01T00:00:00Z",
                "2028-02-29T00:00:00Z",
            ),
            // The hour from two to three does not come on this day.
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                "2026-03-30T00:30:00Z",
            ),
        ] {
            assert_eq!(next(cron, zone, after), expected, "{cron} {zone}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for cron in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "a b c d e",
            "0 0 31 2 *",
            "@daily",
            "* * * * UTC\n",
        ] {
            assert!(Cron::parse(cron, "UTC").is_err(), "{cron:?}");
        }
        for zone in ["", "Mars/Olympus", "UTC UTC", "../etc/passwd"] {
            let error = Cron::parse("* * * * *", zone).expect_err("refused");
            assert!(
                format!("{error:?}").contains("timezone"),
                "{zone:?}: {error:?}"
            );
        }
    }
}

//! What people are told of the end of a certificate that checks meet. Pure: the caller supplies the time.

use std::time::Duration;

use tose_api::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is known of the certificate that a project's address shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CertificateWatch {
    /// When it ends; `None` if none was met so far.
    pub expires_at: Option<Timestamp>,
    /// Whether people were told that this is soon.
    pub is_told: bool,
}

/// What people are told of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateNews {
    /// It ends soon, or has ended.
    Ends {
        /// When.
        at: Timestamp,
    },
    /// There is another one in its place, which does not end soon.
    Replaced {
        /// When that one ends.
        until: Timestamp,
    },
}

impl CertificateWatch {
    /// What is known after a check met a certificate that ends at `expires_at`, and what people are told: once when
    /// the end is less than `warn_days` away, and once when a newer certificate is there. With 0 days nobody is.
    pub fn next(
        self,
        expires_at: Timestamp,
        warn_days: u32,
        now: Timestamp,
    ) -> (Self, Option<CertificateNews>) {
        let is_told = ends_within(expires_at, warn_days, now);
        let is_other = self.expires_at != Some(expires_at);
        let news = match (self.is_told, is_told) {
            (false, true) => Some(CertificateNews::Ends { at: expires_at }),
            // The same certificate is told of no more when somebody asks for fewer days.
            (true, false) if is_other => Some(CertificateNews::Replaced { until: expires_at }),
            _ => None,
        };
        let next = Self {
            expires_at: Some(expires_at),
            is_told,
        };
        (next, news)
    }
}

/// Whether a certificate ends in less than so many days; never with 0.
pub fn ends_within(expires_at: Timestamp, days: u32, now: Timestamp) -> bool {
    days > 0 && expires_at < now.saturating_add(DAY * days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_nanos(number * 86_400_000_000_000)
    }

    #[test]
    fn people_are_told_once_of_an_end_and_once_of_what_follows_it() {
        let mut watch = CertificateWatch::default();
        // The day of the check, when its certificate ends, the days of the warning, and what is told.
        for (today, ends, days, expected) in [
            (0, 30, 14, None),
            (16, 30, 14, None),
            (17, 30, 14, Some(CertificateNews::Ends { at: day(30) })),
            (18, 30, 14, None),
            (31, 30, 14, None),
            // A newer one that ends soon as well is no end of it.
            (31, 35, 14, None),
            (
                32,
                100,
                14,
                Some(CertificateNews::Replaced { until: day(100) }),
            ),
            (33, 100, 14, None),
            (33, 100, 365, Some(CertificateNews::Ends { at: day(100) })),
            (33, 100, 14, None),
            (99, 100, 0, None),
            (101, 100, 0, None),
        ] {
            let (next, news) = watch.next(day(ends), days, day(today));
            assert_eq!(news, expected, "on day {today}");
            assert_eq!(next.expires_at, Some(day(ends)));
            watch = next;
        }
    }
}

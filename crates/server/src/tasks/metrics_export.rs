//! Metrics to the service that the operator named, every so often.
//!
//! Guarantees: what is sent are totals, so a round that the service did not take is made good by the next one; what
//! failed for the moment is tried again until then, with growing pauses. One request is in memory at a time, beside the
//! numbers of the round. A service that fails is logged once, and once when it takes everything again. Nobody waits
//! for it, the sampler least of all.
//! Caveat: a round of which the answer was lost is sent again; receivers know its points by their times.

use std::sync::Arc;
use std::time::Duration;

use tose_api::Timestamp;
use tose_model::drain::pause_after;

use crate::app::Platform;
use crate::app::metrics::seconds;
use crate::otlp::{Exporter, NotTaken};
use crate::telemetry::Subject;
use crate::telemetry::otlp::{Taken, encode};

/// How often it is looked whether the time has come.
const TICK: Duration = Duration::from_millis(250);
/// Of how many projects one request tells; each has 4 KB.
const SUBJECTS: usize = 200;
/// How many failures in a row are worth a message: two may be a service that is started again.
const NOTABLE: u32 = 3;
/// The longest time that a service may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(3_600);

pub(crate) async fn run(platform: Arc<Platform>) {
    let Some(exporter) = &platform.exporter else {
        return;
    };
    let period = i64::from(exporter.interval_seconds);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut newest = None;
    let mut round: Option<Round> = None;
    // Until when the service asked to be left alone: the next round heeds it as well.
    let mut rest_until: Option<Timestamp> = None;
    let mut health = Health::default();
    loop {
        tick.tick().await;
        let now = platform.now();
        let slot = seconds(now).div_euclid(period);
        // There is nothing to tell of projects before they were measured.
        if newest != Some(slot) && platform.rounds.newest().at.is_some() {
            newest = Some(slot);
            if round.take().is_some() {
                platform.telemetry.exported(false);
            }
            round = collect(&platform, now, rest_until.unwrap_or(now)).await;
        }
        let Some(going) = round.as_mut().filter(|round| round.due_at <= now) else {
            continue;
        };
        match going.bring(exporter).await {
            Ok(()) => {
                round = None;
                platform.telemetry.exported(true);
                if health.succeeded() {
                    tracing::info!("metrics are exported again");
                }
            }
            Err(not_taken) => {
                if health.failed(&not_taken) {
                    tracing::warn!(
                        problem = not_taken.problem,
                        "metrics are not exported; it is tried again"
                    );
                }
                if not_taken.is_refusal {
                    round = None;
                    platform.telemetry.exported(false);
                } else {
                    going.put_off(&platform, &not_taken);
                    rest_until = not_taken.retry_after.map(|_| going.due_at);
                }
            }
        }
    }
}

async fn collect(platform: &Platform, now: Timestamp, due_at: Timestamp) -> Option<Round> {
    match platform.telemetry_subjects(now).await {
        Ok(subjects) => Some(Round {
            subjects,
            taken: Taken {
                since: platform.telemetry.since(),
                at: now,
                installation: platform.installation.as_str().to_owned(),
            },
            sent: 0,
            failures: 0,
            refused: None,
            due_at,
        }),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "metrics could not be collected"
            );
            None
        }
    }
}

/// The numbers of a moment, on their way.
struct Round {
    subjects: Vec<Subject>,
    taken: Taken,
    /// Of how many subjects the service was told.
    sent: usize,
    /// How often in a row it did not take a request.
    failures: u32,
    /// Why the service refused a request for good.
    refused: Option<NotTaken>,
    /// When the next request is due.
    due_at: Timestamp,
}

impl Round {
    /// Sends what was not sent so far. A request that is refused keeps none of the others back.
    async fn bring(&mut self, exporter: &Exporter) -> Result<(), NotTaken> {
        while self.sent < self.subjects.len() {
            let end = (self.sent + SUBJECTS).min(self.subjects.len());
            let body = encode(&self.subjects[self.sent..end], &self.taken);
            match exporter.send(body).await {
                Ok(()) => {}
                Err(refused) if refused.is_refusal => self.refused = Some(refused),
                Err(passing) => return Err(passing),
            }
            (self.sent, self.failures) = (end, 0);
        }
        self.refused.take().map_or(Ok(()), Err)
    }

    fn put_off(&mut self, platform: &Platform, not_taken: &NotTaken) {
        self.failures = self.failures.saturating_add(1);
        let mut random = [0];
        platform.ids.fill(&mut random);
        let pause = pause_after(self.failures, random[0]);
        let wish = not_taken.retry_after.unwrap_or_default();
        self.due_at = platform
            .now()
            .saturating_add(pause.max(wish.min(LONGEST_WISH)));
    }
}

/// What the log was told of the service.
#[derive(Debug, Default)]
struct Health {
    failures: u32,
    is_logged: bool,
}

impl Health {
    /// Whether this failure is to be logged.
    fn failed(&mut self, not_taken: &NotTaken) -> bool {
        self.failures = self.failures.saturating_add(1);
        let is_notable = not_taken.is_refusal || self.failures >= NOTABLE;
        is_notable && !std::mem::replace(&mut self.is_logged, true)
    }

    /// Whether this success is to be logged.
    fn succeeded(&mut self) -> bool {
        std::mem::take(self).is_logged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_fails_is_logged_once_and_once_when_it_is_back() {
        let passing = NotTaken {
            problem: "the service answered 503".to_owned(),
            is_refusal: false,
            retry_after: None,
        };
        let refusal = NotTaken {
            is_refusal: true,
            ..passing.clone()
        };
        let mut health = Health::default();
        assert!(!health.succeeded());
        // Two failures may be a service that is started again.
        assert_eq!([(); 2].map(|()| health.failed(&passing)), [false; 2]);
        assert!(!health.succeeded());
        let failures = [(); 5].map(|()| health.failed(&passing));
        assert_eq!(failures, [false, false, true, false, false]);
        assert!(!health.failed(&refusal));
        assert!(health.succeeded());
        assert!(!health.succeeded());
        assert!(health.failed(&refusal));
        assert!(!health.failed(&refusal));
    }
}

//! What checks found, on its way into the store, and word of it to people once it is there.
//!
//! Guarantees: one write is under way at a time, so that all is written in the order in which it was found; checks do not
//! wait for it. People are told only of what counted. What cannot be written is tried again, the newest [`MOST_WAITING`].
//! Not here: what is told, and how (`tell`, `certificate`).

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tose_model::uptime::{CertificateNews, Turn};
use tose_store::{CheckOutcome, Monitor};

use super::certificate::announce_certificate;
use super::tell::{Subject, tell};
use crate::app::Platform;
use crate::tasks::Spawner;

/// How often what was found is written.
const PERIOD: Duration = Duration::from_secs(1);
/// How soon it is written that people are to be told.
const PROMPT: Duration = Duration::from_millis(100);
/// The most that waits to be written while the store takes nothing.
const MOST_WAITING: usize = 10_000;

/// What people are to be told once it is written.
pub(super) struct Word {
    pub(super) turn: Option<Turn>,
    pub(super) news: Option<CertificateNews>,
    pub(super) monitor: Arc<Monitor>,
    pub(super) subject: Subject,
}

struct Waiting {
    outcome: CheckOutcome,
    word: Option<Word>,
}

pub(super) struct Record {
    platform: Arc<Platform>,
    spawner: Spawner,
    waiting: Vec<Waiting>,
    /// Whether people are to be told of something that waits.
    is_urgent: bool,
    /// When the last write began.
    began: Instant,
    /// A write that is under way; it answers what it could not write.
    writing: Option<oneshot::Receiver<Vec<Waiting>>>,
}

impl Record {
    pub(super) fn new(platform: Arc<Platform>, spawner: Spawner) -> Self {
        Self {
            platform,
            spawner,
            waiting: Vec::new(),
            is_urgent: false,
            began: Instant::now(),
            writing: None,
        }
    }

    pub(super) fn add(&mut self, outcome: CheckOutcome, word: Option<Word>) {
        self.is_urgent |= word.is_some();
        self.waiting.push(Waiting { outcome, word });
        self.drop_oldest();
    }

    /// Begins to write what waits, if it has waited for long enough and nothing is being written.
    pub(super) fn write_if_due(&mut self) {
        let wait = if self.is_urgent { PROMPT } else { PERIOD };
        if self.waiting.is_empty() || self.writing.is_some() || self.began.elapsed() < wait {
            return;
        }
        self.began = Instant::now();
        self.is_urgent = false;
        let waiting = std::mem::take(&mut self.waiting);
        let (answer, writing) = oneshot::channel();
        self.writing = Some(writing);
        let (platform, spawner) = (Arc::clone(&self.platform), self.spawner.clone());
        self.spawner.spawn(async move {
            let left = write(platform, &spawner, waiting).await;
            // The receiver is gone only when the server is shutting down.
            let _ = answer.send(left);
        });
    }

    /// Waits until a write that is under way has ended; without one, for ever.
    pub(super) async fn ended(&mut self) {
        let Some(writing) = &mut self.writing else {
            return pending().await;
        };
        let left = writing.await.unwrap_or_default();
        self.writing = None;
        // Not sooner than usual, so that a full disk is not complained of ten times a second.
        self.waiting.splice(..0, left);
        self.drop_oldest();
    }

    fn drop_oldest(&mut self) {
        let excess = self.waiting.len().saturating_sub(MOST_WAITING);
        self.waiting.drain(..excess);
    }
}

/// Writes what waits and tells people what counted; answers what is to be tried again.
async fn write(platform: Arc<Platform>, spawner: &Spawner, waiting: Vec<Waiting>) -> Vec<Waiting> {
    let (outcomes, words): (Vec<_>, Vec<_>) = waiting
        .into_iter()
        .map(|one| (one.outcome, one.word))
        .unzip();
    let counted = match platform.store.note_outcomes(&outcomes).await {
        Ok(counted) => counted,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what checks found could not be written; it is tried again"
            );
            let both = outcomes.into_iter().zip(words);
            return both
                .map(|(outcome, word)| Waiting { outcome, word })
                .collect();
        }
    };
    for (word, counts) in words.into_iter().zip(counted) {
        let Some(word) = word.filter(|_| counts) else {
            continue;
        };
        let platform = Arc::clone(&platform);
        spawner.spawn(async move { word.say(&platform).await });
    }
    Vec::new()
}

impl Word {
    async fn say(self, platform: &Platform) {
        let (monitor, subject) = (&*self.monitor, &self.subject);
        if let Some(turn) = &self.turn {
            tell(platform, monitor, subject, turn).await;
        }
        if let Some(news) = self.news {
            announce_certificate(platform, monitor, subject, news).await;
        }
    }
}

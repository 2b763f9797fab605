//! A clock that stands still until it is moved.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tose_api::Timestamp;
use tose_model::Clock;
use tose_model::meter::Uptime;

/// Tells the time that it was last set to.
#[derive(Debug)]
pub struct ManualClock {
    time: AtomicI64,
    /// Nanoseconds since the machine's start.
    uptime: AtomicU64,
    boots: AtomicU64,
}

impl ManualClock {
    /// A clock that begins at 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::at(Timestamp::from_nanos(1_767_225_600_000_000_000))
    }

    /// A clock that begins at `time`.
    pub fn at(time: Timestamp) -> Self {
        Self {
            time: AtomicI64::new(time.as_nanos()),
            uptime: AtomicU64::new(3_600_000_000_000),
            boots: AtomicU64::new(0),
        }
    }

    /// Sets the time, also backwards: no time passes by that.
    pub fn set(&self, time: Timestamp) {
        self.time.store(time.as_nanos(), Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now().saturating_add(duration));
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.uptime.fetch_add(nanos, Ordering::SeqCst);
    }

    /// Starts the machine anew.
    pub fn reboot(&self) {
        self.boots.fetch_add(1, Ordering::SeqCst);
        self.uptime.store(0, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.time.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Uptime {
        Uptime {
            boot: self.boots.load(Ordering::SeqCst).to_string().into(),
            elapsed: Duration::from_nanos(self.uptime.load(Ordering::SeqCst)),
        }
    }
}

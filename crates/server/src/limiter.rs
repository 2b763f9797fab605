//! Rate limits: so many calls a minute, and so many at once.
//!
//! Guarantees: a key that is over its limit hurts no other; memory is bounded by the keys of the
//! last minutes. Limits are of this process and begin anew with it.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tose_model::Clock;
use tose_model::error::{Error, Result};

/// After how many questions keys that are back at their full allowance are forgotten.
const SWEEP_EVERY: u32 = 4096;

/// The platform's clock, as the limiter wants it: time since 1970. A clock that jumps back makes
/// nobody wait longer than the jump.
#[derive(Clone)]
struct LimiterClock(Arc<dyn Clock>);

impl clock::Clock for LimiterClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.now().as_nanos()).unwrap_or(0))
    }
}

/// One limit, counted for each key by itself.
pub(crate) struct Limiter<K: Hash + Eq + Clone> {
    inner: Option<RateLimiter<K, HashMapStateStore<K>, LimiterClock, NoOpMiddleware<Duration>>>,
    clock: LimiterClock,
    asked: AtomicU32,
    /// What there are too many of, for the message.
    what: &'static str,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// `per_minute` in the long run (0: no limit), `burst` at once.
    pub(crate) fn new(
        what: &'static str,
        per_minute: u32,
        burst: u32,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let clock = LimiterClock(Arc::clone(clock));
        let inner = NonZeroU32::new(per_minute).map(|per_minute| {
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::per_minute(per_minute).allow_burst(burst);
            RateLimiter::new(quota, HashMapStateStore::default(), clock.clone())
        });
        Self {
            inner,
            clock,
            asked: AtomicU32::new(0),
            what,
        }
    }

    /// Counts one for `key`.
    ///
    /// # Errors
    /// `RateLimited` when that is one too many; then it is not counted.
    pub(crate) fn count(&self, key: &K) -> Result<()> {
        let Some(inner) = &self.inner else {
            return Ok(());
        };
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            inner.retain_recent();
            inner.shrink_to_fit();
        }
        inner.check_key(key).map_err(|refused| {
            let now = clock::Clock::now(&self.clock);
            let wait = refused.wait_time_from(now);
            Error::RateLimited {
                message: format!("too many {}; try again in {} s", self.what, seconds(wait)),
                retry_after: wait,
            }
        })
    }
}

/// Whole seconds, at least one.
pub(crate) fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tose_testkit::ManualClock;

    #[test]
    fn a_key_over_its_limit_waits_and_hurts_no_other() {
        let manual = Arc::new(ManualClock::new());
        let clock: Arc<dyn Clock> = manual.clone();
        let limiter = Limiter::new("calls", 60, 3, &clock);
        for _ in 0..3 {
            limiter.count(&"a").expect("within the burst");
        }
        let Err(Error::RateLimited { retry_after, .. }) = limiter.count(&"a") else {
            panic!("one too many passed");
        };
        assert!(retry_after <= Duration::from_secs(1), "{retry_after:?}");
        limiter.count(&"b").expect("another key");
        manual.advance(Duration::from_secs(1));
        limiter.count(&"a").expect("a second later");
        limiter.count(&"a").expect_err("and only one");
    }

    #[test]
    fn no_limit_is_no_limit() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
        let limiter = Limiter::new("calls", 0, 1, &clock);
        for _ in 0..10_000 {
            limiter.count(&"a").expect("no limit");
        }
    }
}

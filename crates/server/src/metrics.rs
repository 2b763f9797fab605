//! What projects used and served over time: one file for each project, of a fixed size at most.
//!
//! Every sample is added to a slot of three rings: 10 s for a day, 1 min for a week, 1 h for a year.
//! The process may be killed at any moment, and the machine, too: what is lost then is the samples
//! of the last seconds.
//!
//! Not here: where samples come from (`tasks/sampler.rs`), and what callers are shown
//! (`app/metrics.rs`).

mod ring;
mod round;
mod sample;
mod store;

pub(crate) use ring::Ring;
pub(crate) use round::{Latest, Round, Rounds};
pub(crate) use sample::Sample;
pub(crate) use store::MetricsStore;

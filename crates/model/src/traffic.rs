//! What visitors asked of a project and got, in numbers that only grow.
//!
//! The data plane counts from its own start on, the control plane takes differences. Everything is
//! integer arithmetic, and adding saturates.

use std::net::IpAddr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tose_api::ProjectId;

/// One request, for the log of the project that asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRecord {
    /// The project whose host was asked.
    pub project_id: ProjectId,
    /// How long ago its answer had ended when this was fetched, in microseconds.
    pub ended_us_ago: u64,
    /// The visitor.
    pub address: IpAddr,
    /// `GET` and the like.
    pub method: String,
    /// As the visitor wrote it; this and the other texts hold what visitors choose, cut to 512 bytes.
    pub host: String,
    /// With its query.
    pub path: String,
    /// The answer's; 0 when the visitor left before.
    pub status: u16,
    /// Of the answer's body.
    pub sent_bytes: u64,
    /// From the request's head to the answer's end.
    pub took_us: u64,
    /// Where the visitor says to come from.
    pub referer: Option<String>,
    /// What the visitor says to be.
    pub user_agent: Option<String>,
}

impl AccessRecord {
    /// The most bytes that it takes in JSON, where one character may become six.
    pub fn max_json_len(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let texts = self.method.len()
            + self.host.len()
            + self.path.len()
            + length(&self.referer)
            + length(&self.user_agent);
        400 + 6 * texts
    }
}

/// The longest times that each bucket but the last holds, in microseconds: 0.5 ms to 120 s, in
/// steps that keep the ratio of neighbours at 2 or less.
pub const LATENCY_BOUNDS_US: [u64; 32] = [
    500,
    700,
    1_000,
    1_500,
    2_000,
    3_000,
    5_000,
    7_000,
    10_000,
    15_000,
    20_000,
    30_000,
    50_000,
    70_000,
    100_000,
    150_000,
    200_000,
    300_000,
    500_000,
    700_000,
    1_000_000,
    1_500_000,
    2_000_000,
    3_000_000,
    5_000_000,
    7_000_000,
    10_000_000,
    15_000_000,
    20_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
];

/// How many buckets there are: one for each bound, and one for what is beyond the last.
pub const LATENCY_BUCKETS: usize = LATENCY_BOUNDS_US.len() + 1;

/// A project's traffic since some beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests that came.
    pub requests: u64,
    /// Answers by the first digit of their status, 1xx to 5xx. One that a visitor did not wait for
    /// is none, so these may be fewer than the requests.
    pub by_class: [u64; 5],
    /// Bytes that visitors sent, heads and upgraded connections included.
    pub received_bytes: u64,
    /// Bytes that were sent to visitors, heads and upgraded connections included.
    pub sent_bytes: u64,
    /// How long answers took, from the request's head to the last byte.
    pub latency: Latency,
}

impl Traffic {
    /// The place of a status among the classes.
    pub fn class_of(status: u16) -> usize {
        usize::from((status / 100).clamp(1, 5)) - 1
    }

    /// Adds what another part of the data plane counted.
    pub fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        for (sum, count) in self.by_class.iter_mut().zip(other.by_class) {
            *sum = sum.saturating_add(count);
        }
        self.received_bytes = self.received_bytes.saturating_add(other.received_bytes);
        self.sent_bytes = self.sent_bytes.saturating_add(other.sent_bytes);
        self.latency.merge(&other.latency);
    }

    /// What came after `earlier`. Where any number is smaller than it was, counting has begun anew
    /// in between, and all of this came after.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.checked_since(earlier).unwrap_or_else(|| self.clone())
    }

    fn checked_since(&self, earlier: &Self) -> Option<Self> {
        let mut by_class = self.by_class;
        for (count, before) in by_class.iter_mut().zip(earlier.by_class) {
            *count = count.checked_sub(before)?;
        }
        Some(Self {
            requests: self.requests.checked_sub(earlier.requests)?,
            by_class,
            received_bytes: self.received_bytes.checked_sub(earlier.received_bytes)?,
            sent_bytes: self.sent_bytes.checked_sub(earlier.sent_bytes)?,
            latency: self.latency.checked_since(&earlier.latency)?,
        })
    }
}

/// How many answers took how long, in the buckets of [`LATENCY_BOUNDS_US`].
///
/// As JSON it is the list of the buckets' counts, up to the last that is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency([u64; LATENCY_BUCKETS]);

impl Default for Latency {
    fn default() -> Self {
        Self([0; LATENCY_BUCKETS])
    }
}

impl Latency {
    /// What these buckets hold.
    pub fn from_buckets(buckets: [u64; LATENCY_BUCKETS]) -> Self {
        Self(buckets)
    }

    /// What each bucket holds.
    pub fn buckets(&self) -> &[u64; LATENCY_BUCKETS] {
        &self.0
    }

    /// The bucket that a time belongs to.
    pub fn bucket_of(took: Duration) -> usize {
        let micros = took.as_nanos().div_ceil(1_000);
        LATENCY_BOUNDS_US.partition_point(|bound| u128::from(*bound) < micros)
    }

    /// Counts one answer.
    pub fn record(&mut self, took: Duration) {
        let count = &mut self.0[Self::bucket_of(took)];
        *count = count.saturating_add(1);
    }

    /// How many answers there were.
    pub fn count(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Adds what another part of the data plane counted.
    pub fn merge(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(count);
        }
    }

    /// What came after `earlier`, or all of this if counting has begun anew in between.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.checked_since(earlier).unwrap_or(*self)
    }

    fn checked_since(&self, earlier: &Self) -> Option<Self> {
        let mut buckets = self.0;
        for (count, before) in buckets.iter_mut().zip(earlier.0) {
            *count = count.checked_sub(before)?;
        }
        Some(Self(buckets))
    }

    /// The time within which so many thousandths of the answers came: 500 asks for the median.
    /// Within a bucket the answers count as spread evenly; those beyond the last bound as equal to
    /// it. `None` without any answer.
    pub fn quantile(&self, per_mille: u32) -> Option<Duration> {
        let total = u128::from(self.count());
        if total == 0 {
            return None;
        }
        let wanted = u128::from(per_mille.min(1_000));
        let mut rank = (total * wanted).div_ceil(1_000).max(1);
        let mut lower = 0;
        for (count, upper) in self.0.iter().zip(LATENCY_BOUNDS_US) {
            let count = u128::from(*count);
            if rank <= count {
                let width = u128::from(upper - lower);
                // Not more than the width, so it fits.
                let part = u64::try_from(width * rank / count).unwrap_or(0);
                return Some(Duration::from_micros(lower + part));
            }
            rank -= count;
            lower = upper;
        }
        Some(Duration::from_micros(lower))
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let used = self.0.iter().rposition(|count| *count > 0);
        self.0[..used.map_or(0, |last| last + 1)].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let counts = Vec::<u64>::deserialize(deserializer)?;
        let mut buckets = [0; LATENCY_BUCKETS];
        let used = buckets
            .get_mut(..counts.len())
            .ok_or_else(|| D::Error::invalid_length(counts.len(), &"at most 33 buckets"))?;
        used.copy_from_slice(&counts);
        Ok(Self(buckets))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros() -> impl Strategy<Value = u64> {
        // As many short times as long ones.
        (0_u32..28).prop_flat_map(|bits| 0..(1_u64 << bits))
    }

    fn latency(times: &[u64]) -> Latency {
        let mut latency = Latency::default();
        for time in times {
            latency.record(Duration::from_micros(*time));
        }
        latency
    }

    fn traffic() -> impl Strategy<Value = Traffic> {
        let small = 0_u64..1_000_000;
        let counts = (
            small.clone(),
            [(); 5].map(|()| small.clone()),
            small.clone(),
            small,
        );
        let times = proptest::collection::vec(micros(), 0..50);
        (counts, times).prop_map(
            |((requests, by_class, received_bytes, sent_bytes), times)| Traffic {
                requests,
                by_class,
                received_bytes,
                sent_bytes,
                latency: latency(&times),
            },
        )
    }

    #[test]
    fn a_time_belongs_to_the_first_bucket_that_is_long_enough() {
        for (time, bucket) in [
            (Duration::ZERO, 0),
            (Duration::from_micros(500), 0),
            (Duration::from_nanos(500_001), 1),
            (Duration::from_millis(100), 14),
            (Duration::from_secs(120), 31),
            (Duration::from_secs(121), 32),
            (Duration::MAX, 32),
        ] {
            assert_eq!(Latency::bucket_of(time), bucket, "{time:?}");
        }
        for pair in LATENCY_BOUNDS_US.windows(2) {
            assert!(pair[0] < pair[1] && pair[1] <= 2 * pair[0], "{pair:?}");
        }
    }

    #[test]
    fn quantiles_are_spread_over_their_bucket() {
        assert_eq!(Latency::default().quantile(500), None);
        let mut even = Latency::default();
        for _ in 0..100 {
            even.record(Duration::from_millis(4));
        }
        // All of them are between 3 and 5 ms, as far as is known.
        assert_eq!(even.quantile(500), Some(Duration::from_millis(4)));
        assert_eq!(even.quantile(1_000), Some(Duration::from_millis(5)));
        even.record(Duration::from_secs(500));
        assert_eq!(even.quantile(1_000), Some(Duration::from_secs(120)));
        assert_eq!(even.quantile(5_000), Some(Duration::from_secs(120)));
    }

    #[test]
    fn classes_are_the_first_digit() {
        for (status, class) in [(101, 0), (200, 1), (304, 2), (404, 3), (502, 4), (999, 4)] {
            assert_eq!(Traffic::class_of(status), class);
        }
    }

    #[test]
    fn as_json_it_is_short() {
        let mut traffic = Traffic::default();
        traffic.latency.record(Duration::from_millis(1));
        traffic.latency.record(Duration::from_millis(1));
        let json = serde_json::to_string(&traffic).unwrap();
        insta::assert_snapshot!(
            json,
            @r#"{"requests":0,"by_class":[0,0,0,0,0],"received_bytes":0,"sent_bytes":0,"latency":[0,0,2]}"#
        );
        let too_long = serde_json::to_string(&vec![1; LATENCY_BUCKETS + 1]).unwrap();
        assert!(serde_json::from_str::<Latency>(&too_long).is_err());
    }

    proptest! {
        #[test]
        fn a_quantile_is_in_the_bucket_of_the_time_that_it_stands_for(
            mut times in proptest::collection::vec(micros(), 1..200),
            per_mille in 1_u32..=1_000,
        ) {
            let found = latency(&times).quantile(per_mille).unwrap();
            times.sort_unstable();
            let rank = (times.len() * per_mille as usize).div_ceil(1_000);
            let exact = Duration::from_micros(times[rank - 1]);
            if Latency::bucket_of(exact) == LATENCY_BUCKETS - 1 {
                prop_assert_eq!(found, Duration::from_secs(120));
            } else {
                let buckets = [found, exact].map(Latency::bucket_of);
                // A bucket's own lower bound belongs to the one before.
                prop_assert!(buckets[0] == buckets[1] || buckets[0] + 1 == buckets[1]);
            }
        }

        #[test]
        fn quantiles_grow(times in proptest::collection::vec(micros(), 1..100)) {
            let latency = latency(&times);
            let found: Vec<_> = (0..=1_000).map(|part| latency.quantile(part)).collect();
            prop_assert!(found.is_sorted());
        }

        #[test]
        fn a_difference_is_what_was_added(before in traffic(), added in traffic()) {
            let mut after = before.clone();
            after.merge(&added);
            prop_assert_eq!(after.since(&before), added);
            prop_assert_eq!(after.since(&after), Traffic::default());
        }

        #[test]
        fn what_went_backwards_has_begun_anew(mut before in traffic(), after in traffic()) {
            before.requests = after.requests + 1;
            prop_assert_eq!(after.since(&before), after);
        }

        #[test]
        fn it_survives_the_way_to_json_and_back(traffic in traffic()) {
            let json = serde_json::to_string(&traffic).unwrap();
            prop_assert_eq!(serde_json::from_str::<Traffic>(&json).unwrap(), traffic);
        }
    }
}

//! What was measured of a project: sums that can be added up, and how they lie in a slot.
//!
//! A slot is little-endian: a CRC-32 of what follows, `samples`, the time in seconds since 1970, the
//! sums, the latency buckets as 32 bits each (saturating), and four bytes that are 0.

use tose_model::traffic::{LATENCY_BUCKETS, Latency};

/// The size of a slot.
pub(super) const SLOT_BYTES: usize = 216;
/// Part of every checksum: slots of another format read as absent.
const FORMAT: &[u8] = b"tose metrics 1";
const SUMS: usize = 8;
const TIME_AT: usize = 8;
const SUMS_AT: usize = 16;
const LATENCY_AT: usize = SUMS_AT + SUMS * 8;

/// Measurements of one moment or of many. Adding saturates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// At how many moments the replicas were measured.
    pub(crate) samples: u32,
    /// Thousandths of a core, of all replicas, added up over the moments.
    pub(crate) cpu_milli: u64,
    /// Bytes of memory, likewise.
    pub(crate) memory_bytes: u64,
    /// Replicas, likewise.
    pub(crate) replicas: u64,
    /// Bytes that the replicas received.
    pub(crate) network_received_bytes: u64,
    /// Bytes that the replicas sent.
    pub(crate) network_sent_bytes: u64,
    /// Requests that visitors made.
    pub(crate) requests: u64,
    /// Answers with a status of 500 and above.
    pub(crate) errors_5xx: u64,
    /// Bytes that were sent to visitors.
    pub(crate) sent_bytes: u64,
    /// How long answers took.
    pub(crate) latency: Latency,
}

impl Sample {
    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what was measured at other moments, or of another kind.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.samples = self.samples.saturating_add(other.samples);
        let more = other.sums();
        for (sum, more) in self.sums_mut().into_iter().zip(more) {
            *sum = sum.saturating_add(more);
        }
        self.latency.merge(&other.latency);
    }

    /// The slot of this sample at `time`, in seconds since 1970.
    pub(super) fn encode(&self, time: i64) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[4..TIME_AT].copy_from_slice(&self.samples.to_le_bytes());
        bytes[TIME_AT..SUMS_AT].copy_from_slice(&time.to_le_bytes());
        let sums = bytes[SUMS_AT..LATENCY_AT].chunks_exact_mut(8);
        for (place, sum) in sums.zip(self.sums()) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        let buckets = bytes[LATENCY_AT..].chunks_exact_mut(4);
        for (place, count) in buckets.zip(self.latency.buckets()) {
            let count = u32::try_from(*count).unwrap_or(u32::MAX);
            place.copy_from_slice(&count.to_le_bytes());
        }
        let checksum = checksum(&bytes);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// What a slot holds, with its time; `None` if it was never written, or not to its end.
    pub(super) fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<(i64, Self)> {
        if u32_at(bytes, 0) != checksum(bytes) {
            return None;
        }
        let mut sample = Self {
            samples: u32_at(bytes, 4),
            ..Self::default()
        };
        for (index, sum) in sample.sums_mut().into_iter().enumerate() {
            *sum = u64_at(bytes, SUMS_AT + index * 8);
        }
        let mut buckets = [0; LATENCY_BUCKETS];
        for (index, count) in buckets.iter_mut().enumerate() {
            *count = u64::from(u32_at(bytes, LATENCY_AT + index * 4));
        }
        sample.latency = Latency::from_buckets(buckets);
        let time = u64_at(bytes, TIME_AT).cast_signed();
        Some((time, sample))
    }

    fn sums(&self) -> [u64; SUMS] {
        let mut copy = self.clone();
        copy.sums_mut().map(|sum| *sum)
    }

    /// The sums in the order in which they are stored.
    fn sums_mut(&mut self) -> [&mut u64; SUMS] {
        [
            &mut self.cpu_milli,
            &mut self.memory_bytes,
            &mut self.replicas,
            &mut self.network_received_bytes,
            &mut self.network_sent_bytes,
            &mut self.requests,
            &mut self.errors_5xx,
            &mut self.sent_bytes,
        ]
    }
}

fn checksum(slot: &[u8; SLOT_BYTES]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(FORMAT);
    hasher.update(&slot[4..]);
    hasher.finalize()
}

fn u32_at(slot: &[u8; SLOT_BYTES], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&slot[at..at + 4]);
    u32::from_le_bytes(bytes)
}

fn u64_at(slot: &[u8; SLOT_BYTES], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&slot[at..at + 8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Samples small enough that many of them can be added.
    pub(in crate::metrics) fn samples() -> impl Strategy<Value = Sample> {
        let sums = [(); SUMS].map(|()| 0_u64..1_000_000);
        let latency = proptest::collection::vec((0..LATENCY_BUCKETS, 0_u64..1_000), 0..5);
        (0_u32..10, sums, latency).prop_map(|(samples, sums, latency)| {
            let mut sample = Sample {
                samples,
                ..Sample::default()
            };
            for (sum, value) in sample.sums_mut().into_iter().zip(sums) {
                *sum = value;
            }
            let mut buckets = [0; LATENCY_BUCKETS];
            for (index, count) in latency {
                buckets[index] = count;
            }
            sample.latency = Latency::from_buckets(buckets);
            sample
        })
    }

    #[test]
    fn a_slot_that_was_never_written_is_none() {
        assert_eq!(Sample::decode(&[0; SLOT_BYTES]), None);
        assert_eq!(Sample::decode(&[255; SLOT_BYTES]), None);
    }

    #[test]
    fn the_slot_has_room_for_everything_and_no_more() {
        assert_eq!(LATENCY_AT + LATENCY_BUCKETS * 4 + 4, SLOT_BYTES);
    }

    #[test]
    fn what_is_too_much_saturates() {
        let mut sample = Sample {
            cpu_milli: u64::MAX - 1,
            samples: u32::MAX,
            latency: Latency::from_buckets([u64::from(u32::MAX) - 1; LATENCY_BUCKETS]),
            ..Sample::default()
        };
        sample.merge(&sample.clone());
        assert_eq!((sample.cpu_milli, sample.samples), (u64::MAX, u32::MAX));
        let (_, stored) = Sample::decode(&sample.encode(0)).expect("a slot");
        assert_eq!(
            *stored.latency.buckets(),
            [u64::from(u32::MAX); LATENCY_BUCKETS]
        );
    }

    proptest! {
        #[test]
        fn a_sample_survives_the_way_into_a_slot_and_back(sample in samples(), time: i64) {
            prop_assert_eq!(Sample::decode(&sample.encode(time)), Some((time, sample)));
        }

        #[test]
        fn a_slot_with_a_wrong_bit_is_none(
            sample in samples(),
            time: i64,
            at in 0..SLOT_BYTES,
            bit in 0_u8..8,
        ) {
            let mut slot = sample.encode(time);
            slot[at] ^= 1 << bit;
            prop_assert_eq!(Sample::decode(&slot), None);
        }
    }
}

//! What was measured of a project: sums that can be added up, and how they lie in a slot.
//!
//! A slot is little-endian: a CRC-32 of what follows, `samples`, the time in seconds since 1970, the
//! wide sums as 64 bits each, the narrow ones and the latency buckets as 32 bits each (saturating).
//! Slots of format 1, which knew neither disk nor restarts, are of the same size and are still read;
//! one that is added to becomes one of format 2.

use tose_model::traffic::{LATENCY_BUCKETS, Latency};

/// The size of a slot.
pub(super) const SLOT_BYTES: usize = 216;
/// Part of every checksum: slots of a format that is not known read as absent.
const FORMAT: &[u8] = b"tose metrics 2";
const FORMAT_1: &[u8] = b"tose metrics 1";
const TIME_AT: usize = 8;
const SUMS_AT: usize = 16;
const WIDE: usize = 7;
const NARROW: usize = 3;
const NARROW_AT: usize = SUMS_AT + WIDE * 8;
const LATENCY_AT: usize = NARROW_AT + NARROW * 4;
/// Format 1 had eight wide sums, and then the buckets.
const SUMS_1: usize = 8;
const LATENCY_AT_1: usize = SUMS_AT + SUMS_1 * 8;

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
    /// The most bytes on the disk at any of the moments; 0 where that is not known. Not added up.
    pub(crate) disk_bytes: u64,
    /// How often the engine started replicas again after a crash.
    pub(crate) restarts: u64,
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
        let disk_bytes = self.disk_bytes.max(other.disk_bytes);
        let more = other.clone();
        for (sum, more) in self.wide_mut().into_iter().zip(more.wide()) {
            *sum = sum.saturating_add(more);
        }
        for (sum, more) in self.narrow_mut().into_iter().zip(more.narrow()) {
            *sum = sum.saturating_add(more);
        }
        self.disk_bytes = disk_bytes;
        self.latency.merge(&other.latency);
    }

    /// The slot of this sample at `time`, in seconds since 1970.
    pub(super) fn encode(&self, time: i64) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[4..TIME_AT].copy_from_slice(&self.samples.to_le_bytes());
        bytes[TIME_AT..SUMS_AT].copy_from_slice(&time.to_le_bytes());
        let wide = bytes[SUMS_AT..NARROW_AT].chunks_exact_mut(8);
        for (place, sum) in wide.zip(self.wide()) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        let narrow = self.narrow().into_iter().chain(*self.latency.buckets());
        let places = bytes[NARROW_AT..].chunks_exact_mut(4);
        for (place, count) in places.zip(narrow) {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            place.copy_from_slice(&count.to_le_bytes());
        }
        let checksum = checksum(FORMAT, &bytes);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// What a slot holds, with its time; `None` if it was never written, or not to its end.
    pub(super) fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<(i64, Self)> {
        let stored = u32_at(bytes, 0);
        let mut sample = Self {
            samples: u32_at(bytes, 4),
            ..Self::default()
        };
        let latency_at = if stored == checksum(FORMAT, bytes) {
            for (index, sum) in sample.wide_mut().into_iter().enumerate() {
                *sum = u64_at(bytes, SUMS_AT + index * 8);
            }
            for (index, sum) in sample.narrow_mut().into_iter().enumerate() {
                *sum = u64::from(u32_at(bytes, NARROW_AT + index * 4));
            }
            LATENCY_AT
        } else if stored == checksum(FORMAT_1, bytes) {
            for (index, sum) in sample.sums_1_mut().into_iter().enumerate() {
                *sum = u64_at(bytes, SUMS_AT + index * 8);
            }
            LATENCY_AT_1
        } else {
            return None;
        };
        let mut buckets = [0; LATENCY_BUCKETS];
        for (index, count) in buckets.iter_mut().enumerate() {
            *count = u64::from(u32_at(bytes, latency_at + index * 4));
        }
        sample.latency = Latency::from_buckets(buckets);
        let time = u64_at(bytes, TIME_AT).cast_signed();
        Some((time, sample))
    }

    fn wide(&self) -> [u64; WIDE] {
        let mut copy = self.clone();
        copy.wide_mut().map(|sum| *sum)
    }

    fn narrow(&self) -> [u64; NARROW] {
        [self.replicas, self.errors_5xx, self.restarts]
    }

    /// The sums that need 64 bits, in the order in which they are stored.
    fn wide_mut(&mut self) -> [&mut u64; WIDE] {
        [
            &mut self.cpu_milli,
            &mut self.memory_bytes,
            &mut self.network_received_bytes,
            &mut self.network_sent_bytes,
            &mut self.requests,
            &mut self.sent_bytes,
            &mut self.disk_bytes,
        ]
    }

    /// Those that 32 bits hold for an hour, likewise.
    fn narrow_mut(&mut self) -> [&mut u64; NARROW] {
        [&mut self.replicas, &mut self.errors_5xx, &mut self.restarts]
    }

    /// The sums of format 1, likewise.
    fn sums_1_mut(&mut self) -> [&mut u64; SUMS_1] {
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

fn checksum(format: &[u8], slot: &[u8; SLOT_BYTES]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(format);
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
        let sums = [(); WIDE + NARROW].map(|()| 0_u64..1_000_000);
        let latency = proptest::collection::vec((0..LATENCY_BUCKETS, 0_u64..1_000), 0..5);
        (0_u32..10, sums, latency).prop_map(|(samples, sums, latency)| {
            let mut sample = Sample {
                samples,
                ..Sample::default()
            };
            for (sum, value) in sample.wide_mut().into_iter().zip(sums) {
                *sum = value;
            }
            for (sum, value) in sample.narrow_mut().into_iter().zip(&sums[WIDE..]) {
                *sum = *value;
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
        assert_eq!(LATENCY_AT + LATENCY_BUCKETS * 4, SLOT_BYTES);
        assert_eq!(LATENCY_AT_1 + LATENCY_BUCKETS * 4 + 4, SLOT_BYTES);
    }

    /// A slot as servers wrote it that knew neither disk nor restarts.
    pub(in crate::metrics) fn encode_1(sample: &Sample, time: i64) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[4..TIME_AT].copy_from_slice(&sample.samples.to_le_bytes());
        bytes[TIME_AT..SUMS_AT].copy_from_slice(&time.to_le_bytes());
        let mut sample = sample.clone();
        for (index, sum) in sample.sums_1_mut().into_iter().enumerate() {
            let at = SUMS_AT + index * 8;
            bytes[at..at + 8].copy_from_slice(&sum.to_le_bytes());
        }
        for (index, count) in sample.latency.buckets().iter().enumerate() {
            let at = LATENCY_AT_1 + index * 4;
            let count = u32::try_from(*count).expect("a small count");
            bytes[at..at + 4].copy_from_slice(&count.to_le_bytes());
        }
        let checksum = checksum(FORMAT_1, &bytes);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn the_disk_is_not_added_up() {
        let disk = |disk_bytes| Sample {
            disk_bytes,
            ..Sample::default()
        };
        let mut sample = disk(5);
        sample.merge(&disk(9));
        sample.merge(&disk(0));
        assert_eq!(sample.disk_bytes, 9);
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
        fn a_slot_of_format_1_is_read_without_what_it_did_not_know(sample in samples(), time: i64) {
            let known = Sample { disk_bytes: 0, restarts: 0, ..sample.clone() };
            prop_assert_eq!(Sample::decode(&encode_1(&sample, time)), Some((time, known)));
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

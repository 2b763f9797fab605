//! A project's file: three rings of slots that are overwritten in turn.
//!
//! Guarantees: a slot says itself which time it holds, so a slot that was overwritten, torn by a
//! crash or damaged reads as absent and harms no other. The file is sparse: room is taken when
//! slots are used. A clock that jumps back overwrites newer slots in the places it needs, no more.
//! Assumptions: one writer at a time, and no reader while it writes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::metrics::sample::{SLOT_BYTES, Sample};

/// How finely a ring keeps time, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ring {
    slot_seconds: i64,
    slots: i64,
    /// How many slots of other rings come before it in the file.
    before: i64,
}

impl Ring {
    /// 10 s for a day.
    pub(crate) const DAY: Self = Self {
        slot_seconds: 10,
        slots: 8_640,
        before: 0,
    };
    const WEEK: Self = Self {
        slot_seconds: 60,
        slots: 10_080,
        before: Self::DAY.slots,
    };
    const YEAR: Self = Self {
        slot_seconds: 3_600,
        slots: 366 * 24,
        before: Self::WEEK.before + Self::WEEK.slots,
    };
    /// From the finest to the longest.
    pub(crate) const ALL: [Self; 3] = [Self::DAY, Self::WEEK, Self::YEAR];

    /// The ring to read steps of `step` seconds from, and the step that it can give, which is
    /// longer where times as old as `start` are not kept so finely any more.
    pub(crate) fn choose(start: i64, step: i64, now: i64) -> (Self, i64) {
        let finest = Self::ALL
            .iter()
            .position(|ring| ring.oldest(now) <= start)
            .unwrap_or(Self::ALL.len() - 1);
        // Of two that fit, the coarser has less to read.
        let fitting = Self::ALL[finest..]
            .iter()
            .rev()
            .find(|ring| step % ring.slot_seconds == 0);
        let ring = *fitting.unwrap_or(&Self::ALL[finest]);
        let slots = (step - 1).div_euclid(ring.slot_seconds) + 1;
        (ring, slots * ring.slot_seconds)
    }

    /// The begin of the oldest slot that is kept while `now` is written.
    fn oldest(self, now: i64) -> i64 {
        self.slot_of(now) - (self.slots - 1) * self.slot_seconds
    }

    /// The begin of the slot that a time belongs to.
    fn slot_of(self, time: i64) -> i64 {
        time.div_euclid(self.slot_seconds) * self.slot_seconds
    }

    /// The place of a slot in the ring.
    fn index(self, time: i64) -> i64 {
        time.div_euclid(self.slot_seconds).rem_euclid(self.slots)
    }

    /// Where in the file a place of the ring lies.
    fn offset(self, index: i64) -> u64 {
        (self.before + index).unsigned_abs() * SLOT_BYTES as u64
    }

    /// The places that hold a range of times, as one or two runs.
    fn runs(self, times: &Range<i64>) -> [Range<i64>; 2] {
        let first = times.start.div_euclid(self.slot_seconds);
        let end = times.end.saturating_sub(1).div_euclid(self.slot_seconds) + 1;
        let count = end.saturating_sub(first).max(0);
        if count >= self.slots {
            return [0..self.slots, 0..0];
        }
        let begin = first.rem_euclid(self.slots);
        let last = begin + count;
        [begin..last.min(self.slots), 0..(last - self.slots).max(0)]
    }
}

/// The file of one project, opened.
pub(super) struct RingFile(File);

impl RingFile {
    /// Opens a file to write to; an absent one is made.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map(Self)
    }

    /// Opens a file to read from, if there is one.
    pub(super) fn find(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds a sample at `time`, in seconds since 1970, to its slot in each ring.
    pub(super) fn add(&self, time: i64, sample: &Sample) -> io::Result<()> {
        for ring in Ring::ALL {
            let (begin, offset) = (ring.slot_of(time), ring.offset(ring.index(time)));
            let mut slot = [0; SLOT_BYTES];
            self.read(&mut slot, offset)?;
            let mut sum = match Sample::decode(&slot) {
                Some((time, before)) if time == begin => before,
                _ => Sample::default(),
            };
            sum.merge(sample);
            self.0.write_all_at(&sum.encode(begin), offset)?;
        }
        Ok(())
    }

    /// The slots of a ring that begin at these times, in seconds since 1970, oldest first.
    pub(super) fn slots(&self, ring: Ring, times: Range<i64>) -> io::Result<Vec<(i64, Sample)>> {
        let mut found = Vec::new();
        for run in ring.runs(&times) {
            let count = usize::try_from(run.end - run.start).unwrap_or(0);
            let mut bytes = vec![0; count * SLOT_BYTES];
            self.read(&mut bytes, ring.offset(run.start))?;
            let (slots, _) = bytes.as_chunks();
            let read = run.zip(slots).filter_map(|(index, slot)| {
                let (time, sample) = Sample::decode(slot)?;
                let is_in_place = ring.index(time) == index && times.contains(&time);
                is_in_place.then_some((time, sample))
            });
            found.extend(read);
        }
        found.sort_unstable_by_key(|(time, _)| *time);
        Ok(found)
    }

    /// Reads what there is; beyond the file's end there are zeros.
    fn read(&self, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.0.read_at(bytes, offset) {
                Ok(0) => break,
                Ok(count) => {
                    bytes = &mut bytes[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::MetadataExt;

    use proptest::prelude::*;

    use super::*;
    use crate::metrics::sample::tests::{encode_1, samples};

    const NOW: i64 = 1_767_225_600;
    const DAY: i64 = 86_400;

    fn file() -> (tempfile::TempDir, RingFile) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = RingFile::create(&dir.path().join("x.ring")).expect("a file");
        (dir, file)
    }

    fn requests(requests: u64) -> Sample {
        Sample {
            requests,
            ..Sample::default()
        }
    }

    /// What a ring is to hold: by place, the time that was last written there and its sum.
    #[derive(Default)]
    struct Model(BTreeMap<i64, (i64, Sample)>);

    impl Model {
        fn add(&mut self, ring: Ring, time: i64, sample: &Sample) {
            let number = time.div_euclid(ring.slot_seconds);
            let begin = number * ring.slot_seconds;
            let place = self.0.entry(number.rem_euclid(ring.slots)).or_default();
            if place.0 != begin {
                *place = (begin, Sample::default());
            }
            place.1.merge(sample);
        }

        fn slots(&self, times: &Range<i64>) -> Vec<(i64, Sample)> {
            let mut slots: Vec<_> = self.0.values().cloned().collect();
            slots.retain(|(time, _)| times.contains(time));
            slots.sort_by_key(|(time, _)| *time);
            slots
        }
    }

    /// Times around now, at the same moment again and again, and years apart; some before 1970.
    fn times() -> impl Strategy<Value = i64> {
        let near = [60, 2 * DAY, 10 * DAY, 800 * DAY];
        let near = near.map(|span| (NOW - span..NOW + span).boxed());
        prop_oneof![
            Just(NOW),
            proptest::strategy::Union::new(near),
            -100_000..100_000_i64,
        ]
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_model_holds(
            added in proptest::collection::vec((times(), samples()), 0..60),
            asked in proptest::collection::vec((times(), times()), 1..10),
        ) {
            let (_dir, file) = file();
            for (time, sample) in &added {
                file.add(*time, sample).expect("written");
            }
            for ring in Ring::ALL {
                let mut model = Model::default();
                for (time, sample) in &added {
                    model.add(ring, *time, sample);
                }
                for (start, end) in &asked {
                    let times = *start.min(end)..*end.max(start);
                    let found = file.slots(ring, times.clone()).expect("read");
                    prop_assert_eq!(found, model.slots(&times));
                }
            }
        }

        #[test]
        fn a_step_is_whole_slots_and_reaches_back_as_far_as_there_are(
            age in 0..900 * DAY,
            step in 10..100_000_i64,
        ) {
            let start = NOW - age;
            let (ring, given) = Ring::choose(start, step, NOW);
            prop_assert_eq!(given % ring.slot_seconds, 0);
            prop_assert!(given >= step && given - step < ring.slot_seconds);
            prop_assert!(ring.oldest(NOW) <= start || ring == Ring::YEAR);
        }
    }

    #[test]
    fn the_coarsest_ring_that_fits_is_read() {
        for (age, step, ring, given) in [
            (3_600, 10, Ring::DAY, 10),
            (3_600, 30, Ring::DAY, 30),
            (3_600, 15, Ring::DAY, 20),
            (3_600, 60, Ring::WEEK, 60),
            (DAY - 10, 10, Ring::DAY, 10),
            (DAY + 10, 10, Ring::WEEK, 60),
            (3 * DAY, 90, Ring::WEEK, 120),
            (3 * DAY, 7_200, Ring::YEAR, 7_200),
            (8 * DAY, 10, Ring::YEAR, 3_600),
            (9_999 * DAY, 3_601, Ring::YEAR, 7_200),
        ] {
            assert_eq!(Ring::choose(NOW - age, step, NOW), (ring, given));
        }
    }

    #[test]
    fn a_round_later_the_old_slots_are_gone() {
        let (_dir, file) = file();
        file.add(NOW, &requests(1)).expect("written");
        file.add(NOW + DAY, &requests(2)).expect("written");
        let read = |ring| file.slots(ring, NOW - DAY..NOW + 2 * DAY).expect("read");
        assert_eq!(read(Ring::DAY), [(NOW + DAY, requests(2))]);
        let both = [(NOW, requests(1)), (NOW + DAY, requests(2))];
        assert_eq!(read(Ring::WEEK), both);
        assert_eq!(read(Ring::YEAR), both);
    }

    #[test]
    fn a_clock_that_jumps_back_loses_only_what_it_overwrites() {
        let (_dir, file) = file();
        let all = || file.slots(Ring::DAY, i64::MIN..i64::MAX).expect("read");
        for minute in 0..10 {
            file.add(NOW + minute * 60, &requests(1)).expect("written");
        }
        // Back by less than the ring: the same slots go on.
        for minute in 5..7 {
            file.add(NOW + minute * 60, &requests(1)).expect("written");
        }
        assert_eq!(all().len(), 10);
        assert_eq!(all()[5], (NOW + 300, requests(2)));
        // Back by a whole round: two places are taken.
        for minute in 0..2 {
            let time = NOW - DAY + minute * 60;
            file.add(time, &requests(7)).expect("written");
        }
        let left = all();
        assert_eq!(left.len(), 10);
        assert_eq!(left[0], (NOW - DAY, requests(7)));
        assert_eq!(left[2], (NOW + 120, requests(1)));
        for time in [i64::MIN / 2, -1, 0, i64::MAX / 2] {
            file.add(time, &requests(1)).expect("written");
        }
    }

    #[test]
    fn damage_hits_the_slots_where_it_is_and_no_others() {
        let (dir, file) = file();
        let path = dir.path().join("x.ring");
        for slot in 0..5 {
            file.add(NOW + slot * 10, &requests(1)).expect("written");
        }
        let times = NOW..NOW + 50;
        let offset = |slot: i64| Ring::DAY.offset(Ring::DAY.index(NOW + slot * 10));
        let begins = || -> Vec<i64> {
            let slots = file.slots(Ring::DAY, times.clone()).expect("read");
            slots.iter().map(|(time, _)| (time - NOW) / 10).collect()
        };
        // A torn write: the first part of the slot is newer than the rest.
        let torn = requests(9).encode(NOW + 10);
        file.0
            .write_all_at(&torn[..32], offset(1))
            .expect("written");
        assert_eq!(begins(), [0, 2, 3, 4]);
        // A valid slot in the place of another.
        let moved = requests(9).encode(NOW + 10);
        file.0.write_all_at(&moved, offset(3)).expect("written");
        assert_eq!(begins(), [0, 2, 4]);
        // It is whole again once it is written to.
        file.add(NOW + 10, &requests(3)).expect("written");
        assert_eq!(begins(), [0, 1, 2, 4]);
        // The file ends in the middle of a slot.
        let cut = File::options().write(true).open(&path).expect("opened");
        cut.set_len(offset(2) + 7).expect("cut");
        assert_eq!(begins(), [0, 1]);
        std::fs::write(&path, "garbage").expect("written");
        assert_eq!(begins(), [0; 0]);
    }

    #[test]
    fn a_file_of_format_1_is_read_and_goes_on() {
        let (_dir, file) = file();
        let offset = Ring::DAY.offset(Ring::DAY.index(NOW));
        let old = encode_1(&requests(4), NOW);
        file.0.write_all_at(&old, offset).expect("written");
        let read = || file.slots(Ring::DAY, NOW..NOW + 20).expect("read");
        assert_eq!(read(), [(NOW, requests(4))]);
        let more = Sample {
            restarts: 2,
            disk_bytes: 7,
            ..requests(1)
        };
        file.add(NOW + 3, &more).expect("written");
        file.add(NOW + 10, &more).expect("written");
        let both = Sample {
            requests: 5,
            ..more.clone()
        };
        assert_eq!(read(), [(NOW, both), (NOW + 10, more)]);
    }

    #[test]
    fn a_file_is_as_large_as_what_it_holds() {
        let (dir, file) = file();
        file.add(NOW + 7 * DAY, &requests(1)).expect("written");
        let metadata = std::fs::metadata(dir.path().join("x.ring")).expect("a file");
        assert!(metadata.blocks() * 512 < 64 << 10, "{metadata:?}");
        assert!(metadata.len() < 6 << 20, "{metadata:?}");
        assert_eq!(metadata.mode() & 0o777, 0o600);
    }
}

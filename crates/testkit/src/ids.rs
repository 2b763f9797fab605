//! Ids that are the same in each run.

use std::sync::Mutex;

use tose_model::IdGen;
use uuid::{Builder, Uuid};

/// 2026-01-01T00:00:00Z, where the ids' own time begins.
const FIRST_MS: u64 = 1_767_225_600_000;

/// Makes valid UUIDv7s that grow, and bytes, all following from a seed. Nothing about it is random.
#[derive(Debug)]
pub struct SeededIds(Mutex<State>);

#[derive(Debug)]
struct State {
    seed: u64,
    made: u64,
}

impl SeededIds {
    /// Ids that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(State { seed, made: 0 }))
    }
}

impl State {
    /// SplitMix64: a few operations whose results look random.
    fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

impl IdGen for SeededIds {
    fn uuid(&self) -> Uuid {
        let mut state = self.0.lock().expect("nothing panics while it is held");
        let mut tail = [0; 10];
        state.fill(&mut tail);
        // One millisecond apart, so that they sort in the order in which they were made.
        let millis = FIRST_MS + state.made;
        state.made += 1;
        Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.0
            .lock()
            .expect("nothing panics while it is held")
            .fill(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_valid_distinct_growing_and_repeatable() {
        let make = |seed| {
            let ids = SeededIds::new(seed);
            std::iter::repeat_with(|| ids.uuid())
                .take(100)
                .collect::<Vec<_>>()
        };
        let ids = make(1);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(ids, make(1));
        assert_ne!(ids, make(2));
    }

    #[test]
    fn bytes_follow_from_the_seed() {
        let fill = |seed| {
            let mut bytes = [0; 13];
            SeededIds::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(fill(1), fill(1));
        assert_ne!(fill(1), fill(2));
    }
}

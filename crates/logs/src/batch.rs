//! Lines that several readers share.
//!
//! A reader that is up to date gets what is added from memory: the last batches of a stream that
//! somebody follows are kept for a moment, so that a thousand readers cost one. Whoever is too slow for that
//! reads the files.

use std::any::Any;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::Record;

/// How much text is kept for readers, in bytes.
const MAX_RECENT: usize = 512 << 10;

/// The most lines in a batch.
pub(crate) const MAX_LINES: usize = 1000;
/// A batch that has this many bytes of text takes no further line.
pub(crate) const FULL_BATCH: usize = 1 << 20;

/// Lines, at least one, numbered without a gap.
pub struct Batch {
    records: Vec<Record>,
    made: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Batch {
    pub(crate) fn new(records: Vec<Record>) -> Self {
        Self {
            records,
            made: OnceLock::new(),
        }
    }

    /// What readers make of the batch, made by the first of them. Every reader has to make the same type;
    /// `None` if another one was made.
    pub fn made<T: Send + Sync + 'static>(
        &self,
        make: impl FnOnce(&[Record]) -> T,
    ) -> Option<Arc<T>> {
        let made = self.made.get_or_init(|| Arc::new(make(&self.records)));
        Arc::clone(made).downcast().ok()
    }

    fn text_len(&self) -> usize {
        self.records
            .iter()
            .map(|record| record.line.text.len())
            .sum()
    }

    pub(crate) fn first_seq(&self) -> u64 {
        self.records.first().map_or(0, |record| record.seq)
    }

    /// The number after the last line.
    pub(crate) fn next_seq(&self) -> u64 {
        self.records.last().map_or(0, |record| record.seq + 1)
    }
}

impl Deref for Batch {
    type Target = [Record];

    fn deref(&self) -> &[Record] {
        &self.records
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.records).finish()
    }
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records
    }
}

impl Eq for Batch {}

/// The last batches of a stream, and where it ends.
#[derive(Default)]
pub(crate) struct Recent {
    batches: Mutex<Kept>,
    /// The number of the next line; 0 while only the files know.
    tip: AtomicU64,
}

#[derive(Default)]
struct Kept {
    batches: VecDeque<Arc<Batch>>,
    text_len: usize,
}

/// What memory knows of the lines from a number on.
pub(crate) enum Known {
    /// There is none yet.
    Nothing,
    /// The batch that begins with it, and whether it is the newest.
    Batch(Arc<Batch>, bool),
    /// One has to look into the files.
    Unknown,
}

impl Recent {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was added, by whoever adds to the stream.
    pub(crate) fn push(&self, records: Vec<Record>) {
        let mut kept = self.kept();
        let mut rest = records;
        while !rest.is_empty() {
            let len = batch_len(&rest);
            let later = rest.split_off(len);
            let batch = Batch::new(std::mem::replace(&mut rest, later));
            kept.text_len += batch.text_len();
            self.tip.store(batch.next_seq(), Ordering::Release);
            kept.batches.push_back(Arc::new(batch));
        }
        while kept.text_len > MAX_RECENT && kept.batches.len() > 1 {
            let oldest = kept.batches.pop_front();
            kept.text_len -= oldest.map_or(0, |batch| batch.text_len());
        }
    }

    /// Forgets everything: the files know.
    pub(crate) fn clear(&self) {
        let mut kept = self.kept();
        self.tip.store(0, Ordering::Release);
        *kept = Kept::default();
    }

    pub(crate) fn look(&self, next_seq: u64) -> Known {
        let tip = self.tip.load(Ordering::Acquire);
        if tip == 0 {
            return Known::Unknown;
        }
        if tip == next_seq {
            return Known::Nothing;
        }
        let kept = self.kept();
        let batches = &kept.batches;
        let index = batches.partition_point(|batch| batch.first_seq() < next_seq);
        match batches.get(index) {
            Some(batch) if batch.first_seq() == next_seq => {
                Known::Batch(Arc::clone(batch), index + 1 == batches.len())
            }
            _ => Known::Unknown,
        }
    }
}

/// How many of these lines go into one batch.
fn batch_len(records: &[Record]) -> usize {
    let mut text_len = 0;
    let fits = |record: &&Record| {
        let has_room = text_len < FULL_BATCH;
        text_len += record.line.text.len();
        has_room
    };
    records.iter().take(MAX_LINES).take_while(fits).count()
}

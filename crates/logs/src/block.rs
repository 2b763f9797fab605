//! The lines of one frame in memory.

use std::ops::Range;

use tose_api::Timestamp;
use tose_api::log::{LogLevel, LogSource};
use tose_model::log::LogLine;

use crate::Record;

/// Lines with numbers that follow each other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    first_seq: u64,
    pub(crate) pods: Vec<Box<str>>,
    pub(crate) lines: Vec<LineMeta>,
    /// The texts, one after the other.
    pub(crate) text: Vec<u8>,
}

/// What is known of a line besides its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineMeta {
    pub(crate) time: Timestamp,
    /// An index in the block's pods.
    pub(crate) pod: u32,
    pub(crate) source: LogSource,
    pub(crate) level: Option<LogLevel>,
    /// Where its text ends in the block's text. It begins where the one before ends.
    pub(crate) end: u32,
}

impl Block {
    pub(crate) fn new(first_seq: u64) -> Self {
        Self {
            first_seq,
            pods: Vec::new(),
            lines: Vec::new(),
            text: Vec::new(),
        }
    }

    pub(crate) fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The number of the line at `index`.
    pub(crate) fn seq(&self, index: usize) -> u64 {
        self.first_seq + index as u64
    }

    /// Where the text of the line at `index` is in the block's text.
    pub(crate) fn range(&self, index: usize) -> Range<usize> {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.lines[before].end as usize);
        start..self.lines[index].end as usize
    }

    pub(crate) fn text_of(&self, index: usize) -> &[u8] {
        &self.text[self.range(index)]
    }

    pub(crate) fn pod_of(&self, index: usize) -> &str {
        &self.pods[self.lines[index].pod as usize]
    }

    /// The line at `index`.
    pub(crate) fn record(&self, index: usize) -> Record {
        let meta = &self.lines[index];
        Record {
            seq: self.seq(index),
            level: meta.level,
            line: LogLine {
                time: meta.time,
                source: meta.source,
                pod: self.pod_of(index).into(),
                text: self.text_of(index).to_vec(),
            },
        }
    }

    /// The index of the line in whose text this offset is.
    pub(crate) fn index_at(&self, offset: usize) -> usize {
        self.lines
            .partition_point(|line| line.end as usize <= offset)
    }

    /// Adds lines of another block, from the one at `from` on, as long as they come next and there is room.
    /// Answers how many. A block without lines takes at least one that comes next.
    pub(crate) fn take_from(
        &mut self,
        other: &Self,
        from: usize,
        max_text: usize,
        max_lines: usize,
    ) -> usize {
        if self.seq(self.lines.len()) != other.seq(from) {
            return 0;
        }
        let start = other.range(from).start;
        let text_room = max_text.saturating_sub(self.text.len());
        let fits = |line: &&LineMeta| line.end as usize - start <= text_room;
        let fitting = other.lines[from..].iter().take_while(fits).count();
        let count = fitting.min(max_lines.saturating_sub(self.lines.len()));
        let count = count.max(usize::from(self.lines.is_empty()));
        self.push_lines(other, from..from + count, start);
        count
    }

    /// Adds lines of another block, whose texts begin there.
    fn push_lines(&mut self, other: &Self, lines: Range<usize>, start: usize) {
        let Some(last) = lines.clone().next_back() else {
            return;
        };
        let mut pods = vec![None; other.pods.len()];
        let shift = self.text.len();
        for meta in &other.lines[lines] {
            let pod = pods[meta.pod as usize]
                .get_or_insert_with(|| self.pod_index(&other.pods[meta.pod as usize]));
            let end = meta.end as usize - start + shift;
            self.lines.push(LineMeta {
                pod: *pod,
                end: u32::try_from(end).expect("a block's text is limited"),
                ..*meta
            });
        }
        let end = other.range(last).end;
        self.text.extend_from_slice(&other.text[start..end]);
    }

    fn pod_index(&mut self, name: &str) -> u32 {
        let known = self.pods.iter().rposition(|known| &**known == name);
        let index = known.unwrap_or_else(|| {
            self.pods.push(name.into());
            self.pods.len() - 1
        });
        u32::try_from(index).expect("a block has few pods")
    }
}

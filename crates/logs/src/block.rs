//! The lines of one frame in memory.

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
    pub(crate) fn range(&self, index: usize) -> std::ops::Range<usize> {
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

    /// Whether another line can follow: it comes next, and the block has room for it.
    pub(crate) fn takes(&self, seq: u64, len: usize, max_text: usize, max_lines: usize) -> bool {
        self.seq(self.lines.len()) == seq
            && self.text.len() + len <= max_text
            && self.lines.len() < max_lines
    }

    /// Adds the line at `index` of another block.
    pub(crate) fn push_from(&mut self, other: &Self, index: usize) {
        let meta = other.lines[index];
        let name = other.pod_of(index);
        let pod = match self.pods.iter().rposition(|known| &**known == name) {
            Some(pod) => pod,
            None => {
                self.pods.push(name.into());
                self.pods.len() - 1
            }
        };
        self.text.extend_from_slice(other.text_of(index));
        self.lines.push(LineMeta {
            pod: u32::try_from(pod).expect("a block has few pods"),
            end: u32::try_from(self.text.len()).expect("a block's text is limited"),
            ..meta
        });
    }
}

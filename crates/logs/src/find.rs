//! Finding lines: by time, text, level, source and pod, a page at a time.
//!
//! Guarantees: the pages of a query, each begun with the cursor of the one before, have every line that
//! fits once and in order, whatever is added or packed in between. A page takes a bounded time: one
//! that has looked through [`MAX_TEXT`] ends early, with a cursor.
//!
//! Not here: fetching segments from the far store (see `paging`).

use memchr::memmem;
use tose_api::Timestamp;
use tose_api::log::{LogLevel, LogSource};
use tose_model::log::Search;

use crate::Record;
use crate::block::Block;
use crate::error::Result;
use crate::filter;
use crate::frame::Span;
use crate::pack::{Unzip, Wanted};
use crate::query;
use crate::segment::{Frame, SegmentReader};
use crate::stream::{Segment, Stream, View};

/// How much text one page looks through, in bytes. It takes about a second.
const MAX_TEXT: usize = 1 << 30;
/// The most text in a page, in bytes, but for its last line.
pub(crate) const MAX_PAGE: usize = 16 << 20;

/// The order in which lines are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// The newest first.
    #[default]
    Backward,
    /// The oldest first.
    Forward,
}

/// Which lines are wanted. What is left out does not matter.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The order.
    pub direction: Direction,
    /// The number of a line to go on after, in the order of the query.
    pub cursor: Option<u64>,
    /// The earliest time.
    pub start: Option<Timestamp>,
    /// The time before which lines have to be.
    pub end: Option<Timestamp>,
    /// What has to be in the text.
    pub search: Search,
    /// The least level. A line that names none counts as `info`.
    pub level: Option<LogLevel>,
    /// Where it has to come from.
    pub source: Option<LogSource>,
    /// Who has to have written it.
    pub pod: Option<String>,
    /// The most lines of a page.
    pub limit: usize,
}

impl Query {
    /// Whether the query finds this line, wherever it is.
    pub fn finds(&self, record: &Record) -> bool {
        let line = &record.line;
        let lower = match self.search.is_empty() {
            true => Vec::new(),
            false => line.text.to_ascii_lowercase(),
        };
        let seen = Seen {
            time: line.time,
            source: line.source,
            level: record.level,
            pod: &line.pod,
            text: &line.text,
            lower: &lower,
        };
        self.fits(&seen)
    }

    fn fits(&self, seen: &Seen<'_>) -> bool {
        let level = seen.level.unwrap_or(LogLevel::Info);
        self.start.is_none_or(|start| seen.time >= start)
            && self.end.is_none_or(|end| seen.time < end)
            && self.source.is_none_or(|source| seen.source == source)
            && self.level.is_none_or(|least| level >= least)
            && self.pod.as_ref().is_none_or(|pod| seen.pod == pod)
            && (self.search.is_empty() || self.search.finds(seen.text, seen.lower))
    }

    /// Whether every line is wanted.
    pub fn is_everything(&self) -> bool {
        self.search.is_empty()
            && self.level.is_none()
            && self.source.is_none()
            && self.pod.is_none()
            && self.start.is_none()
            && self.end.is_none()
    }
}

/// A line as a query looks at it.
struct Seen<'a> {
    time: Timestamp,
    source: LogSource,
    level: Option<LogLevel>,
    pod: &'a str,
    text: &'a [u8],
    /// The text with its ASCII letters in lower case; empty if nothing is searched for.
    lower: &'a [u8],
}

/// Some of the lines that a query finds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The lines, in the order of the query.
    pub records: Vec<Record>,
    /// Where the next page begins; `None` if everything was looked at.
    pub cursor: Option<u64>,
}

/// What a look found, as far as no segment has to be fetched.
pub(crate) struct Found {
    pub(crate) page: Page,
    /// What has to be fetched before the next look, which begins at the page's cursor.
    pub(crate) wanted: Option<Segment>,
}

/// Looks until a segment has to be fetched, unless it is `fetched`, which was.
pub(crate) fn find(
    stream: &Stream,
    view: &View,
    query: &Query,
    fetched: Option<u32>,
) -> Result<Found> {
    let mut finder = Finder::new(query);
    let mut segments: Vec<_> = view.segments.iter().enumerate().collect();
    if query.direction == Direction::Backward {
        segments.reverse();
    }
    for (index, segment) in segments {
        if finder.passes_over(segment.first_seq, view.end_seq(index), segment.span) {
            continue;
        }
        if let Some(pod) = &query.pod
            && stream.far_lacks_pod(segment, pod)?
        {
            continue;
        }
        if Some(segment.number) != fetched && !stream.is_at_hand(segment)? {
            finder.stop_before(segment.first_seq, view.end_seq(index));
            return Ok(finder.ended(Some(segment.clone())));
        }
        if finder.look_through(stream, segment)? == Progress::Full {
            return Ok(finder.ended(None));
        }
    }
    finder.last_seen = None;
    Ok(finder.ended(None))
}

#[derive(PartialEq, Eq)]
enum Progress {
    /// There is room for more.
    Open,
    /// The page is complete.
    Full,
}

struct Finder<'a> {
    query: &'a Query,
    /// The hashes of the words that a line has to have.
    words: Vec<u64>,
    records: Vec<Record>,
    /// The number of the last line that was looked at.
    last_seen: Option<u64>,
    /// How much text was looked through, and how much was found.
    text: usize,
    found: usize,
    unzip: Unzip,
}

impl<'a> Finder<'a> {
    fn new(query: &'a Query) -> Self {
        Self {
            query,
            words: query
                .search
                .required_words()
                .iter()
                .map(|word| filter::hash(word))
                .collect(),
            records: Vec::new(),
            last_seen: query.cursor,
            text: 0,
            found: 0,
            unzip: Unzip::default(),
        }
    }

    /// Takes all lines as seen that are before a segment with these numbers (the end excluded), in the
    /// order of the query.
    fn stop_before(&mut self, first: u64, end: u64) {
        self.last_seen = Some(match (self.query.direction, self.last_seen) {
            (Direction::Forward, seen) => first.saturating_sub(1).max(seen.unwrap_or(0)),
            (Direction::Backward, seen) => end.min(seen.unwrap_or(end)),
        });
    }

    fn ended(self, wanted: Option<Segment>) -> Found {
        Found {
            page: Page {
                records: self.records,
                cursor: self.last_seen,
            },
            wanted,
        }
    }

    /// Whether no line of these numbers (the end excluded) and times is wanted.
    fn passes_over(&self, first: u64, end: u64, span: Option<Span>) -> bool {
        let Some(span) = span else { return true };
        let is_seen = match (self.query.direction, self.last_seen) {
            (_, None) => false,
            (Direction::Forward, Some(seen)) => end <= seen.saturating_add(1),
            (Direction::Backward, Some(seen)) => first >= seen,
        };
        is_seen
            || self.query.start.is_some_and(|start| span.latest < start)
            || self.query.end.is_some_and(|end| span.earliest >= end)
    }

    fn look_through(&mut self, stream: &Stream, segment: &Segment) -> Result<Progress> {
        let Some(mut reader) = query::open(stream, segment)? else {
            return Ok(Progress::Open);
        };
        std::mem::swap(reader.unzip(), &mut self.unzip);
        let progress = self.look_through_frames(stream, &mut reader);
        std::mem::swap(reader.unzip(), &mut self.unzip);
        progress
    }

    fn look_through_frames(
        &mut self,
        stream: &Stream,
        reader: &mut SegmentReader,
    ) -> Result<Progress> {
        let mut frames = Vec::new();
        query::visit_frames(stream, reader, |_, frame| {
            frames.push(frame);
            Ok(true)
        })?;
        if self.query.direction == Direction::Backward {
            frames.reverse();
        }
        for frame in frames {
            let header = &frame.header;
            if self.passes_over(header.first_seq, header.next_seq(), header.span) {
                continue;
            }
            let progress = self.look_into(reader, &frame)?;
            if progress == Progress::Full {
                return Ok(progress);
            }
        }
        Ok(Progress::Open)
    }

    fn look_into(&mut self, reader: &mut SegmentReader, frame: &Frame) -> Result<Progress> {
        let query = self.query;
        let text = query.search.required_text();
        if let Some(index) = reader.index(frame)? {
            let may_fit = query.pod.as_ref().is_none_or(|pod| index.has_pod(pod))
                && query.source.is_none_or(|source| index.has_source(source))
                && query.level.is_none_or(|level| index.has_level(level))
                && reader.may_have_words(frame, &index, &self.words)?
                && text.is_none_or(|text| reader.may_have_text(&index, text));
            if !may_fit {
                return Ok(Progress::Open);
            }
        }
        let wanted = text.map_or(Wanted::All, Wanted::With);
        let Some(block) = reader.block_of(frame, wanted)? else {
            return Ok(Progress::Open);
        };
        self.text += block.text.len().max(frame.header.payload_len());
        let progress = self.look_at_lines(&block);
        if progress == Progress::Full {
            return Ok(Progress::Full);
        }
        self.last_seen = Some(match query.direction {
            Direction::Forward => frame.header.next_seq().saturating_sub(1),
            Direction::Backward => frame.header.first_seq,
        });
        match self.text >= MAX_TEXT {
            true => Ok(Progress::Full),
            false => Ok(Progress::Open),
        }
    }

    fn look_at_lines(&mut self, block: &Block) -> Progress {
        let lower = match self.query.search.is_empty() {
            true => Vec::new(),
            false => block.text.to_ascii_lowercase(),
        };
        let candidates = self.candidates(block, &lower);
        for index in candidates {
            let seq = block.seq(index);
            if self.passes_over(seq, seq + 1, Some(Span::at(block.lines[index].time))) {
                continue;
            }
            if self.fits(block, index, &lower) {
                if self.records.len() >= self.query.limit || self.found >= MAX_PAGE {
                    return Progress::Full;
                }
                self.found += block.range(index).len();
                self.records.push(block.record(index));
                self.last_seen = Some(seq);
            }
        }
        Progress::Open
    }

    /// The lines that may fit, in the order of the query.
    fn candidates(&self, block: &Block, lower: &[u8]) -> Vec<usize> {
        let mut lines: Vec<usize> = match self.query.search.required_text() {
            None => (0..block.lines.len()).collect(),
            Some(text) => lines_with(text, block, lower),
        };
        if self.query.direction == Direction::Backward {
            lines.reverse();
        }
        lines
    }

    fn fits(&self, block: &Block, index: usize, lower: &[u8]) -> bool {
        let line = &block.lines[index];
        self.query.fits(&Seen {
            time: line.time,
            source: line.source,
            level: line.level,
            pod: block.pod_of(index),
            text: block.text_of(index),
            lower: lower.get(block.range(index)).unwrap_or_default(),
        })
    }
}

/// The lines in which a text stands.
fn lines_with(text: &memmem::Finder<'_>, block: &Block, lower: &[u8]) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut from = 0;
    while let Some(offset) = text.find(&lower[from..]) {
        let index = block.index_at(from + offset);
        let end = block.range(index).end;
        if from + offset + text.needle().len() <= end {
            lines.push(index);
        }
        // What begins in this line and ends in the next stands in neither.
        from = end;
    }
    lines
}

//! What a packed frame carries: the lines of a segment that nobody writes to any more, small on the
//! disk and quick to pass over.
//!
//! A payload is an index and two compressed parts. The index, which has a checksum of its own, says
//! what there is: pods, sources, how many lines of each level, which words. What is known of the lines
//! besides their texts is the first part, each kind of number for itself, so that like stands by like; the
//! texts are the second. See `docs/decisions/0023-packed-segments.md`.
//!
//! Invariant: whatever the bytes are, decoding does not panic, and needs at most [`MAX_TEXT`] for the
//! texts and [`MAX_LINES`] lines.

use tose_api::Timestamp;
use tose_api::log::{LogLevel, LogSource};

use crate::block::{Block, LineMeta};
use crate::bytes::{Input, put_varint, unzigzag, zigzag};
use crate::filter::{self, FilterBuilder};
use crate::frame::{self, FrameHeader, LEVELS, MAX_LINE, Span};

/// A block with this much text takes no further line.
pub(crate) const FULL_TEXT: usize = 1 << 20;
/// The most text that a block can have.
const MAX_TEXT: usize = FULL_TEXT + MAX_LINE;
/// The most lines of a block.
pub(crate) const MAX_LINES: usize = 1 << 17;
/// The most that the numbers of a line take.
const MAX_META: usize = 1 + 5 + 10 + 5;
/// How hard the texts are compressed. Level 6 takes twice the time for a twentieth less.
const TEXT_LEVEL: i32 = 4;
const COLUMNS_LEVEL: i32 = 3;
/// What the length and the checksum of the index take.
pub(crate) const PREFIX_LEN: usize = 8;
/// Times are kept in the largest of these units, in nanoseconds, that all of them are multiples of.
const TIME_UNITS: [i64; 4] = [1_000_000_000, 1_000_000, 1_000, 1];

/// What is known of a block without unpacking it.
#[derive(Debug)]
pub(crate) struct Index {
    pods: Vec<Box<str>>,
    /// A bit for each source.
    sources: u8,
    /// How many lines have each level, those without one first.
    pub(crate) levels: [u64; LEVELS],
    /// How long the texts are.
    pub(crate) text_len: usize,
    columns_len: usize,
    packed_columns_len: usize,
    filter: Vec<u8>,
}

impl Index {
    pub(crate) fn has_pod(&self, pod: &str) -> bool {
        self.pods.iter().any(|known| &**known == pod)
    }

    pub(crate) fn has_source(&self, source: LogSource) -> bool {
        self.sources & source_bit(source) != 0
    }

    /// Whether a line has this level or a graver one. A line that names none counts as information.
    pub(crate) fn has_level(&self, level: LogLevel) -> bool {
        let from = usize::from(frame::level_index(Some(level)));
        self.levels[from..].iter().any(|count| *count > 0)
            || (level <= LogLevel::Info && self.levels[0] > 0)
    }

    pub(crate) fn may_have_words(&self, words: &[Vec<u8>]) -> bool {
        words
            .iter()
            .all(|word| filter::may_have(&self.filter, word))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.filter.len() + 256);
        frame::encode_pods(&self.pods, &mut out);
        out.push(self.sources);
        for count in self.levels {
            put_varint(&mut out, count);
        }
        for len in [
            self.text_len,
            self.columns_len,
            self.packed_columns_len,
            self.filter.len(),
        ] {
            put_varint(&mut out, len as u64);
        }
        out.extend(&self.filter);
        out
    }

    /// Reads an index whose checksum was right.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let pods = frame::decode_pods(&mut input)?;
        let [sources] = input.array()?;
        let mut levels = [0; LEVELS];
        for count in &mut levels {
            *count = input.varint()?;
        }
        let mut len = || usize::try_from(input.varint()?).ok();
        let (text_len, columns_len, packed_columns_len) = (len()?, len()?, len()?);
        let filter_len = len()?;
        let filter = input.take(filter_len)?.to_vec();
        let is_possible = text_len <= MAX_TEXT && columns_len <= MAX_LINES * MAX_META;
        (is_possible && input.0.is_empty()).then_some(Self {
            pods,
            sources,
            levels,
            text_len,
            columns_len,
            packed_columns_len,
            filter,
        })
    }
}

/// How long the index is whose payload begins with these bytes.
pub(crate) fn index_len(prefix: [u8; PREFIX_LEN]) -> usize {
    let [a, b, c, d, ..] = prefix;
    u32::from_le_bytes([a, b, c, d]) as usize
}

/// Reads the index at the beginning of a payload; `None` if it is damaged.
pub(crate) fn decode_index(payload: &[u8]) -> Option<Index> {
    split(payload).and_then(|(index, _)| Index::decode(index))
}

/// A payload's index, if its checksum is right, and what follows it.
fn split(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut input = Input(payload);
    let len = u32::from_le_bytes(input.array()?) as usize;
    let crc = u32::from_le_bytes(input.array()?);
    let index = input.take(len)?;
    (crc32fast::hash(index) == crc).then_some((index, input.0))
}

/// Packs a block into a frame.
pub(crate) fn encode(block: &Block) -> std::io::Result<Vec<u8>> {
    let columns = encode_columns(block);
    let packed_columns = zstd::bulk::compress(&columns, COLUMNS_LEVEL)?;
    let index = Index {
        pods: block.pods.clone(),
        sources: block
            .lines
            .iter()
            .fold(0, |sources, line| sources | source_bit(line.source)),
        levels: count_levels(block),
        text_len: block.text.len(),
        columns_len: columns.len(),
        packed_columns_len: packed_columns.len(),
        filter: build_filter(block),
    }
    .encode();
    let text = zstd::bulk::compress(&block.text, TEXT_LEVEL)?;
    let mut payload =
        Vec::with_capacity(PREFIX_LEN + index.len() + packed_columns.len() + text.len());
    payload.extend(
        u32::try_from(index.len())
            .expect("an index is small")
            .to_le_bytes(),
    );
    payload.extend(crc32fast::hash(&index).to_le_bytes());
    payload.extend(index);
    payload.extend(packed_columns);
    payload.extend(text);
    let count = u32::try_from(block.lines.len()).expect("a block's lines are limited");
    let times = block.lines.iter().map(|line| Some(Span::at(line.time)));
    let span = times.fold(None, Span::join);
    let header = FrameHeader::packed(block.first_seq(), count, span, &payload);
    Ok([header.encode(), payload].concat())
}

fn source_bit(source: LogSource) -> u8 {
    1 << frame::source_code(source)
}

fn count_levels(block: &Block) -> [u64; LEVELS] {
    let mut levels = [0; LEVELS];
    for line in &block.lines {
        levels[usize::from(frame::level_index(line.level))] += 1;
    }
    levels
}

fn build_filter(block: &Block) -> Vec<u8> {
    let lower = block.text.to_ascii_lowercase();
    let mut builder = FilterBuilder::new();
    for index in 0..block.lines.len() {
        builder.add_line(&lower[block.range(index)]);
    }
    builder.finish()
}

/// Sources with levels, pods, the unit of the times, the steps between the times, lengths.
fn encode_columns(block: &Block) -> Vec<u8> {
    let lines = &block.lines;
    let mut out = Vec::with_capacity(lines.len() * 8);
    out.extend(
        lines
            .iter()
            .map(|line| frame::kind_code(line.source, line.level)),
    );
    for line in lines {
        put_varint(&mut out, u64::from(line.pod));
    }
    let is_multiple = |unit: &i64| lines.iter().all(|line| line.time.as_nanos() % unit == 0);
    let unit = TIME_UNITS.into_iter().find(is_multiple).unwrap_or(1);
    put_varint(&mut out, unit.cast_unsigned());
    let mut last = 0;
    for line in lines {
        let time = line.time.as_nanos() / unit;
        put_varint(&mut out, zigzag(time.wrapping_sub(last)));
        last = time;
    }
    for index in 0..lines.len() {
        put_varint(&mut out, block.range(index).len() as u64);
    }
    out
}

/// Unpacks a payload whose checksum was right; `None` if it is not what it says.
pub(crate) fn decode(header: &FrameHeader, payload: &[u8]) -> Option<Block> {
    let (index, rest) = split(payload)?;
    let index = Index::decode(index)?;
    let (columns, text) = rest.split_at_checked(index.packed_columns_len)?;
    let columns = decompress(columns, index.columns_len)?;
    let mut block = Block::new(header.first_seq);
    header.first_seq.checked_add(u64::from(header.count))?;
    block.pods = index.pods;
    block.text = decompress(text, index.text_len)?;
    block.lines = decode_columns(&columns, header.count as usize, block.pods.len())?;
    let len = block.lines.last().map_or(0, |line| line.end as usize);
    (len == block.text.len()).then_some(block)
}

fn decompress(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    let out = zstd::bulk::decompress(bytes, len).ok()?;
    (out.len() == len).then_some(out)
}

fn decode_columns(columns: &[u8], count: usize, pods: usize) -> Option<Vec<LineMeta>> {
    let mut input = Input(columns);
    let kinds = input.take(count)?;
    let mut lines = Vec::with_capacity(count);
    for kind in kinds {
        let (source, level) = frame::kind_from(*kind)?;
        let pod = input.varint()?;
        if pod >= pods as u64 {
            return None;
        }
        lines.push(LineMeta {
            time: Timestamp::from_nanos(0),
            pod: u32::try_from(pod).ok()?,
            source,
            level,
            end: 0,
        });
    }
    let unit = input.varint()?.cast_signed();
    let mut time = 0_i64;
    for line in &mut lines {
        time = time.wrapping_add(unzigzag(input.varint()?));
        line.time = Timestamp::from_nanos(time.wrapping_mul(unit));
    }
    let mut end = 0_u64;
    for line in &mut lines {
        end = end.checked_add(input.varint()?)?;
        line.end = u32::try_from(end).ok()?;
    }
    input.0.is_empty().then_some(lines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Record;

    type Line = (i64, u32, usize, usize, Vec<u8>);

    fn block(lines: &[Line]) -> Block {
        let sources = [
            LogSource::Stdout,
            LogSource::Stderr,
            LogSource::Build,
            LogSource::System,
        ];
        let levels = [
            None,
            Some(LogLevel::Debug),
            Some(LogLevel::Warn),
            Some(LogLevel::Error),
        ];
        let mut block = Block::new(7);
        block.pods = vec!["a".into(), "b".into(), "c".into()];
        for (time, pod, source, level, text) in lines {
            block.text.extend(text);
            block.lines.push(LineMeta {
                time: Timestamp::from_nanos(*time),
                pod: *pod,
                source: sources[*source],
                level: levels[*level],
                end: u32::try_from(block.text.len()).expect("short"),
            });
        }
        block
    }

    fn records(block: &Block) -> Vec<Record> {
        (0..block.lines.len())
            .map(|index| block.record(index))
            .collect()
    }

    fn any_lines() -> impl Strategy<Value = Vec<Line>> {
        let text = proptest::collection::vec(any::<u8>(), 0..30);
        let time = prop_oneof![any::<i64>(), (0..9_i64).prop_map(|ms| ms * 1_000_000)];
        proptest::collection::vec((time, 0..3_u32, 0..4_usize, 0..4_usize, text), 1..40)
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(lines in any_lines()) {
            let block = block(&lines);
            let frame = encode(&block).expect("packed");
            let header = FrameHeader::decode(&frame).expect("a header");
            let payload = &frame[frame::FRAME_HEADER_LEN..];
            let unpacked = frame::decode(&header, payload).expect("a block");
            prop_assert_eq!(records(&unpacked), records(&block));
            let index = decode_index(payload).expect("an index");
            for (index_of_line, line) in block.lines.iter().enumerate() {
                prop_assert!(index.has_pod(block.pod_of(index_of_line)));
                prop_assert!(index.has_source(line.source));
                prop_assert!(line.level.is_none_or(|level| index.has_level(level)));
                let lower = block.text_of(index_of_line).to_ascii_lowercase();
                let words: Vec<_> = tose_model::log::words(&lower).map(<[u8]>::to_vec).collect();
                prop_assert!(index.may_have_words(&words));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(lines in any_lines(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let frame = encode(&block(&lines)).expect("packed");
            let header = FrameHeader::decode(&frame).expect("a header");
            let mut payload = frame[frame::FRAME_HEADER_LEN..].to_vec();
            let at = at.index(payload.len());
            payload[at] = byte;
            // Without the checksum of the payload, which would find it.
            if let Some(block) = decode(&header, &payload) {
                prop_assert_eq!(block.lines.len(), header.count as usize);
            }
        }
    }
}

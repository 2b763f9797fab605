//! What a packed frame carries: the lines of a segment that nobody writes to any more, small on the
//! disk and quick to pass over.
//!
//! A payload is an index, a filter and two more parts. The index, which has a checksum of its own, says what
//! there is: pods, sources, how many lines of each level, what the texts look like. The filter says which words there
//! are. Then come what is known of the lines besides their texts, and the texts, both as columns of what
//! is alike. See `docs/decisions/0026-split-texts.md`.
//!
//! Invariant: whatever the bytes are, decoding does not panic, and needs a small multiple of [`MAX_TEXT`] for the
//! texts and of [`MAX_LINES`] lines.

mod column;
mod numbers;
mod shape;
mod texts;
pub(crate) mod whole;
mod zip;

use std::borrow::Cow;
use std::io;
use std::ops::Range;

use memchr::memmem::Finder;
use tose_api::Timestamp;
use tose_api::log::{LogLevel, LogSource};

use self::shape::Shapes;
pub(crate) use self::texts::Wanted;
use self::texts::{Outline, Texts};
use self::whole::Whole;
pub(crate) use self::zip::Unzip;
use self::zip::Zip;
use crate::block::{Block, LineMeta};
use crate::bytes::{Input, put_varint};
use crate::filter::{self, FilterBuilder};
use crate::frame::{self, FrameHeader, LEVELS, MAX_LINE, Span};

/// A block with this much text takes no further line.
pub(crate) const FULL_TEXT: usize = 1 << 20;
/// The most text that a block can have.
const MAX_TEXT: usize = FULL_TEXT + MAX_LINE;
/// The most lines of a block.
pub(crate) const MAX_LINES: usize = 1 << 17;
const KINDS_LEVEL: i32 = 1;
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
    parts: Parts,
}

/// What the index says of what follows it.
#[derive(Debug)]
enum Parts {
    Whole(Whole),
    Split {
        /// The length of the filter without its checksums, and where its pages stand in the payload.
        filter_len: usize,
        filter: Range<usize>,
        lines_len: usize,
        outline: Vec<u8>,
    },
}

/// Where to look for a word.
pub(crate) enum Words<'a> {
    /// In these blocks of a filter.
    Known(&'a [u8]),
    /// In pages of a filter with blocks of this length, which begin there in the payload.
    Pages { blocks_len: usize, start: usize },
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

    pub(crate) fn words(&self) -> Words<'_> {
        match &self.parts {
            Parts::Whole(whole) => Words::Known(&whole.filter),
            Parts::Split {
                filter_len, filter, ..
            } => Words::Pages {
                blocks_len: *filter_len,
                start: filter.start,
            },
        }
    }

    /// Whether a line may have this text, which is in lower case.
    pub(crate) fn may_have_text(&self, text: &Finder<'_>, unzip: &mut Unzip) -> bool {
        match &self.parts {
            Parts::Whole(_) => true,
            Parts::Split { outline, .. } => Outline::decode(outline, self.text_len, unzip)
                .is_none_or(|outline| outline.may_have(text)),
        }
    }

    /// Reads an index that has this length and whose checksum was right.
    fn decode(bytes: &[u8], is_split: bool) -> Option<Self> {
        let mut input = Input(bytes);
        let pods = frame::decode_pods(&mut input)?;
        let [sources] = input.array()?;
        let mut levels = [0; LEVELS];
        for count in &mut levels {
            *count = input.varint()?;
        }
        let text_len = usize::try_from(input.varint()?).ok()?;
        let parts = match is_split {
            false => Parts::Whole(Whole::take(&mut input)?),
            true => take_parts(&mut input, PREFIX_LEN + bytes.len())?,
        };
        (text_len <= MAX_TEXT && input.0.is_empty()).then_some(Self {
            pods,
            sources,
            levels,
            text_len,
            parts,
        })
    }
}

fn take_parts(input: &mut Input<'_>, filter_start: usize) -> Option<Parts> {
    let mut len = || usize::try_from(input.varint()?).ok();
    let (filter_len, lines_len) = (len()?, len()?);
    let filter_end = filter_start.checked_add(filter::pages_len(filter_len)?)?;
    Some(Parts::Split {
        filter_len,
        filter: filter_start..filter_end,
        lines_len,
        outline: std::mem::take(&mut input.0).to_vec(),
    })
}

/// How long the index is whose payload begins with these bytes.
pub(crate) fn index_len(prefix: [u8; PREFIX_LEN]) -> usize {
    let [a, b, c, d, ..] = prefix;
    u32::from_le_bytes([a, b, c, d]) as usize
}

/// Reads the index at the beginning of a payload; `None` if it is damaged.
pub(crate) fn decode_index(header: &FrameHeader, payload: &[u8]) -> Option<Index> {
    split(payload).and_then(|(index, _)| Index::decode(index, header.is_split()))
}

/// A payload's index, if its checksum is right, and what follows it.
fn split(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut input = Input(payload);
    let len = u32::from_le_bytes(input.array()?) as usize;
    let crc = u32::from_le_bytes(input.array()?);
    let index = input.take(len)?;
    (crc32fast::hash(index) == crc).then_some((index, input.0))
}

/// What packing needs over and over again.
#[derive(Default)]
pub(crate) struct Tools {
    zip: Zip,
    unzip: Unzip,
}

impl Tools {
    /// Packs a block into a frame, and unpacks it to see that it is the same.
    pub(crate) fn pack(&mut self, block: &Block) -> io::Result<Vec<u8>> {
        let frame = encode(block, &mut self.zip)?;
        let header = FrameHeader::decode(&frame);
        let payload = &frame[frame::FRAME_HEADER_LEN..];
        let unpacked = header.and_then(|header| {
            frame::decode_wanted(&header, payload, Wanted::All, &mut self.unzip)
        });
        match unpacked {
            Some(unpacked) if unpacked == *block => Ok(frame),
            _ => Err(io::Error::other(
                "what was packed does not unpack to the same",
            )),
        }
    }
}

/// Packs a block into a frame.
fn encode(block: &Block, zip: &mut Zip) -> io::Result<Vec<u8>> {
    let shapes = Shapes::of(block);
    let (outline, body) = texts::encode(&shapes, block, zip)?;
    let lines = encode_lines(block, zip)?;
    let filter = build_filter(block, &shapes);

    let mut index = Vec::with_capacity(outline.len() + 256);
    put_common(block, &mut index);
    put_varint(&mut index, filter.len() as u64);
    put_varint(&mut index, lines.len() as u64);
    index.extend(outline);
    let payload = [
        with_checksum(&index),
        filter::to_pages(&filter),
        lines,
        body,
    ]
    .concat();
    let header = header_of(block, &payload, frame::FLAG_SPLIT);
    Ok([header.encode(), payload].concat())
}

/// What every index begins with.
fn put_common(block: &Block, out: &mut Vec<u8>) {
    frame::encode_pods(&block.pods, out);
    let sources = block.lines.iter().map(|line| source_bit(line.source));
    out.push(sources.fold(0, |all, bit| all | bit));
    for count in count_levels(block) {
        put_varint(out, count);
    }
    put_varint(out, block.text.len() as u64);
}

/// An index with its length and its checksum before it.
fn with_checksum(index: &[u8]) -> Vec<u8> {
    let len = u32::try_from(index.len()).expect("an index is small");
    let crc = crc32fast::hash(index);
    [&len.to_le_bytes(), &crc.to_le_bytes(), index].concat()
}

fn header_of(block: &Block, payload: &[u8], flag: u32) -> FrameHeader {
    let count = u32::try_from(block.lines.len()).expect("a block's lines are limited");
    let times = block.lines.iter().map(|line| Some(Span::at(line.time)));
    let span = times.fold(None, Span::join);
    FrameHeader::packed(block.first_seq(), count, span, payload, flag)
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

/// The words of each shape once, the values, and the words of lines that have no shape.
fn build_filter(block: &Block, shapes: &Shapes) -> Vec<u8> {
    let lower = block.text.to_ascii_lowercase();
    let mut builder = FilterBuilder::new();
    for shape in &shapes.shapes {
        builder.add_text(&shape.key.to_ascii_lowercase());
        shape
            .values(&lower)
            .for_each(|value| builder.add_word(value));
    }
    for (index, _) in shapes
        .of_line
        .iter()
        .enumerate()
        .filter(|(_, of)| **of == 0)
    {
        builder.add_text(&lower[block.range(index)]);
    }
    builder.finish()
}

/// Sources with levels, pods, the unit of the times, the times.
fn encode_lines(block: &Block, zip: &mut Zip) -> io::Result<Vec<u8>> {
    let lines = &block.lines;
    let mut out = Vec::new();
    let kinds: Vec<u8> = lines
        .iter()
        .map(|line| frame::kind_code(line.source, line.level))
        .collect();
    zip.put(&mut out, &kinds, KINDS_LEVEL)?;
    let pods: Vec<u64> = lines.iter().map(|line| u64::from(line.pod)).collect();
    numbers::put(&mut out, &pods, zip)?;
    let is_multiple = |unit: &i64| lines.iter().all(|line| line.time.as_nanos() % unit == 0);
    let unit = TIME_UNITS.into_iter().find(is_multiple).unwrap_or(1);
    put_varint(&mut out, unit.cast_unsigned());
    let times: Vec<u64> = lines
        .iter()
        .map(|line| (line.time.as_nanos() / unit).cast_unsigned())
        .collect();
    numbers::put(&mut out, &times, zip)?;
    Ok(out)
}

/// Unpacks a payload whose checksum was right; `None` if it is not what it says. Where not all lines are
/// wanted, the texts of others may be left empty, and the block has no lines if none is.
pub(crate) fn decode(
    header: &FrameHeader,
    payload: &[u8],
    wanted: Wanted<'_>,
    unzip: &mut Unzip,
) -> Option<Block> {
    let index = decode_index(header, payload)?;
    header.first_seq.checked_add(u64::from(header.count))?;
    let (filter, lines_len, outline) = match &index.parts {
        Parts::Whole(whole) => {
            let (_, rest) = split(payload)?;
            return whole.decode(header, &index, rest, unzip);
        }
        Parts::Split {
            filter,
            lines_len,
            outline,
            ..
        } => (filter, *lines_len, outline),
    };
    let (lines, body) = payload.get(filter.end..)?.split_at_checked(lines_len)?;
    let outline = Outline::decode(outline, index.text_len, unzip)?;
    let count = header.count as usize;
    let texts = texts::decode(&outline, body, count, index.text_len, wanted, unzip)?;
    let mut block = Block::new(header.first_seq);
    match wanted {
        Wanted::All if texts.text.len() != index.text_len => return None,
        Wanted::With(_) if texts.text.is_empty() => return Some(block),
        _ => {}
    }
    block.lines = decode_lines(lines, count, index.pods.len(), &texts, unzip)?;
    block.pods = index.pods;
    block.text = texts.text;
    Some(block)
}

fn decode_lines(
    bytes: &[u8],
    count: usize,
    pods: usize,
    texts: &Texts,
    unzip: &mut Unzip,
) -> Option<Vec<LineMeta>> {
    let mut input = Input(bytes);
    let kinds: Cow<'_, [u8]> = unzip.take(&mut input, count)?;
    let pod_of = numbers::take(&mut input, count, unzip)?;
    let unit = input.varint()?.cast_signed();
    let times = numbers::take(&mut input, count, unzip)?;
    if !input.0.is_empty() {
        return None;
    }
    let columns = kinds.iter().zip(pod_of).zip(times).zip(&texts.ends);
    let line = |(((kind, pod), time), end): (((&u8, u64), u64), &usize)| {
        let (source, level) = frame::kind_from(*kind)?;
        let is_known = pod < pods as u64;
        is_known.then_some(LineMeta {
            time: Timestamp::from_nanos(time.cast_signed().wrapping_mul(unit)),
            pod: u32::try_from(pod).ok()?,
            source,
            level,
            end: u32::try_from(*end).ok()?,
        })
    };
    columns.map(line).collect()
}

#[cfg(test)]
mod tests;

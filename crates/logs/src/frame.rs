//! How lines become bytes and bytes become lines: a segment's header, and its frames.
//!
//! A frame is a header of [`FRAME_HEADER_LEN`] bytes and a payload. Each has a checksum, so that a
//! reader can step over a damaged payload, and can tell a frame that was torn off from one that was
//! never begun. All numbers are little-endian. The format is described in
//! `docs/decisions/0004-log-format.md`.
//!
//! Invariant: whatever the bytes are, decoding neither panics nor allocates more than a small
//! multiple of their number.
//!
//! Not here: files (see `segment`), and what a packed frame carries (see `pack`).

use tose_api::Timestamp;
use tose_api::log::{LogLevel, LogSource};
use tose_model::log::{LogLine, detect_level, is_continuation};

use crate::Record;
use crate::block::{Block, LineMeta};
use crate::bytes::{Input, checked, put_varint, unzigzag, zigzag};
use crate::error::{Error, Result};
use crate::pack::{self, Unzip, Wanted};

/// The size of a segment's header.
pub(crate) const SEGMENT_HEADER_LEN: usize = 36;
/// The size of a frame's header.
pub(crate) const FRAME_HEADER_LEN: usize = 44;
/// The most bytes of text that a line keeps.
pub(crate) const MAX_LINE: usize = 1 << 20;
/// The most bytes that a payload has. A header that promises more is damaged.
pub(crate) const MAX_PAYLOAD: usize = 4 << 20;
/// The most lines in a frame that is not packed.
const MAX_FRAME_LINES: usize = 1000;
/// A frame that has this many bytes takes no further line.
const FULL_FRAME: usize = 256 << 10;
/// How many bytes a line usually takes.
const USUAL_LINE: usize = 160;

const MAGIC: [u8; 7] = *b"TOSELOG";
/// Version 1 had no levels and no packed frames, version 2 no packed frames with split texts: both are read like
/// version 3.
const VERSION: u8 = 3;
const OLDEST_VERSION: u8 = 1;
/// The flag of the record that ends a stream.
const FLAG_END: u32 = 1;
/// The flag of a frame whose payload is packed in the first form, with the texts as one.
pub(crate) const FLAG_PACKED_WHOLE: u32 = 2;
/// The flag of a frame whose payload is packed with its texts split.
pub(crate) const FLAG_SPLIT: u32 = 4;
/// What is left free for the note at the end of a line that was cut.
const CUT_NOTE_LEN: usize = 40;

/// The earliest and the latest time of some lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) earliest: Timestamp,
    pub(crate) latest: Timestamp,
}

impl Span {
    pub(crate) fn at(time: Timestamp) -> Self {
        Self {
            earliest: time,
            latest: time,
        }
    }

    /// The span of both; `None` is the span of no line.
    pub(crate) fn join(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(Self {
                earliest: a.earliest.min(b.earliest),
                latest: a.latest.max(b.latest),
            }),
            (a, b) => a.or(b),
        }
    }

    pub(crate) fn contains(self, time: Timestamp) -> bool {
        self.earliest <= time && time <= self.latest
    }

    fn encode(span: Option<Self>, out: &mut Vec<u8>) {
        // No line: a latest time before the earliest.
        let (earliest, latest) = match span {
            Some(span) => (span.earliest.as_nanos(), span.latest.as_nanos()),
            None => (i64::MAX, i64::MIN),
        };
        out.extend(earliest.to_le_bytes());
        out.extend(latest.to_le_bytes());
    }

    fn decode(input: &mut Input<'_>) -> Option<Option<Self>> {
        let earliest = Timestamp::from_nanos(i64::from_le_bytes(input.array()?));
        let latest = Timestamp::from_nanos(i64::from_le_bytes(input.array()?));
        Some((earliest <= latest).then_some(Self { earliest, latest }))
    }
}

/// What a segment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The number of the first line that goes into the segment.
    pub(crate) first_seq: u64,
    /// The times of the lines of the segment before, so that nobody has to read it to know them.
    pub(crate) previous: Option<Span>,
}

/// What the first bytes of a segment say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SegmentStart {
    Header(SegmentHeader),
    UnknownVersion(u8),
    Damaged,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_LEN);
        out.extend(MAGIC);
        out.push(VERSION);
        out.extend(self.first_seq.to_le_bytes());
        Span::encode(self.previous, &mut out);
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> SegmentStart {
        Self::parse(bytes).unwrap_or(SegmentStart::Damaged)
    }

    fn parse(bytes: &[u8]) -> Option<SegmentStart> {
        let mut input = Input(checked(bytes, SEGMENT_HEADER_LEN)?);
        if input.array()? != MAGIC {
            return None;
        }
        let [version] = input.array()?;
        if !(OLDEST_VERSION..=VERSION).contains(&version) {
            return Some(SegmentStart::UnknownVersion(version));
        }
        Some(SegmentStart::Header(Self {
            first_seq: u64::from_le_bytes(input.array()?),
            previous: Span::decode(&mut input)?,
        }))
    }
}

/// What a frame begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    payload_len: u32,
    payload_crc: u32,
    /// The number of the frame's first line, or of the next line if it has none.
    pub(crate) first_seq: u64,
    pub(crate) count: u32,
    flags: u32,
    /// The times of the frame's lines.
    pub(crate) span: Option<Span>,
}

impl FrameHeader {
    /// The number of the first line after the frame.
    pub(crate) fn next_seq(&self) -> u64 {
        self.first_seq.saturating_add(u64::from(self.count))
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.payload_len as usize
    }

    /// Whether this is the record that ends the stream.
    pub(crate) fn is_end(&self) -> bool {
        self.flags & FLAG_END != 0
    }

    /// Whether the payload is packed.
    pub(crate) fn is_packed(&self) -> bool {
        self.flags & (FLAG_PACKED_WHOLE | FLAG_SPLIT) != 0
    }

    /// Whether the payload is packed with its texts split.
    pub(crate) fn is_split(&self) -> bool {
        self.flags & FLAG_SPLIT != 0
    }

    /// The header of a packed frame.
    pub(crate) fn packed(
        first_seq: u64,
        count: u32,
        span: Option<Span>,
        payload: &[u8],
        flag: u32,
    ) -> Self {
        Self {
            payload_len: u32::try_from(payload.len()).expect("a block's text is limited"),
            payload_crc: crc32fast::hash(payload),
            first_seq,
            count,
            flags: flag,
            span,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FRAME_HEADER_LEN);
        out.extend(self.payload_len.to_le_bytes());
        out.extend(self.payload_crc.to_le_bytes());
        out.extend(self.first_seq.to_le_bytes());
        out.extend(self.count.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        Span::encode(self.span, &mut out);
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out
    }

    /// Reads a header; `None` if the bytes are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        // Most bytes that are no header fail here, before the checksum costs anything.
        let payload_len = u32::from_le_bytes(Input(bytes).array()?);
        if payload_len as usize > MAX_PAYLOAD {
            return None;
        }
        let mut input = Input(checked(bytes, FRAME_HEADER_LEN)?);
        let header = Self {
            payload_len: u32::from_le_bytes(input.array()?),
            payload_crc: u32::from_le_bytes(input.array()?),
            first_seq: u64::from_le_bytes(input.array()?),
            count: u32::from_le_bytes(input.array()?),
            flags: u32::from_le_bytes(input.array()?),
            span: Span::decode(&mut input)?,
        };
        let max_lines = match header.flags {
            0 | FLAG_END => MAX_FRAME_LINES,
            FLAG_PACKED_WHOLE | FLAG_SPLIT => pack::MAX_LINES,
            _ => return None,
        };
        (header.count as usize <= max_lines).then_some(header)
    }
}

/// A piece of a batch, ready to be written.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: u64,
    pub(crate) span: Option<Span>,
}

/// Refuses lines that [`encode`] cannot write.
pub(crate) fn check(lines: &[LogLine]) -> Result<()> {
    match lines.iter().map(|line| line.pod.len()).max() {
        Some(len) if len > usize::from(u8::MAX) => Err(Error::PodTooLong(len)),
        _ => Ok(()),
    }
}

/// Turns lines that were checked into frames, until they have `max_bytes` or the lines run out.
pub(crate) fn encode(
    lines: &mut impl Iterator<Item = LogLine>,
    first_seq: u64,
    max_bytes: usize,
    last_levels: &mut LastLevels,
) -> Option<Encoded> {
    let mut encoded = Encoded {
        bytes: Vec::new(),
        count: 0,
        span: None,
    };
    while encoded.bytes.len() < max_bytes {
        let mut frame = FrameBuilder::default();
        let expected = lines.size_hint().0.saturating_mul(USUAL_LINE);
        frame.records.reserve(expected.min(FULL_FRAME));
        while !frame.is_full() {
            let Some(line) = lines.next() else { break };
            frame.push(line, last_levels);
        }
        if frame.count == 0 {
            break;
        }
        encoded.count += u64::from(frame.count);
        encoded.span = Span::join(encoded.span, frame.span);
        let frame_seq = first_seq + encoded.count - u64::from(frame.count);
        frame.finish(frame_seq, &mut encoded.bytes);
    }
    (encoded.count > 0).then_some(encoded)
}

/// The lines of frames that [`encode`] made, one after the other.
pub(crate) fn decode_all(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some(header) = FrameHeader::decode(bytes) {
        let end = FRAME_HEADER_LEN + header.payload_len();
        let payload = bytes.get(FRAME_HEADER_LEN..end).unwrap_or_default();
        let Some(block) = decode(&header, payload) else {
            break;
        };
        records.extend((0..block.lines.len()).map(|index| block.record(index)));
        bytes = bytes.get(end..).unwrap_or_default();
    }
    records
}

/// The frame that ends a stream.
pub(crate) fn encode_end(next_seq: u64) -> Vec<u8> {
    FrameHeader {
        payload_len: 0,
        payload_crc: crc32fast::hash(&[]),
        first_seq: next_seq,
        count: 0,
        flags: FLAG_END,
        span: None,
    }
    .encode()
}

/// The levels of the last lines of each output: what goes on with such a line has the same level,
/// whichever batch it comes with and whoever else writes meanwhile.
#[derive(Debug, Default)]
pub(crate) struct LastLevels(Vec<(Box<str>, LogSource, LogLevel)>);

impl LastLevels {
    /// More outputs than this at once are hardly in the middle of a stack trace.
    const MAX: usize = 64;

    /// The level of the next line.
    fn next(&mut self, pod: &str, source: LogSource, text: &[u8]) -> Option<LogLevel> {
        let of_output = |(last, of, _): &(Box<str>, LogSource, _)| **last == *pod && *of == source;
        let index = self.0.iter().rposition(of_output);
        let inherited = index
            .filter(|_| is_continuation(text))
            .map(|index| self.0[index].2);
        let level = inherited.or_else(|| detect_level(text));
        match (index, level) {
            (Some(index), Some(level)) => self.0[index].2 = level,
            (Some(index), None) => {
                self.0.remove(index);
            }
            (None, Some(level)) => {
                if self.0.len() == Self::MAX {
                    self.0.remove(0);
                }
                self.0.push((pod.into(), source, level));
            }
            (None, None) => {}
        }
        level
    }
}

/// A frame in the making.
#[derive(Default)]
struct FrameBuilder {
    pods: Vec<Box<str>>,
    records: Vec<u8>,
    count: u32,
    span: Option<Span>,
    last_time: i64,
}

impl FrameBuilder {
    fn is_full(&self) -> bool {
        self.count as usize >= MAX_FRAME_LINES || self.records.len() >= FULL_FRAME
    }

    fn push(&mut self, line: LogLine, last_levels: &mut LastLevels) {
        let time = line.time.as_nanos();
        let text = cut(line.text);
        let level = last_levels.next(&line.pod, line.source, &text);
        let pod = self.pod_index(line.pod);
        self.records.push(kind_code(line.source, level));
        put_varint(&mut self.records, pod as u64);
        put_varint(&mut self.records, zigzag(time.wrapping_sub(self.last_time)));
        put_varint(&mut self.records, text.len() as u64);
        self.records.extend(text);
        self.last_time = time;
        self.span = Span::join(self.span, Some(Span::at(line.time)));
        self.count += 1;
    }

    fn pod_index(&mut self, pod: Box<str>) -> usize {
        // Nearly always there are a few pods, and the last one seen is the one that wrote.
        match self.pods.iter().rposition(|known| *known == pod) {
            Some(index) => index,
            None => {
                self.pods.push(pod);
                self.pods.len() - 1
            }
        }
    }

    fn finish(self, first_seq: u64, out: &mut Vec<u8>) {
        let mut table = Vec::new();
        encode_pods(&self.pods, &mut table);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&table);
        crc.update(&self.records);
        let header = FrameHeader {
            payload_len: u32::try_from(table.len() + self.records.len())
                .expect("a full frame takes no further line"),
            payload_crc: crc.finalize(),
            first_seq,
            count: self.count,
            flags: 0,
            span: self.span,
        };
        out.extend(header.encode());
        out.extend(table);
        out.extend(self.records);
    }
}

/// A frame's lines; `None` if the payload is damaged, or its lines are not what the header promises.
pub(crate) fn decode(header: &FrameHeader, payload: &[u8]) -> Option<Block> {
    decode_wanted(header, payload, Wanted::All, &mut Unzip::default())
}

/// The same where only some lines are wanted. The texts of others may be left empty; if none is wanted, the
/// block may have no lines.
pub(crate) fn decode_wanted(
    header: &FrameHeader,
    payload: &[u8],
    wanted: Wanted<'_>,
    unzip: &mut Unzip,
) -> Option<Block> {
    if payload.len() != header.payload_len() || crc32fast::hash(payload) != header.payload_crc {
        return None;
    }
    if header.is_packed() {
        return pack::decode(header, payload, wanted, unzip);
    }
    let mut input = Input(payload);
    let mut block = Block::new(header.first_seq);
    if header.count > 0 {
        block.pods = decode_pods(&mut input)?;
    }
    decode_lines(header, input, &mut block)?;
    Some(block)
}

pub(crate) fn decode_pods(input: &mut Input<'_>) -> Option<Vec<Box<str>>> {
    let mut pods = Vec::new();
    for _ in 0..input.varint()? {
        let [len] = input.array()?;
        pods.push(
            std::str::from_utf8(input.take(usize::from(len))?)
                .ok()?
                .into(),
        );
    }
    Some(pods)
}

pub(crate) fn encode_pods(pods: &[Box<str>], out: &mut Vec<u8>) {
    put_varint(out, pods.len() as u64);
    for pod in pods {
        out.push(u8::try_from(pod.len()).expect("the lines were checked"));
        out.extend(pod.as_bytes());
    }
}

fn decode_lines(header: &FrameHeader, mut input: Input<'_>, block: &mut Block) -> Option<()> {
    header.first_seq.checked_add(u64::from(header.count))?;
    let mut time = 0_i64;
    block.lines.reserve(header.count as usize);
    block.text.reserve(input.0.len());
    for _ in 0..header.count {
        let [kind] = input.array()?;
        let (source, level) = kind_from(kind)?;
        let pod = u32::try_from(input.varint()?).ok()?;
        block.pods.get(pod as usize)?;
        time = time.wrapping_add(unzigzag(input.varint()?));
        let len = usize::try_from(input.varint()?).ok()?;
        block.text.extend_from_slice(input.take(len)?);
        block.lines.push(LineMeta {
            time: Timestamp::from_nanos(time),
            pod,
            source,
            level,
            end: u32::try_from(block.text.len()).ok()?,
        });
    }
    input.0.is_empty().then_some(())
}

/// A line's source and level in one byte: the source in the low half, the level in the high one.
pub(crate) fn kind_code(source: LogSource, level: Option<LogLevel>) -> u8 {
    source_code(source) | level_index(level) << 4
}

/// What [`kind_code`] made a byte of.
pub(crate) fn kind_from(code: u8) -> Option<(LogSource, Option<LogLevel>)> {
    let level = match code >> 4 {
        0 => None,
        1 => Some(LogLevel::Debug),
        2 => Some(LogLevel::Info),
        3 => Some(LogLevel::Warn),
        4 => Some(LogLevel::Error),
        _ => return None,
    };
    Some((source_from(code & 0x0f)?, level))
}

/// The place of a level in a table of [`LEVELS`] numbers.
pub(crate) fn level_index(level: Option<LogLevel>) -> u8 {
    match level {
        None => 0,
        Some(LogLevel::Debug) => 1,
        Some(LogLevel::Info) => 2,
        Some(LogLevel::Warn) => 3,
        Some(LogLevel::Error) => 4,
    }
}

/// How many levels there are, with the one of lines that name none.
pub(crate) const LEVELS: usize = 5;

pub(crate) fn source_code(source: LogSource) -> u8 {
    match source {
        LogSource::Stdout => 0,
        LogSource::Stderr => 1,
        LogSource::Build => 2,
        LogSource::System => 3,
    }
}

fn source_from(code: u8) -> Option<LogSource> {
    match code {
        0 => Some(LogSource::Stdout),
        1 => Some(LogSource::Stderr),
        2 => Some(LogSource::Build),
        3 => Some(LogSource::System),
        _ => None,
    }
}

/// Cuts a text that is longer than [`MAX_LINE`], and says so at its end.
fn cut(mut text: Vec<u8>) -> Vec<u8> {
    if text.len() <= MAX_LINE {
        return text;
    }
    let mut kept = MAX_LINE - CUT_NOTE_LEN;
    // Not within a character, if these are characters (which have at most four bytes).
    for _ in 0..3 {
        if text[kept] & 0xc0 == 0x80 {
            kept -= 1;
        }
    }
    let note = format!(" [cut: {} bytes more]", text.len() - kept);
    text.truncate(kept);
    text.extend(note.as_bytes());
    text
}

#[cfg(test)]
mod tests;

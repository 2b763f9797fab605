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
//! Not here: files (see `segment`).

use tose_api::Timestamp;
use tose_api::log::LogSource;
use tose_model::log::LogLine;

use crate::Record;
use crate::error::{Error, Result};

/// The size of a segment's header.
pub(crate) const SEGMENT_HEADER_LEN: usize = 36;
/// The size of a frame's header.
pub(crate) const FRAME_HEADER_LEN: usize = 44;
/// The most bytes of text that a line keeps.
pub(crate) const MAX_LINE: usize = 1 << 20;
/// The most bytes that a payload has. A header that promises more is damaged.
pub(crate) const MAX_PAYLOAD: usize = 4 << 20;
/// The most lines in a frame.
const MAX_FRAME_LINES: usize = 1000;
/// A frame that has this many bytes takes no further line.
const FULL_FRAME: usize = 256 << 10;

const MAGIC: [u8; 7] = *b"TOSELOG";
const VERSION: u8 = 1;
/// The flag of the record that ends a stream.
const FLAG_END: u32 = 1;
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
        if version != VERSION {
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

    fn encode(&self) -> Vec<u8> {
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
        (header.count as usize <= MAX_FRAME_LINES && header.flags & !FLAG_END == 0)
            .then_some(header)
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
) -> Option<Encoded> {
    let mut encoded = Encoded {
        bytes: Vec::new(),
        count: 0,
        span: None,
    };
    while encoded.bytes.len() < max_bytes {
        let mut frame = FrameBuilder::default();
        while !frame.is_full() {
            let Some(line) = lines.next() else { break };
            frame.push(line);
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

    fn push(&mut self, line: LogLine) {
        let time = line.time.as_nanos();
        let text = cut(line.text);
        let pod = self.pod_index(line.pod);
        self.records.push(source_code(line.source));
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
        put_varint(&mut table, self.pods.len() as u64);
        for pod in &self.pods {
            table.push(u8::try_from(pod.len()).expect("the lines were checked"));
            table.extend(pod.as_bytes());
        }
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

/// A payload whose checksum was right.
pub(crate) struct Payload<'a> {
    header: &'a FrameHeader,
    pods: Vec<&'a str>,
    records: Input<'a>,
}

impl<'a> Payload<'a> {
    /// Checks a payload; `None` if it is damaged.
    pub(crate) fn decode(header: &'a FrameHeader, bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() != header.payload_len() || crc32fast::hash(bytes) != header.payload_crc {
            return None;
        }
        let mut input = Input(bytes);
        let mut pods = Vec::new();
        if header.count > 0 {
            for _ in 0..input.varint()? {
                let [len] = input.array()?;
                pods.push(std::str::from_utf8(input.take(usize::from(len))?).ok()?);
            }
        }
        Some(Self {
            header,
            pods,
            records: input,
        })
    }

    pub(crate) fn has_pod(&self, pod: &str) -> bool {
        self.pods.contains(&pod)
    }

    /// The lines; `None` if they are not what the header promises.
    pub(crate) fn records(mut self) -> Option<Vec<Record>> {
        let mut records = Vec::with_capacity(self.header.count as usize);
        let mut time = 0_i64;
        for index in 0..u64::from(self.header.count) {
            let [source] = self.records.array()?;
            let pod = *self
                .pods
                .get(usize::try_from(self.records.varint()?).ok()?)?;
            time = time.wrapping_add(unzigzag(self.records.varint()?));
            let len = usize::try_from(self.records.varint()?).ok()?;
            records.push(Record {
                seq: self.header.first_seq.checked_add(index)?,
                line: LogLine {
                    time: Timestamp::from_nanos(time),
                    source: source_from(source)?,
                    pod: pod.into(),
                    text: self.records.take(len)?.to_vec(),
                },
            });
        }
        self.records.0.is_empty().then_some(records)
    }
}

/// Bytes that are read from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// The first `len` bytes without the checksum they end with, if it is right.
fn checked(bytes: &[u8], len: usize) -> Option<&[u8]> {
    let (content, crc) = bytes.get(..len)?.split_last_chunk()?;
    (crc32fast::hash(content) == u32::from_le_bytes(*crc)).then_some(content)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn source_code(source: LogSource) -> u8 {
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

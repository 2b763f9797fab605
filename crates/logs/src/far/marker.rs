//! Markers: what is known here of a segment that the far store has.
//!
//! A marker says enough that only who wants lines of the segment's times has to fetch it: numbers
//! and times, who wrote and until when, and what there is of each day. Numbers in it are
//! variable-length, little-endian where they are not, and a CRC-32 ends it. It is written whole
//! under another name, so a torn one has none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tose_api::Timestamp;

use crate::Day;
use crate::bytes::{Input, checked, put_varint, unzigzag, zigzag};
use crate::error::{Error, Result};
use crate::far::Content;
use crate::frame::Span;

const MAGIC: [u8; 7] = *b"TOSEFAR";
const VERSION: u8 = 1;
const EXTENSION: &str = "tfar";
/// The most bytes of a marker that is read.
const MAX_LEN: u64 = 64 << 20;

/// What is known of a far segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) first_seq: u64,
    pub(crate) next_seq: u64,
    pub(crate) span: Option<Span>,
    pub(crate) content: Content,
    /// What the far store wants to see for it.
    pub(crate) ticket: Vec<u8>,
    pub(crate) pods: Vec<PodMark>,
    pub(crate) days: Vec<Day>,
}

/// What a segment has of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodMark {
    pub(crate) name: Box<str>,
    /// Of its standard output and standard error, if there is any.
    pub(crate) output: Option<OutputMark>,
}

/// How far a pod's output goes in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputMark {
    /// The time of the last line.
    pub(crate) last: Timestamp,
    /// How many of its lines have that time.
    pub(crate) count: u64,
    /// The latest time of all its lines.
    pub(crate) latest: Timestamp,
}

/// Where the marker of a segment is.
pub(crate) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}.{EXTENSION}"))
}

/// The numbers of the segments that have a marker, from the oldest on.
pub(crate) fn list(dir: &Path) -> Result<Vec<u32>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", dir)(error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list", dir))?;
        numbers.extend(entry.file_name().to_str().and_then(parse_file_name));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn parse_file_name(name: &str) -> Option<u32> {
    let (number, extension) = name.split_once('.')?;
    (extension == EXTENSION).then(|| number.parse().ok())?
}

/// A marker that may be damaged; `None` if there is none.
pub(crate) fn read(dir: &Path, number: u32) -> Result<Option<Option<Marker>>> {
    let path = path(dir, number);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", &path)(error)),
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MAX_LEN), &mut bytes)
        .map_err(Error::io("read", &path))?;
    Ok(Some(Marker::decode(&bytes)))
}

impl Marker {
    /// What the segment has of a pod.
    pub(crate) fn pod(&self, name: &str) -> Option<&PodMark> {
        self.pods.iter().find(|pod| &*pod.name == name)
    }

    /// Writes it under another name, through to the disk. Answers where.
    pub(crate) fn write_new(&self, dir: &Path, number: u32) -> Result<PathBuf> {
        let path = path(dir, number).with_extension("new-tfar");
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(&self.encode())?;
            file.sync_all()
        };
        write().map_err(Error::io("write", &path))?;
        Ok(path)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC);
        out.push(VERSION);
        put_varint(&mut out, self.first_seq);
        put_varint(&mut out, self.next_seq);
        out.push(u8::from(self.span.is_some()));
        if let Some(span) = self.span {
            put_time(&mut out, span.earliest);
            put_time(&mut out, span.latest);
        }
        put_varint(&mut out, self.content.bytes);
        out.extend(self.content.checksum.to_le_bytes());
        put_bytes(&mut out, &self.ticket);
        put_varint(&mut out, self.pods.len() as u64);
        for pod in &self.pods {
            put_bytes(&mut out, pod.name.as_bytes());
            out.push(u8::from(pod.output.is_some()));
            if let Some(output) = pod.output {
                put_time(&mut out, output.last);
                put_varint(&mut out, output.count);
                put_time(&mut out, output.latest);
            }
        }
        put_varint(&mut out, self.days.len() as u64);
        for day in &self.days {
            put_time(&mut out, day.start);
            for number in [day.lines, day.bytes, day.errors] {
                put_varint(&mut out, number);
            }
        }
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(checked(bytes, bytes.len())?);
        if input.array()? != MAGIC || input.array()? != [VERSION] {
            return None;
        }
        let (first_seq, next_seq) = (input.varint()?, input.varint()?);
        let span = match input.array()? {
            [0] => None,
            _ => Some(Span {
                earliest: time(&mut input)?,
                latest: time(&mut input)?,
            }),
        };
        let content = Content {
            bytes: input.varint()?,
            checksum: u128::from_le_bytes(input.array()?),
        };
        let ticket = bytes_of(&mut input)?.to_vec();
        // How many there are is not believed before they are there.
        let mut pods = Vec::new();
        for _ in 0..input.varint()? {
            pods.push(decode_pod(&mut input)?);
        }
        let mut days = Vec::new();
        for _ in 0..input.varint()? {
            days.push(Day {
                start: time(&mut input)?,
                lines: input.varint()?,
                bytes: input.varint()?,
                errors: input.varint()?,
            });
        }
        Some(Self {
            first_seq,
            next_seq,
            span,
            content,
            ticket,
            pods,
            days,
        })
    }
}

fn decode_pod(input: &mut Input<'_>) -> Option<PodMark> {
    let name = std::str::from_utf8(bytes_of(input)?).ok()?.into();
    let output = match input.array()? {
        [0] => None,
        _ => Some(OutputMark {
            last: time(input)?,
            count: input.varint()?,
            latest: time(input)?,
        }),
    };
    Some(PodMark { name, output })
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    put_varint(out, zigzag(time.as_nanos()));
}

fn time(input: &mut Input<'_>) -> Option<Timestamp> {
    Some(Timestamp::from_nanos(unzigzag(input.varint()?)))
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn bytes_of<'a>(input: &mut Input<'a>) -> Option<&'a [u8]> {
    let len = usize::try_from(input.varint()?).ok()?;
    input.take(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> Marker {
        let at = Timestamp::from_nanos;
        let output = OutputMark {
            last: at(5),
            count: 3,
            latest: at(i64::MAX),
        };
        let pod = |name: &str, output| PodMark {
            name: name.into(),
            output,
        };
        Marker {
            first_seq: 7,
            next_seq: u64::MAX,
            span: Some(Span {
                earliest: at(i64::MIN),
                latest: at(9),
            }),
            content: Content {
                bytes: 1 << 40,
                checksum: u128::MAX - 1,
            },
            ticket: vec![1, 2, 3],
            pods: vec![pod("web-1", Some(output)), pod("web-2", None)],
            days: vec![Day {
                start: at(-86_400_000_000_000),
                lines: 1,
                bytes: 2,
                errors: 1,
            }],
        }
    }

    #[test]
    fn a_marker_comes_back_and_a_damaged_one_is_none() {
        let none = Marker {
            span: None,
            ticket: Vec::new(),
            pods: Vec::new(),
            days: Vec::new(),
            ..marker()
        };
        for marker in [marker(), none] {
            let bytes = marker.encode();
            assert_eq!(Marker::decode(&bytes), Some(marker));
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x10;
                assert_eq!(Marker::decode(&damaged), None, "byte {at}");
                assert_eq!(Marker::decode(&bytes[..at]), None, "{at} bytes");
            }
        }
    }

    #[test]
    fn no_bytes_with_a_right_checksum_make_it_panic() {
        let bytes = marker().encode();
        let content = &bytes[..bytes.len() - 4];
        for at in MAGIC.len()..content.len() {
            for byte in [0, 0x7f, 0xff] {
                let mut changed = content.to_vec();
                changed[at] = byte;
                changed.extend(crc32fast::hash(&changed).to_le_bytes());
                let _ = Marker::decode(&changed);
            }
        }
    }
}

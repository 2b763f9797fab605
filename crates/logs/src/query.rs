//! Reading lines of a stream.
//!
//! Everything here works on a [`View`], without the stream's lock: the bytes that a view counts do
//! not change. A segment that retention removed meanwhile reads as empty.

use tose_api::Timestamp;
use tose_api::log::LogSource;

use crate::error::Result;
use crate::segment::{Frame, SegmentReader};
use crate::stream::{Segment, Stream, View, segment_path};
use crate::{Position, Record};

/// Where a reader is: at a line, and perhaps at the frame in which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The number of the next line to read.
    pub(crate) next_seq: u64,
    /// The number of a segment, and the offset of a frame in it that is not after that line.
    hint: Option<(u32, u64)>,
}

impl Cursor {
    /// At the line with this number, or the first after it.
    pub(crate) fn at(next_seq: u64) -> Self {
        Self {
            next_seq,
            hint: None,
        }
    }

    /// At the first of the last `n` lines.
    pub(crate) fn tail(view: &View, n: usize) -> Self {
        Self::at(view.next_seq.saturating_sub(n as u64).max(view.first_seq()))
    }
}

/// Reads lines from the cursor on, and moves it behind them, until there are `limit` of them or
/// their texts have `max_bytes`. Lines that are gone are left out.
pub(crate) fn read(
    stream: &Stream,
    view: &View,
    cursor: &mut Cursor,
    limit: usize,
    max_bytes: usize,
) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut bytes = 0_usize;
    for (index, segment) in view.segments.iter().enumerate() {
        if records.len() >= limit || bytes >= max_bytes {
            break;
        }
        if view.end_seq(index) <= cursor.next_seq {
            continue;
        }
        let offset = match cursor.hint {
            Some((number, offset)) if number == segment.number => offset,
            _ => 0,
        };
        each_frame(stream, segment, offset, |reader, frame| {
            if frame.header.next_seq() <= cursor.next_seq {
                return Ok(true);
            }
            if records.len() >= limit || bytes >= max_bytes {
                return Ok(false);
            }
            let Some(found) = frame_records(reader, &frame)? else {
                return Ok(true);
            };
            cursor.hint = Some((segment.number, frame.offset));
            for record in found {
                if records.len() >= limit || bytes >= max_bytes {
                    return Ok(false);
                }
                if record.seq >= cursor.next_seq {
                    cursor.next_seq = record.seq + 1;
                    bytes = bytes.saturating_add(record.line.text.len());
                    records.push(record);
                }
            }
            cursor.hint = Some((segment.number, frame.end()));
            Ok(true)
        })?;
    }
    Ok(records)
}

/// The first line that is not older than `time`; the end if all are.
pub(crate) fn since(stream: &Stream, view: &View, time: Timestamp) -> Result<Cursor> {
    let is_recent = |segment: &&Segment| segment.span.is_some_and(|span| span.latest >= time);
    for segment in view.segments.iter().filter(is_recent) {
        let mut found = None;
        each_frame(stream, segment, 0, |reader, frame| {
            if frame.header.span.is_none_or(|span| span.latest < time) {
                return Ok(true);
            }
            let records = frame_records(reader, &frame)?.unwrap_or_default();
            let first = records.iter().find(|record| record.line.time >= time);
            found = first.map(|record| Cursor {
                next_seq: record.seq,
                hint: Some((segment.number, frame.offset)),
            });
            Ok(found.is_none())
        })?;
        if let Some(cursor) = found {
            return Ok(cursor);
        }
    }
    Ok(Cursor::at(view.next_seq))
}

/// The time of the last line of the pod's output, and how many of its lines have that time.
pub(crate) fn last_position(stream: &Stream, view: &View, pod: &str) -> Result<Option<Position>> {
    let Some(time) = last_time(stream, view, pod)? else {
        return Ok(None);
    };
    let mut count = 0;
    let has_time = |segment: &&Segment| segment.span.is_some_and(|span| span.contains(time));
    for segment in view.segments.iter().filter(has_time) {
        each_frame(stream, segment, 0, |reader, frame| {
            if frame.header.span.is_some_and(|span| span.contains(time)) {
                let times = output_times(reader, &frame, pod)?;
                count += times.iter().filter(|&&other| other == time).count();
            }
            Ok(true)
        })?;
    }
    Ok(Some(Position { time, count }))
}

fn last_time(stream: &Stream, view: &View, pod: &str) -> Result<Option<Timestamp>> {
    for segment in view.segments.iter().rev() {
        let mut last = None;
        each_frame(stream, segment, 0, |reader, frame| {
            last = output_times(reader, &frame, pod)?.last().copied().or(last);
            Ok(true)
        })?;
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// The times of a frame's lines of the pod's output.
fn output_times(reader: &mut SegmentReader, frame: &Frame, pod: &str) -> Result<Vec<Timestamp>> {
    let Some(payload) = reader.payload(frame)? else {
        return Ok(Vec::new());
    };
    if !payload.has_pod(pod) {
        return Ok(Vec::new());
    }
    let records = payload.records().unwrap_or_default();
    let lines = records.iter().map(|record| &record.line);
    let is_output = |source| matches!(source, LogSource::Stdout | LogSource::Stderr);
    let times = lines.filter(|line| &*line.pod == pod && is_output(line.source));
    Ok(times.map(|line| line.time).collect())
}

/// A frame's lines; `None` if it is damaged.
fn frame_records(reader: &mut SegmentReader, frame: &Frame) -> Result<Option<Vec<Record>>> {
    let Some(payload) = reader.payload(frame)? else {
        return Ok(None);
    };
    let records = payload.records();
    if records.is_none() {
        reader.damaged += 1;
    }
    Ok(records)
}

/// Calls `visit` with the frames of a segment from this offset on, until it answers `false`.
fn each_frame(
    stream: &Stream,
    segment: &Segment,
    offset: u64,
    mut visit: impl FnMut(&mut SegmentReader, Frame) -> Result<bool>,
) -> Result<()> {
    let path = segment_path(&stream.dir, segment);
    let Some(mut reader) = SegmentReader::open(&path, segment.bytes)? else {
        return Ok(());
    };
    reader.seek(offset);
    while let Some(frame) = reader.next_frame()? {
        if !visit(&mut reader, frame)? {
            break;
        }
    }
    if reader.damaged > 0 {
        stream.report_damage(&path, reader.damaged);
    }
    Ok(())
}

//! Reading lines of a stream.
//!
//! Everything here works on a [`View`], without the stream's lock: the bytes that a view counts do
//! not change. A segment that retention removed meanwhile reads as empty.

use std::collections::BTreeMap;

use tose_api::Timestamp;
use tose_api::log::{LogLevel, LogSource};

use crate::error::Result;
use crate::frame::level_index;
use crate::segment::{Form, Frame, SegmentReader};
use crate::stream::{Segment, Stream, View, segment_path};
use crate::{Day, Position, Record};

/// A day in nanoseconds.
const DAY: i64 = 86_400_000_000_000;

/// Where a reader is: at a line, and perhaps at the frame in which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The number of the next line to read.
    pub(crate) next_seq: u64,
    /// The offset of a frame in a segment that is not after that line.
    hint: Option<Hint>,
}

/// Where a frame is, as long as the segment has this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hint {
    number: u32,
    form: Form,
    offset: u64,
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
        let Some(mut reader) = open(stream, segment)? else {
            continue;
        };
        let form = reader.form();
        let hint = cursor
            .hint
            .filter(|hint| (hint.number, hint.form) == (segment.number, form));
        let at = |offset| {
            Some(Hint {
                number: segment.number,
                form,
                offset,
            })
        };
        reader.seek(hint.map_or(0, |hint| hint.offset));
        visit_frames(stream, &mut reader, |reader, frame| {
            if frame.header.next_seq() <= cursor.next_seq {
                return Ok(true);
            }
            if records.len() >= limit || bytes >= max_bytes {
                return Ok(false);
            }
            let Some(block) = reader.block(&frame)? else {
                return Ok(true);
            };
            cursor.hint = at(frame.offset);
            let known = cursor.next_seq.saturating_sub(block.first_seq());
            for index in usize::try_from(known).unwrap_or(usize::MAX)..block.lines.len() {
                if records.len() >= limit || bytes >= max_bytes {
                    return Ok(false);
                }
                cursor.next_seq = block.seq(index) + 1;
                bytes = bytes.saturating_add(block.range(index).len());
                records.push(block.record(index));
            }
            cursor.hint = at(frame.end());
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
        each_frame(stream, segment, |reader, frame| {
            if frame.header.span.is_none_or(|span| span.latest < time) {
                return Ok(true);
            }
            let Some(block) = reader.block(&frame)? else {
                return Ok(true);
            };
            let first = block.lines.iter().position(|line| line.time >= time);
            found = first.map(|index| Cursor {
                next_seq: block.seq(index),
                hint: Some(Hint {
                    number: segment.number,
                    form: reader.form(),
                    offset: frame.offset,
                }),
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
        let marker = stream.marker(segment)?;
        if let Some(known) = marker.and_then(|marker| marker.count_output(pod, time)) {
            count += known;
            continue;
        }
        each_frame(stream, segment, |reader, frame| {
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
        if let Some(marker) = stream.marker(segment)? {
            match marker.pod(pod).and_then(|pod| pod.output) {
                Some(output) => return Ok(Some(output.last)),
                None => continue,
            }
        }
        let mut last = None;
        each_frame(stream, segment, |reader, frame| {
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
    if reader
        .index(frame)?
        .is_some_and(|index| !index.has_pod(pod))
    {
        return Ok(Vec::new());
    }
    let Some(block) = reader.block(frame)? else {
        return Ok(Vec::new());
    };
    let Some(pod) = block.pods.iter().position(|known| &**known == pod) else {
        return Ok(Vec::new());
    };
    let is_output = |source| matches!(source, LogSource::Stdout | LogSource::Stderr);
    let lines = block.lines.iter();
    let times = lines.filter(|line| line.pod as usize == pod && is_output(line.source));
    Ok(times.map(|line| line.time).collect())
}

/// What there is of each day.
pub(crate) fn daily(stream: &Stream, view: &View) -> Result<Vec<Day>> {
    let mut days = BTreeMap::new();
    for segment in &view.segments {
        if let Some(marker) = stream.marker(segment)? {
            for day in marker.days {
                add(&mut days, day.start, day.lines, day.bytes, day.errors);
            }
            continue;
        }
        each_frame(stream, segment, |reader, frame| {
            let Some(span) = frame.header.span else {
                return Ok(true);
            };
            let is_one_day = day_of(span.earliest) == day_of(span.latest);
            if is_one_day && let Some(index) = reader.index(&frame)? {
                let errors = index.levels[usize::from(level_index(Some(LogLevel::Error)))];
                let count = u64::from(frame.header.count);
                add(&mut days, span.latest, count, index.text_len as u64, errors);
            } else if let Some(block) = reader.block(&frame)? {
                for (index, line) in block.lines.iter().enumerate() {
                    let errors = u64::from(line.level == Some(LogLevel::Error));
                    add(
                        &mut days,
                        line.time,
                        1,
                        block.range(index).len() as u64,
                        errors,
                    );
                }
            }
            Ok(true)
        })?;
    }
    Ok(days.into_values().collect())
}

fn day_of(time: Timestamp) -> i64 {
    time.as_nanos().div_euclid(DAY)
}

fn add(days: &mut BTreeMap<i64, Day>, time: Timestamp, lines: u64, bytes: u64, errors: u64) {
    let number = day_of(time);
    let day = days.entry(number).or_insert(Day {
        start: Timestamp::from_nanos(number.saturating_mul(DAY)),
        lines: 0,
        bytes: 0,
        errors: 0,
    });
    day.lines += lines;
    day.bytes += bytes;
    day.errors += errors;
}

/// Opens a segment in the form and the place that it has now. `None` if retention removed it.
pub(crate) fn open(stream: &Stream, segment: &Segment) -> Result<Option<SegmentReader>> {
    let path = segment_path(&stream.dir, segment.number, segment.form);
    if let Some(reader) = SegmentReader::open(&path, segment.form, segment.bytes)? {
        return Ok(Some(reader));
    }
    // It may have been packed since the view was made. The lines are the same.
    let path = segment_path(&stream.dir, segment.number, Form::Packed);
    match SegmentReader::open(&path, Form::Packed, u64::MAX)? {
        // It may have gone to the far store before or since.
        None => stream.open_far(segment),
        reader => Ok(reader),
    }
}

/// Calls `visit` with the frames of a segment, until it answers `false`.
fn each_frame(
    stream: &Stream,
    segment: &Segment,
    visit: impl FnMut(&mut SegmentReader, Frame) -> Result<bool>,
) -> Result<()> {
    match open(stream, segment)? {
        Some(mut reader) => visit_frames(stream, &mut reader, visit),
        None => Ok(()),
    }
}

/// Calls `visit` with the frames from where the reader is on, until it answers `false`.
pub(crate) fn visit_frames(
    stream: &Stream,
    reader: &mut SegmentReader,
    mut visit: impl FnMut(&mut SegmentReader, Frame) -> Result<bool>,
) -> Result<()> {
    while let Some(frame) = reader.next_frame()? {
        if !visit(reader, frame)? {
            break;
        }
    }
    if reader.damaged > 0 {
        stream.report_damage(reader.path(), reader.damaged);
    }
    Ok(())
}

//! Packing: a segment that nobody writes to any more is replaced by a smaller one with the same lines.
//!
//! Guarantees: the packed file gets its name when it is whole and on the disk, and the plain one
//! goes after that, so at every moment one of them has the lines; what was packed was unpacked once to
//! see that it is the same.
//!
//! Readers are not waited for: who still looks for the plain file finds the packed one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::PoisonError;

use tose_api::Timestamp;

use super::{Segment, State, Stream, Turn, segment_path};
use crate::block::Block;
use crate::error::{Error, Result};
use crate::frame::{self, SEGMENT_HEADER_LEN, SegmentHeader, Span};
use crate::pack::{self, Tools};
use crate::segment::{Form, SegmentReader};

/// A newest segment that has less than this part of a full one waits for more lines.
const MIN_IDLE_PART: u64 = 16;
/// The same for a stream that gets no more lines.
const MIN_FINISHED_PART: u64 = 256;

/// A segment to pack.
struct Job {
    segment: Segment,
    /// The times of the segment before.
    previous: Option<Span>,
    /// How often the stream had been removed.
    removals: u64,
}

impl Stream {
    /// Closes the newest segment if its last line is older, or no more can come, so that it is packed.
    pub(crate) fn close_idle(&self, idle_since: Timestamp) -> Result<()> {
        let mut turn = Turn(self.lock());
        let state = turn.state(self)?;
        let is_finished = state.view.is_finished;
        let Some(newest) = state.view.segments.last_mut() else {
            return Ok(());
        };
        let is_idle = newest.span.is_some_and(|span| span.latest < idle_since);
        let part = match is_finished {
            true => MIN_FINISHED_PART,
            false => MIN_IDLE_PART,
        };
        let is_worth_it = newest.bytes >= self.segment_bytes / part;
        if newest.form == Form::Plain && (is_idle || is_finished) && is_worth_it {
            newest.is_closed = true;
            state.has_full = true;
        }
        Ok(())
    }

    /// Packs the oldest segment that can be, if the stream is in use. Answers whether there was one.
    pub(crate) fn pack_next(&self, tools: &mut Tools) -> Result<bool> {
        let _one_at_a_time = self.packing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(job) = self.find_job() else {
            return Ok(false);
        };
        let new = segment_path(&self.dir, job.segment.number, Form::Packed).with_extension("new");
        match write_packed(&self.dir, &job, &new, tools) {
            Ok(bytes) => self.take_over(&job, &new, bytes)?,
            // The stream or its oldest lines were removed meanwhile.
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let _ = fs::remove_file(&new);
                return Err(error);
            }
        }
        Ok(true)
    }

    fn find_job(&self) -> Option<Job> {
        let mut guard = self.lock();
        let state = guard.as_mut().filter(|state| state.has_full)?;
        let newest = state.view.segments.len().saturating_sub(1);
        let is_full = |(index, segment): &(usize, &Segment)| {
            segment.form == Form::Plain && (*index < newest || segment.is_closed)
        };
        let Some((index, segment)) = state.view.segments.iter().enumerate().find(is_full) else {
            state.has_full = false;
            return None;
        };
        let before = index
            .checked_sub(1)
            .map(|index| &state.view.segments[index]);
        Some(Job {
            segment: segment.clone(),
            previous: before.and_then(|segment| segment.span),
            removals: self.removals(),
        })
    }

    /// Gives the packed segment its name, if its lines are still wanted.
    fn take_over(&self, job: &Job, new: &Path, bytes: u64) -> Result<()> {
        let number = job.segment.number;
        let mut guard = self.lock();
        let segment = match guard.as_mut() {
            Some(state) if self.removals() == job.removals => state.find_plain(number),
            _ => None,
        };
        let Some(segment) = segment else {
            drop(guard);
            return fs::remove_file(new).map_err(Error::io("remove", new));
        };
        let packed = segment_path(&self.dir, number, Form::Packed);
        fs::rename(new, &packed).map_err(Error::io("name", &packed))?;
        segment.form = Form::Packed;
        segment.bytes = bytes;
        let state = guard.as_mut().expect("it was there a moment ago");
        if state
            .view
            .segments
            .last()
            .is_some_and(|newest| newest.number == number)
        {
            state.writer = None;
        }
        drop(guard);
        super::sync_files(&self.dir, None, true)?;
        let plain = segment_path(&self.dir, number, Form::Plain);
        fs::remove_file(&plain).map_err(Error::io("remove", &plain))
    }
}

impl State {
    fn find_plain(&mut self, number: u32) -> Option<&mut Segment> {
        let mut segments = self.view.segments.iter_mut();
        segments.find(|segment| segment.number == number && segment.form == Form::Plain)
    }
}

/// Writes the packed file, through to the disk. Answers its size.
fn write_packed(dir: &Path, job: &Job, new: &Path, tools: &mut Tools) -> Result<u64> {
    let mut out = Output {
        file: File::create(new).map_err(Error::io("create", new))?,
        path: new,
        bytes: 0,
        tools,
    };
    out.write(
        &SegmentHeader {
            first_seq: job.segment.first_seq,
            previous: job.previous,
        }
        .encode(),
    )?;
    debug_assert_eq!(out.bytes, SEGMENT_HEADER_LEN as u64);
    let plain = segment_path(dir, job.segment.number, Form::Plain);
    let reader = SegmentReader::open(&plain, Form::Plain, job.segment.bytes)?;
    let Some(mut reader) = reader else {
        return Err(Error::io("open", &plain)(io::ErrorKind::NotFound.into()));
    };
    let mut block = Block::new(job.segment.first_seq);
    let mut end = None;
    while let Some(frame) = reader.next_frame()? {
        if frame.header.is_end() {
            end = Some(frame.header.first_seq);
            continue;
        }
        let Some(found) = reader.block(&frame)? else {
            continue;
        };
        let mut from = 0;
        while from < found.lines.len() {
            let taken = block.take_from(&found, from, pack::FULL_TEXT, pack::MAX_LINES);
            if taken == 0 {
                out.write_block(&block)?;
                block = Block::new(found.seq(from));
            }
            from += taken;
        }
    }
    out.write_block(&block)?;
    if let Some(next_seq) = end {
        out.write(&frame::encode_end(next_seq))?;
    }
    out.file.sync_all().map_err(Error::io("sync", new))?;
    Ok(out.bytes)
}

/// A packed file in the making.
struct Output<'a> {
    file: File,
    path: &'a Path,
    bytes: u64,
    tools: &'a mut Tools,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(Error::io("write", self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn write_block(&mut self, block: &Block) -> Result<()> {
        if block.lines.is_empty() {
            return Ok(());
        }
        let frame = self
            .tools
            .pack(block)
            .map_err(Error::io("pack", self.path))?;
        self.write(&frame)
    }
}

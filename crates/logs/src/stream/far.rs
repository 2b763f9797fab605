//! A stream's part in the second tier: its full segments are copied to the far store, and read from there.
//!
//! Guarantees: a segment's own file goes when its marker is on the disk, and that comes when what the far
//! store has was read back and is the same. Who looks for a file that went finds the marker. The
//! newest segment stays here: it knows the next line's number.
//!
//! Not here: what is shared by all streams (see `crate::far`).

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tose_api::Timestamp;
use tose_api::log::LogSource;

use super::{Segment, State, Stream, Turn, View, segment_path, sync_files};
use crate::block::Block;
use crate::error::{Error, Result};
use crate::far::cache::Fault;
use crate::far::marker::{self, Marker, OutputMark, PodMark};
use crate::far::{Content, FarError, Measure, gone, name_of};
use crate::query;
use crate::segment::{Form, SegmentReader};

/// Where a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a file of its own.
    Here,
    /// There too, and in the far store.
    Both,
    /// In the far store alone.
    Far,
}

/// A segment to copy.
struct Job {
    /// A stream of this segment alone.
    view: View,
    /// How often the stream had been removed.
    removals: u64,
}

impl Job {
    fn segment(&self) -> &Segment {
        &self.view.segments[0]
    }
}

impl Stream {
    /// Copies the segments that can be, and removes the files of those that were copied and have no
    /// line that is as new as `drop_before`.
    pub(crate) fn move_far(&self, drop_before: Timestamp) -> Result<()> {
        let _pass = self.tier.pass();
        let mut copied = Ok(true);
        while matches!(copied, Ok(true)) {
            copied = self.copy_next();
        }
        // What is there is there, also when the far store does not take more.
        self.drop_files(drop_before)?;
        copied.map(drop)
    }

    /// Copies the oldest segment that is not in the far store. Answers whether there was one.
    fn copy_next(&self) -> Result<bool> {
        let Some(job) = self.find_copy()? else {
            return Ok(false);
        };
        let number = job.segment().number;
        let path = segment_path(&self.dir, number, Form::Packed);
        let Some(content) = measure(&path)? else {
            // Retention was faster.
            return Ok(true);
        };
        let far = self.tier.attached().map_err(Error::FarWork)?;
        // What has the name is to be deleted first.
        if !self.tier.note(self.id, number)? {
            return Ok(false);
        }
        let name = name_of(self.id, number);
        let ticket = match File::open(&path) {
            Ok(file) => far.store.put(&name, file).map_err(Error::FarWork)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        far.get(&name, &ticket, content, &mut io::sink())
            .map_err(Error::FarWork)?;
        let marker = self.describe(&job, content, ticket)?;
        self.take_note_of(&job, &marker)?;
        Ok(true)
    }

    fn find_copy(&self) -> Result<Option<Job>> {
        let mut turn = Turn(self.lock());
        let view = &turn.state(self)?.view;
        let older = view
            .segments
            .split_last()
            .map_or(&[][..], |(_, older)| older);
        let is_next =
            |segment: &Segment| segment.form == Form::Packed && segment.place == Place::Here;
        let Some(index) = older.iter().position(is_next) else {
            return Ok(None);
        };
        Ok(Some(Job {
            view: View {
                segments: vec![view.segments[index].clone()],
                next_seq: view.end_seq(index),
                is_finished: false,
            },
            removals: self.removals(),
        }))
    }

    fn describe(&self, job: &Job, content: Content, ticket: Vec<u8>) -> Result<Marker> {
        let mut seen = Vec::new();
        if let Some(mut reader) = query::open(self, job.segment())? {
            query::visit_frames(self, &mut reader, |reader, frame| {
                if let Some(block) = reader.block(&frame)? {
                    look_for_pods(&mut seen, &block);
                }
                Ok(true)
            })?;
        }
        Ok(Marker {
            first_seq: job.segment().first_seq,
            next_seq: job.view.next_seq,
            span: job.segment().span,
            content,
            ticket,
            pods: seen.into_iter().map(Seen::into_mark).collect(),
            days: query::daily(self, &job.view)?,
        })
    }

    /// Gives the segment its marker, if its lines are still wanted. Otherwise the note stays.
    fn take_note_of(&self, job: &Job, marker: &Marker) -> Result<()> {
        let number = job.segment().number;
        let new = match marker.write_new(&self.dir, number) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(());
            }
            other => other?,
        };
        let mut guard = self.lock();
        let segment = match guard.as_mut() {
            Some(state) if self.removals() == job.removals => state.find_segment(number),
            _ => None,
        };
        let Some(segment) = segment else {
            return gone(fs::remove_file(&new)).map_err(Error::io("remove", &new));
        };
        let path = marker::path(&self.dir, number);
        fs::rename(&new, &path).map_err(Error::io("name", &path))?;
        segment.place = Place::Both;
        // The lock is held until the note is gone: who gives the marker up makes one of it.
        sync_files(&self.dir, None, true)?;
        self.tier.remove_note(self.id, number)
    }

    /// Removes the files of copied segments that have no line as new as this.
    fn drop_files(&self, drop_before: Timestamp) -> Result<()> {
        let mut turn = Turn(self.lock());
        let state = turn.state(self)?;
        let is_due = |segment: &Segment| {
            let is_old = segment.span.is_none_or(|span| span.latest < drop_before);
            segment.place == Place::Both && is_old
        };
        let newest = state.view.segments.last().map(|newest| newest.number);
        let is_newest = |segment: &Segment| Some(segment.number) == newest;
        let mut is_synced = false;
        for index in 0..state.view.segments.len() {
            let segment = &state.view.segments[index];
            if !is_due(segment) || is_newest(segment) {
                continue;
            }
            if !is_synced {
                // The marker may have been named by a process that was killed a moment later.
                sync_files(&self.dir, None, true)?;
                is_synced = true;
            }
            let path = state.segment_path(index);
            gone(fs::remove_file(&path)).map_err(Error::io("remove", &path))?;
            state.view.segments[index].place = Place::Far;
            state.is_dir_dirty = true;
        }
        Ok(())
    }

    /// Opens a segment that has no file of its own. `None` if it is gone altogether.
    pub(crate) fn open_far(&self, segment: &Segment) -> Result<Option<SegmentReader>> {
        let number = segment.number;
        let Some(marker) = marker::read(&self.dir, number)? else {
            return Ok(None);
        };
        let Some(marker) = marker else {
            self.report_damage(&marker::path(&self.dir, number), 1);
            return Ok(None);
        };
        let opened = self.tier.attached().map_err(Fault::Far).and_then(|far| {
            let name = name_of(self.id, number);
            let content = marker.content;
            let key = content.key(self.id, number);
            far.cache.read(key, content.bytes, |into| {
                far.get(&name, &marker.ticket, content, into)
            })
        });
        match opened {
            Ok(reader) => Ok(Some(reader)),
            Err(Fault::Here(error)) => Err(error),
            Err(Fault::Far(_)) if marker::read(&self.dir, number)? != Some(Some(marker)) => {
                // It was removed meanwhile.
                Ok(None)
            }
            Err(Fault::Far(source)) => Err(self.far_error(segment, source)),
        }
    }

    fn far_error(&self, segment: &Segment, source: FarError) -> Error {
        Error::Far {
            stream: self.id,
            oldest: segment.span.map(|span| span.earliest),
            newest: segment.span.map(|span| span.latest),
            source,
        }
    }

    /// What is known here of a segment that is in the far store alone.
    pub(crate) fn marker(&self, segment: &Segment) -> Result<Option<Marker>> {
        match segment.place {
            Place::Far => Ok(marker::read(&self.dir, segment.number)?.flatten()),
            Place::Here | Place::Both => Ok(None),
        }
    }

    /// Whether a segment can be opened without waiting for the far store, or is gone.
    pub(crate) fn is_at_hand(&self, segment: &Segment) -> Result<bool> {
        let Some(marker) = self.marker(segment)? else {
            return Ok(true);
        };
        let key = marker.content.key(self.id, segment.number);
        Ok(self.tier.attached().is_ok_and(|far| far.cache.has(key)))
    }

    /// Fetches a segment of the far store, unless it is here or gone.
    pub(crate) fn fetch(&self, segment: &Segment) -> Result<()> {
        self.open_far(segment).map(drop)
    }

    /// Whether a segment is known to have no line of this pod, without fetching it.
    pub(crate) fn far_lacks_pod(&self, segment: &Segment, pod: &str) -> Result<bool> {
        let marker = self.marker(segment)?;
        Ok(marker.is_some_and(|marker| marker.pod(pod).is_none()))
    }
}

impl Marker {
    /// How many lines of a pod's output have this time; `None` if only the segment says it.
    pub(crate) fn count_output(&self, pod: &str, time: Timestamp) -> Option<usize> {
        let Some(output) = self.pod(pod).and_then(|pod| pod.output) else {
            return Some(0);
        };
        if time > output.latest {
            return Some(0);
        }
        let count = usize::try_from(output.count).unwrap_or(usize::MAX);
        (time == output.last).then_some(count)
    }
}

impl State {
    fn find_segment(&mut self, number: u32) -> Option<&mut Segment> {
        let mut segments = self.view.segments.iter_mut();
        segments.find(|segment| segment.number == number)
    }
}

/// The length and the checksum of a file; `None` if it is gone.
fn measure(path: &Path) -> Result<Option<Content>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let mut measure = Measure::default();
    io::copy(&mut file, &mut measure).map_err(Error::io("read", path))?;
    Ok(Some(measure.content()))
}

/// What was seen of a pod: the times of its output's lines.
struct Seen {
    name: Box<str>,
    times: Vec<Timestamp>,
}

impl Seen {
    fn into_mark(self) -> PodMark {
        let last = self.times.last().copied();
        let latest = self.times.iter().max().copied();
        let output = last.zip(latest).map(|(last, latest)| OutputMark {
            last,
            count: self.times.iter().filter(|time| **time == last).count() as u64,
            latest,
        });
        PodMark {
            name: self.name,
            output,
        }
    }
}

fn look_for_pods(seen: &mut Vec<Seen>, block: &Block) {
    for (index, line) in block.lines.iter().enumerate() {
        let name = block.pod_of(index);
        let at = seen.iter().rposition(|pod| &*pod.name == name);
        let at = at.unwrap_or_else(|| {
            seen.push(Seen {
                name: name.into(),
                times: Vec::new(),
            });
            seen.len() - 1
        });
        if matches!(line.source, LogSource::Stdout | LogSource::Stderr) {
            seen[at].times.push(line.time);
        }
    }
}

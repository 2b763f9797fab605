//! One stream's segments, and everything that changes them.
//!
//! Guarantees: a line that `append` took gets the number after the line before it, also after a
//! restart; what is past the end that [`State`] knows is never read, and is cut before anything is
//! written there.
//!
//! Assumption: one process has the directory open.
//!
//! Not here: reading lines (see `query`), and when to write through to the disk (see `sync`).

mod far;
mod load;
mod packing;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use tose_api::Timestamp;
use tose_model::log::LogLine;

use crate::batch::Recent;
use crate::error::{Error, Result};
use crate::far::{Tier, gone};
use crate::frame::{self, LastLevels, SEGMENT_HEADER_LEN, SegmentHeader, Span};
use crate::segment::{self, Form};
use crate::{Record, Stats, StreamId};

pub(crate) use far::Place;

/// The most bytes of a batch that go into one write.
const MAX_WRITE: usize = 4 << 20;

/// A stream that somebody uses or used a moment ago.
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) dir: PathBuf,
    segment_bytes: u64,
    /// Where old segments go.
    pub(crate) tier: Arc<Tier>,
    /// Never locked across an `await`: somebody whose future nobody polls would hold all others up.
    state: Mutex<Option<State>>,
    /// Held by the one who packs.
    packing: Mutex<()>,
    /// Changes whenever a follower has something to look at.
    changes: watch::Sender<()>,
    /// What was added last, for followers.
    pub(crate) recent: Recent,
    /// How often the stream was removed.
    removals: AtomicU64,
    /// Whether it was used since the last look.
    is_used: AtomicBool,
    /// Whether damage was reported since the stream is in use. Once is enough.
    is_damage_reported: AtomicBool,
}

/// What is known of the stream's files.
pub(crate) struct State {
    id: StreamId,
    dir: PathBuf,
    segment_bytes: u64,
    view: View,
    /// The newest segment, open for writing.
    writer: Option<Arc<File>>,
    /// Whether the newest segment has bytes that may not be on the disk.
    is_dirty: bool,
    /// Segments before the newest that may have such bytes as well. Who writes does not wait for them.
    unsynced: Vec<Arc<File>>,
    /// Whether files came or went since the directories were last written through.
    is_dir_dirty: bool,
    /// Whether the end record is known to be on the disk.
    is_end_durable: bool,
    /// Whether there may be segments to pack.
    has_full: bool,
    /// Of the lines since the stream was loaded.
    last_levels: LastLevels,
}

/// What readers need to know: which bytes count.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// From the oldest to the newest.
    pub(crate) segments: Vec<Segment>,
    pub(crate) next_seq: u64,
    pub(crate) is_finished: bool,
}

/// A segment file.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) form: Form,
    pub(crate) place: Place,
    pub(crate) first_seq: u64,
    /// How many bytes count. The newest segment may have more, which were torn off.
    pub(crate) bytes: u64,
    /// The times of its lines.
    pub(crate) span: Option<Span>,
    /// Whether nothing is added any more, though it is the newest.
    pub(crate) is_closed: bool,
}

impl View {
    /// The number of the oldest line that is still there.
    pub(crate) fn first_seq(&self) -> u64 {
        self.segments
            .first()
            .map_or(self.next_seq, |segment| segment.first_seq)
    }

    /// The number after the last line of the segment at `index`.
    pub(crate) fn end_seq(&self, index: usize) -> u64 {
        self.segments
            .get(index + 1)
            .map_or(self.next_seq, |segment| segment.first_seq)
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
}

impl Stream {
    pub(crate) fn new(id: StreamId, root: &Path, segment_bytes: u64, tier: Arc<Tier>) -> Self {
        Self {
            id,
            dir: root.join(id.to_string()),
            segment_bytes,
            tier,
            state: Mutex::default(),
            packing: Mutex::default(),
            changes: watch::Sender::new(()),
            recent: Recent::default(),
            removals: AtomicU64::new(0),
            is_used: AtomicBool::new(true),
            is_damage_reported: AtomicBool::new(false),
        }
    }

    /// Runs `work` with the stream's state where it may block. Once this was polled, the work is
    /// done even if nobody waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self, Turn<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        blocking(move || {
            self.is_used.store(true, Ordering::Relaxed);
            work(&self, Turn(self.lock()))
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // What somebody who panicked left behind is not trusted: the files know better.
            let mut guard = poisoned.into_inner();
            *guard = None;
            self.state.clear_poison();
            guard
        })
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(crate) fn readers(&self) -> usize {
        self.changes.receiver_count()
    }

    pub(crate) fn removals(&self) -> u64 {
        self.removals.load(Ordering::Acquire)
    }

    /// Adds lines.
    pub(crate) fn append(&self, mut turn: Turn<'_>, lines: Vec<LogLine>) -> Result<()> {
        let is_followed = self.changes.receiver_count() > 0;
        let result = turn.state(self)?.append(lines, is_followed);
        let result = match result {
            Ok(added) if is_followed => {
                added
                    .into_iter()
                    .for_each(|records| self.recent.push(records));
                Ok(())
            }
            // Whoever begins to follow now looks into the files first.
            other => {
                self.recent.clear();
                other.map(drop)
            }
        };
        drop(turn);
        // Also after a failure: a first part of the lines may be there.
        self.changes.send_replace(());
        result
    }

    /// Adds the end record, and writes everything through to the disk.
    pub(crate) fn finish(&self, mut turn: Turn<'_>) -> Result<()> {
        let result = turn.state(self)?.finish();
        self.recent.clear();
        drop(turn);
        self.changes.send_replace(());
        result
    }

    /// Removes old segments.
    pub(crate) fn enforce_retention(
        &self,
        mut turn: Turn<'_>,
        max_bytes: u64,
        older_than: Timestamp,
    ) -> Result<u64> {
        let state = turn.state(self)?;
        state.enforce_retention(&self.tier, max_bytes, older_than)
    }

    /// Removes everything.
    pub(crate) fn remove(&self, mut turn: Turn<'_>) -> Result<()> {
        *turn.0 = None;
        self.tier.disown_all(self.id, &self.dir)?;
        remove_stream_dir(&self.dir)?;
        self.removals.fetch_add(1, Ordering::Release);
        self.recent.clear();
        drop(turn);
        self.changes.send_replace(());
        Ok(())
    }

    /// Writes what may not be on the disk through to it.
    pub(crate) fn sync(&self) -> Result<()> {
        let (older, newest, is_dir_dirty) = {
            let mut guard = self.lock();
            let Some(state) = guard.as_mut() else {
                return Ok(());
            };
            let newest = match state.is_dirty {
                true => Some(state.open_writer()?),
                false => None,
            };
            state.is_dirty = false;
            let is_dir_dirty = std::mem::take(&mut state.is_dir_dirty);
            (state.unsynced.clone(), newest, is_dir_dirty)
        };
        // Without the lock, so that the writer does not wait for the disk.
        let files = older.iter().chain(&newest);
        let result = sync_files(&self.dir, files, is_dir_dirty);
        if let Some(state) = self.lock().as_mut() {
            match &result {
                Ok(()) => state.forget_synced(&older),
                Err(_) => {
                    state.is_dirty |= newest.is_some();
                    state.is_dir_dirty |= is_dir_dirty;
                }
            }
        }
        result
    }

    pub(crate) fn report_damage(&self, path: &Path, places: u64) {
        if !self.is_damage_reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                stream = %self.id,
                segment = %path.display(),
                places,
                "a log is damaged: some of its lines cannot be read"
            );
        }
    }

    /// Closes the file if nobody used the stream since the last call, and tells whether the stream
    /// can be forgotten if nobody holds it.
    pub(crate) fn rest(&self) -> bool {
        if self.changes.receiver_count() == 0 {
            self.recent.clear();
        }
        if self.is_used.swap(false, Ordering::Relaxed) {
            return false;
        }
        let Ok(mut guard) = self.state.try_lock() else {
            return false;
        };
        let Some(state) = guard.as_mut() else {
            return true;
        };
        if state.is_dirty || state.is_dir_dirty || !state.unsynced.is_empty() {
            return false;
        }
        state.writer = None;
        true
    }
}

/// Runs work that waits for files where waiting holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Stopped),
        },
    }
}

/// The right to be the only one who works on a stream's state.
pub(crate) struct Turn<'a>(MutexGuard<'a, Option<State>>);

impl Turn<'_> {
    /// The state, read from the directory if nobody did so lately.
    fn state(&mut self, stream: &Stream) -> Result<&mut State> {
        let slot = &mut *self.0;
        if slot.is_none() {
            *slot = Some(State::load(stream)?);
        }
        Ok(slot.as_mut().expect("it was just put there"))
    }

    /// What readers need to know; gives the turn to the next in line.
    pub(crate) fn view(mut self, stream: &Stream) -> Result<View> {
        Ok(self.state(stream)?.view.clone())
    }

    pub(crate) fn stats(mut self, stream: &Stream) -> Result<Stats> {
        let view = &self.state(stream)?.view;
        let span = |span: &Segment| span.span;
        Ok(Stats {
            lines: view.next_seq.saturating_sub(view.first_seq()),
            bytes: view.bytes(),
            oldest: view
                .segments
                .iter()
                .find_map(span)
                .map(|span| span.earliest),
            newest: view
                .segments
                .iter()
                .rev()
                .find_map(span)
                .map(|span| span.latest),
        })
    }
}

impl State {
    fn load(stream: &Stream) -> Result<Self> {
        Ok(Self {
            id: stream.id,
            dir: stream.dir.clone(),
            segment_bytes: stream.segment_bytes,
            view: load::load_view(stream)?,
            writer: None,
            is_dirty: false,
            unsynced: Vec::new(),
            is_dir_dirty: false,
            is_end_durable: false,
            has_full: true,
            last_levels: LastLevels::default(),
        })
    }

    /// Writes lines, and answers them as they were written if somebody wants to know.
    fn append(&mut self, lines: Vec<LogLine>, is_followed: bool) -> Result<Vec<Vec<Record>>> {
        if self.view.is_finished {
            return Err(Error::Finished(self.id));
        }
        frame::check(&lines)?;
        let mut added = Vec::new();
        let mut lines = lines.into_iter();
        loop {
            let next_seq = self.view.next_seq;
            let levels = &mut self.last_levels;
            let Some(encoded) = frame::encode(&mut lines, next_seq, MAX_WRITE, levels) else {
                break;
            };
            self.write(&encoded.bytes)?;
            self.view.next_seq += encoded.count;
            let newest = self.view.segments.last_mut().expect("written to");
            newest.span = Span::join(newest.span, encoded.span);
            if is_followed {
                added.push(frame::decode_all(&encoded.bytes));
            }
        }
        Ok(added)
    }

    fn finish(&mut self) -> Result<()> {
        if !self.view.is_finished {
            self.write(&frame::encode_end(self.view.next_seq))?;
            self.view.is_finished = true;
        }
        if !self.is_end_durable {
            let newest = self.open_writer()?;
            // The older ones and the directory too, even if another sync may just be at it.
            sync_files(&self.dir, self.unsynced.iter().chain([&newest]), true)?;
            self.is_dirty = false;
            self.unsynced.clear();
            self.is_dir_dirty = false;
            self.is_end_durable = true;
        }
        Ok(())
    }

    /// Writes frames at the end of the newest segment, or to a new one if they do not fit.
    fn write(&mut self, frames: &[u8]) -> Result<()> {
        let full_at = full_at(self.segment_bytes, self.view.bytes());
        let is_full = self.view.segments.last().is_none_or(|newest| {
            newest.is_closed
                || newest.form == Form::Packed
                || (newest.bytes > SEGMENT_HEADER_LEN as u64
                    && newest.bytes + frames.len() as u64 > full_at)
        });
        if is_full {
            self.start_segment()?;
        }
        let file = self.open_writer()?;
        let newest = self.view.segments.len() - 1;
        let segment = &self.view.segments[newest];
        let result = if segment.bytes == 0 {
            let previous = newest
                .checked_sub(1)
                .and_then(|index| self.view.segments[index].span);
            let header = SegmentHeader {
                first_seq: segment.first_seq,
                previous,
            };
            let bytes = [&header.encode(), frames].concat();
            file.write_all_at(&bytes, 0).map(|()| bytes.len())
        } else {
            file.write_all_at(frames, segment.bytes)
                .map(|()| frames.len())
        };
        self.is_dirty = true;
        match result {
            Ok(written) => {
                self.view.segments[newest].bytes += written as u64;
                Ok(())
            }
            Err(source) => {
                // The next writer begins by cutting what was half written.
                self.writer = None;
                Err(Error::io("write", &self.segment_path(newest))(source))
            }
        }
    }

    /// Takes note that these files are on the disk.
    fn forget_synced(&mut self, files: &[Arc<File>]) {
        let is_other = |file: &Arc<File>| !files.iter().any(|synced| Arc::ptr_eq(synced, file));
        self.unsynced.retain(is_other);
    }

    /// Makes the next segment the newest. Its file comes with the first write.
    fn start_segment(&mut self) -> Result<()> {
        if self.is_dirty && !self.view.segments.is_empty() {
            let file = self.open_writer()?;
            self.unsynced.push(file);
            self.is_dirty = false;
        }
        self.writer = None;
        let number = self.view.segments.last().map_or(0, |newest| newest.number) + 1;
        self.view.segments.push(Segment {
            number,
            form: Form::Plain,
            place: Place::Here,
            first_seq: self.view.next_seq,
            bytes: 0,
            span: None,
            is_closed: false,
        });
        self.has_full = true;
        Ok(())
    }

    /// The newest segment, open for writing and without anything after the bytes that count.
    fn open_writer(&mut self) -> Result<Arc<File>> {
        if let Some(file) = &self.writer {
            return Ok(Arc::clone(file));
        }
        let newest = self.view.segments.len() - 1;
        let path = self.segment_path(newest);
        fs::create_dir_all(&self.dir).map_err(Error::io("create", &self.dir))?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let len = file.metadata().map_err(Error::io("examine", &path))?.len();
        let valid_len = self.view.segments[newest].bytes;
        if len > valid_len {
            tracing::warn!(
                stream = %self.id,
                segment = %path.display(),
                bytes = len - valid_len,
                "cut an incomplete write off the end of a log"
            );
            file.set_len(valid_len).map_err(Error::io("cut", &path))?;
            self.is_dirty = true;
        }
        self.is_dir_dirty |= valid_len == 0;
        let file = Arc::new(file);
        self.writer = Some(Arc::clone(&file));
        Ok(file)
    }

    fn enforce_retention(
        &mut self,
        tier: &Tier,
        max_bytes: u64,
        older_than: Timestamp,
    ) -> Result<u64> {
        let first_seq = self.view.first_seq();
        // The newest segment stays: it knows the next line's number.
        while self.view.segments.len() > 1 {
            let oldest = &self.view.segments[0];
            let is_old = oldest.span.is_none_or(|span| span.latest < older_than);
            if !is_old && self.view.bytes() <= max_bytes {
                break;
            }
            let (place, number) = (oldest.place, oldest.number);
            if place != Place::Here {
                tier.disown(self.id, &self.dir, number)?;
            }
            let path = self.segment_path(0);
            gone(fs::remove_file(&path)).map_err(Error::io("remove", &path))?;
            self.view.segments.remove(0);
            self.is_dir_dirty = true;
        }
        Ok(self.view.first_seq().saturating_sub(first_seq))
    }

    fn segment_path(&self, index: usize) -> PathBuf {
        let segment = &self.view.segments[index];
        segment_path(&self.dir, segment.number, segment.form)
    }
}

/// The size at which a segment of a stream with this many bytes is full: long streams have longer
/// segments, so that there are not too many of them.
fn full_at(segment_bytes: u64, stream_bytes: u64) -> u64 {
    (stream_bytes / 128).clamp(segment_bytes, segment_bytes * 8)
}

pub(crate) fn segment_path(dir: &Path, number: u32, form: Form) -> PathBuf {
    dir.join(segment::file_name(number, form))
}

/// Removes a stream's directory so that what is left after a crash is no stream.
fn remove_stream_dir(dir: &Path) -> Result<()> {
    let doomed = dir.with_extension(REMOVED);
    remove_dir(&doomed)?;
    match fs::rename(dir, &doomed) {
        Ok(()) => remove_dir(&doomed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("rename", dir)(error)),
    }
}

/// The file name extension of a directory that is being removed.
pub(crate) const REMOVED: &str = "removed";

pub(crate) fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", dir)(error))
        }
        _ => Ok(()),
    }
}

/// Writes segments of a stream and, where files came or went, its directories through.
fn sync_files<'a>(
    dir: &Path,
    files: impl IntoIterator<Item = &'a Arc<File>>,
    is_dir_dirty: bool,
) -> Result<()> {
    if is_dir_dirty {
        for dir in [Some(dir), dir.parent()].into_iter().flatten() {
            match File::open(dir).and_then(|dir| dir.sync_all()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("sync", dir)(error));
                }
                _ => {}
            }
        }
    }
    for file in files {
        file.sync_data()
            .map_err(Error::io("sync a segment in", dir))?;
    }
    Ok(())
}

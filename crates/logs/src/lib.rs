//! The log store: every line a project's replicas or a build wrote, kept in files of its own.
//!
//! A stream of lines ([`StreamId`]) is a directory with segments; lines are numbered from 1 without
//! a gap, also over restarts. The format is described in `docs/decisions/0004-log-format.md`.
//!
//! Guarantees: what [`LogStore::append`] took survives the end of the process, and after at most a
//! second (or [`LogStore::flush`]) that of the machine. A [`Follower`] gets every line once and in
//! order, at its own pace, and is told where lines are gone.
//!
//! Assumptions: one process has the directory open; all functions but [`LogStore::open`] and
//! [`LogStore::follow`] run in a Tokio runtime.
//!
//! Not here: who may read a log, what a line looks like to a client, and when old lines go.

mod batch;
mod block;
mod bytes;
mod error;
mod far;
mod filter;
mod find;
mod follow;
mod frame;
mod pack;
mod paging;
mod query;
mod segment;
mod stream;
mod stream_id;
mod streams;

use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use tose_api::Timestamp;
use tose_api::log::LogLevel;
use tose_model::log::LogLine;

pub use batch::Batch;
pub use error::{Error, Result};
pub use far::{FarError, FarStore};
pub use find::{Direction, Page, Query};
pub use follow::{Event, FollowFrom, Follower};
pub use stream_id::StreamId;

use crate::pack::Tools;
use crate::query::Cursor;
use crate::stream::{Stream, Turn};
use crate::streams::Streams;

/// The size at which a stream's first segments are full; see `stream::full_at`.
const SEGMENT_BYTES: u64 = 1 << 20;

/// A line and its number in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The number: the first line has 1.
    pub seq: u64,
    /// The level that its text names, or that of the line that it goes on with.
    pub level: Option<LogLevel>,
    /// The line.
    pub line: LogLine,
}

/// How far a pod's output is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The time of the pod's last stored line.
    pub time: Timestamp,
    /// How many stored lines of the pod have exactly that time.
    pub count: usize,
}

/// What a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// The number of lines, including those that damage has made unreadable.
    pub lines: u64,
    /// The size of its segments, wherever they are.
    pub bytes: u64,
    /// The earliest time in its oldest segment.
    pub oldest: Option<Timestamp>,
    /// The latest time in its newest segment.
    pub newest: Option<Timestamp>,
}

/// What a stream holds of a day (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Its first moment.
    pub start: Timestamp,
    /// The number of lines.
    pub lines: u64,
    /// How long their texts are, in bytes.
    pub bytes: u64,
    /// How many lines name the level `error`.
    pub errors: u64,
}

/// When full segments are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// Soon after they are full.
    InBackground,
    /// When [`LogStore::compact`] is called.
    #[cfg(test)]
    OnRequest,
}

/// A directory of streams. Cloning it gives another handle to the same.
#[derive(Clone)]
pub struct LogStore {
    streams: Arc<Streams>,
}

impl LogStore {
    /// Opens the store in this directory, which is made if it is not there.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, SEGMENT_BYTES, Packing::InBackground)
    }

    fn open_with(dir: &Path, segment_bytes: u64, packing: Packing) -> Result<Self> {
        let streams = Streams::open(dir, segment_bytes, packing)?;
        Ok(Self { streams })
    }

    /// Gives the store a second tier. Copies of what is read there take `cache_bytes` at most. A tier
    /// that it has already stays.
    pub fn attach_far_store(&self, far: Arc<dyn FarStore>, cache_bytes: u64) -> Result<()> {
        self.streams.tier().attach(far, cache_bytes)
    }

    /// Copies the segments to the far store that are packed and not the newest, and removes the files
    /// of those that are there and have no line as new as `drop_before`.
    pub async fn move_far(&self, stream: StreamId, drop_before: Timestamp) -> Result<()> {
        let stream = self.streams.get(stream);
        stream::blocking(move || stream.move_far(drop_before)).await
    }

    /// Deletes from the far store what retention and removals left there.
    pub async fn delete_unwanted(&self) -> Result<()> {
        let tier = Arc::clone(self.streams.tier());
        stream::blocking(move || tier.delete_unwanted()).await
    }

    /// Adds lines in this order, and returns when the operating system has them. After an error, a
    /// first part of the lines may be stored. Two calls of which neither waits for the other come in
    /// any order.
    pub async fn append(&self, stream: StreamId, lines: Vec<LogLine>) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let append = move |stream: &Stream, turn: Turn<'_>| stream.append(turn, lines);
        self.streams.get(stream).run(append).await
    }

    /// Adds the record that ends the stream, and returns when all of it is on the disk. Finishing
    /// again changes nothing.
    pub async fn finish(&self, stream: StreamId) -> Result<()> {
        self.streams.get(stream).run(Stream::finish).await
    }

    /// Whether the stream has its end record.
    pub async fn is_finished(&self, stream: StreamId) -> Result<bool> {
        let is_finished = |stream: &Stream, turn: Turn<'_>| Ok(turn.view(stream)?.is_finished);
        self.streams.get(stream).run(is_finished).await
    }

    /// Returns when every line that was appended before is on the disk.
    pub async fn flush(&self) -> Result<()> {
        self.streams.flush().await
    }

    /// The last `n` lines, oldest first.
    pub async fn tail(&self, stream: StreamId, n: usize) -> Result<Vec<Record>> {
        let tail = move |stream: &Stream, turn: Turn<'_>| {
            let view = turn.view(stream)?;
            let mut cursor = Cursor::tail(&view, n);
            query::read(stream, &view, &mut cursor, n, usize::MAX)
        };
        self.streams.get(stream).run(tail).await
    }

    /// The first `limit` lines after this number, or the first of all.
    pub async fn read(
        &self,
        stream: StreamId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        let read = move |stream: &Stream, turn: Turn<'_>| {
            let view = turn.view(stream)?;
            let mut cursor = Cursor::at(after.map_or(0, |after| after.saturating_add(1)));
            query::read(stream, &view, &mut cursor, limit, usize::MAX)
        };
        self.streams.get(stream).run(read).await
    }

    /// The lines that a query finds, a page at a time.
    pub async fn find(&self, stream: StreamId, query: Query) -> Result<Page> {
        self.find_in_turns(stream, query, || ready(())).await
    }

    /// The same, for one who takes turns with others: `turn` is called before each look at what is
    /// here, and what it answers is dropped before a segment of the far store is waited for.
    pub async fn find_in_turns<T: Future>(
        &self,
        stream: StreamId,
        query: Query,
        turn: impl Fn() -> T,
    ) -> Result<Page> {
        paging::find_page(&self.streams.get(stream), query, turn).await
    }

    /// What the stream holds of each day, from the first to the last.
    pub async fn daily(&self, stream: StreamId) -> Result<Vec<Day>> {
        let daily = |stream: &Stream, turn: Turn<'_>| {
            let view = turn.view(stream)?;
            query::daily(stream, &view)
        };
        self.streams.get(stream).run(daily).await
    }

    /// Packs what is not packed yet and is not written to any more: full segments, and the newest one
    /// if its last line is older than `idle_since` or the stream is finished.
    pub async fn compact(&self, stream: StreamId, idle_since: Timestamp) -> Result<()> {
        let stream = self.streams.get(stream);
        stream::blocking(move || {
            stream.close_idle(idle_since)?;
            let mut tools = Tools::default();
            while stream.pack_next(&mut tools)? {}
            Ok(())
        })
        .await
    }

    /// Reads the stream from there on, and goes on with what is added. Where that is, is settled
    /// when the follower is first asked for an event.
    pub fn follow(&self, stream: StreamId, from: FollowFrom) -> Follower {
        Follower::new(self.streams.get(stream), from)
    }

    /// How far the standard output and standard error of this pod are stored.
    pub async fn last_position(&self, stream: StreamId, pod: &str) -> Result<Option<Position>> {
        let pod: Box<str> = pod.into();
        let find = move |stream: &Stream, turn: Turn<'_>| {
            let view = turn.view(stream)?;
            query::last_position(stream, &view, &pod)
        };
        self.streams.get(stream).run(find).await
    }

    /// What the stream holds.
    pub async fn stats(&self, stream: StreamId) -> Result<Stats> {
        let stats = |stream: &Stream, turn: Turn<'_>| turn.stats(stream);
        self.streams.get(stream).run(stats).await
    }

    /// Removes the oldest segments while the stream has more than `max_bytes`, and those in which
    /// every line is older than `older_than`. The newest segment stays. Answers how many lines that
    /// were.
    pub async fn enforce_retention(
        &self,
        stream: StreamId,
        max_bytes: u64,
        older_than: Timestamp,
    ) -> Result<u64> {
        let enforce = move |stream: &Stream, turn: Turn<'_>| {
            stream.enforce_retention(turn, max_bytes, older_than)
        };
        self.streams.get(stream).run(enforce).await
    }

    /// Removes the stream. Its followers get the end; lines appended later begin it anew.
    pub async fn remove(&self, stream: StreamId) -> Result<()> {
        self.streams.get(stream).run(Stream::remove).await
    }

    /// The streams that have a directory.
    pub async fn list_streams(&self) -> Result<Vec<StreamId>> {
        self.streams.list().await
    }
}

#[cfg(test)]
mod tests;

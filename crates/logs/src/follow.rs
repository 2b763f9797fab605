//! Reading a stream while it grows.
//!
//! Guarantees: a [`Follower`] gives every line of its stream once and in order from its start on,
//! or says how many are gone; dropping a call's future loses nothing; a follower that is slow costs
//! the writer nothing, because it reads the lines from the files when it is asked for them. One that
//! is up to date gets them from memory, together with all others (see `batch`).
//!
//! How the seam holds: the follower marks the stream's changes as seen before it looks at the
//! files, so what comes after its look wakes it.

use std::sync::Arc;

use tokio::sync::watch;
use tose_api::Timestamp;

use crate::batch::{Batch, FULL_BATCH, Known, MAX_LINES};
use crate::error::Result;
use crate::query::{self, Cursor};
use crate::stream::{Stream, Turn, View};

/// Where a follower begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowFrom {
    /// At the oldest line that is there.
    Start,
    /// At the first of the last lines, of which there are this many.
    Tail(usize),
    /// After the line with this number, or at the end if there is no such line yet.
    After(u64),
    /// At the first line that is not older. Older lines that came later are included.
    Since(Timestamp),
}

/// What a follower gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The next lines: at least one, at most 1000, numbered without a gap.
    Records(Arc<Batch>),
    /// This many lines are gone: retention removed them before they were read, or the file is
    /// damaged.
    Missed(u64),
    /// The stream is finished and all of it was given, or it was removed. Nothing follows but this.
    End,
}

/// Reads a stream from a point on, and waits for what is added.
pub struct Follower {
    stream: Arc<Stream>,
    changes: watch::Receiver<()>,
    /// How often the stream had been removed when following began.
    removals: u64,
    place: Place,
    is_caught_up: bool,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    From(FollowFrom),
    At(Cursor),
}

impl Follower {
    pub(crate) fn new(stream: Arc<Stream>, from: FollowFrom) -> Self {
        Self {
            changes: stream.changes(),
            removals: stream.removals(),
            place: Place::From(from),
            is_caught_up: false,
            stream,
        }
    }

    /// Waits for what comes next. Dropping the future before it is ready loses nothing.
    pub async fn next(&mut self) -> Result<Event> {
        loop {
            self.changes.mark_unchanged();
            if let Some(event) = self.next_ready().await? {
                return Ok(event);
            }
            // The sender is in the stream, which this follower holds: it cannot be gone.
            let _ = self.changes.changed().await;
        }
    }

    /// What comes next if it is stored already.
    pub async fn next_ready(&mut self) -> Result<Option<Event>> {
        if let Some(known) = self.look_into_memory() {
            return Ok(known);
        }
        let (place, removals) = (self.place, self.removals);
        let find = move |stream: &Stream, turn: Turn<'_>| {
            let look = look(stream, &turn.view(stream)?, place)?;
            // If the stream was removed during the look, what was found may be of its successor.
            Ok((stream.removals() == removals).then_some(look))
        };
        let Some(look) = Arc::clone(&self.stream).run(find).await? else {
            self.is_caught_up = true;
            return Ok(Some(Event::End));
        };
        // From here on nothing is awaited: the event is given if the cursor moves.
        self.place = Place::At(look.cursor);
        self.is_caught_up = look.is_caught_up;
        Ok(look.event)
    }

    /// The next lines if they are in memory already: those of a reader that is up to date.
    pub fn take_ready(&mut self) -> Option<Arc<Batch>> {
        match self.look_into_memory()?? {
            Event::Records(batch) => Some(batch),
            Event::Missed(_) | Event::End => None,
        }
    }

    /// How many readers the stream has.
    pub fn readers(&self) -> usize {
        self.stream.readers()
    }

    /// What memory says comes next; `None` if the files have to be asked.
    fn look_into_memory(&mut self) -> Option<Option<Event>> {
        let Place::At(cursor) = self.place else {
            return None;
        };
        if self.stream.removals() != self.removals {
            return None;
        }
        match self.stream.recent.look(cursor.next_seq) {
            Known::Unknown => None,
            Known::Nothing => {
                self.is_caught_up = true;
                Some(None)
            }
            Known::Batch(batch, is_newest) => {
                self.place = Place::At(Cursor::at(batch.next_seq()));
                self.is_caught_up = is_newest;
                Some(Some(Event::Records(batch)))
            }
        }
    }

    /// Whether everything was given that was stored when the last event was asked for.
    pub fn is_caught_up(&self) -> bool {
        self.is_caught_up
    }
}

/// What a look at the stream found.
struct Look {
    event: Option<Event>,
    cursor: Cursor,
    is_caught_up: bool,
}

fn look(stream: &Stream, view: &View, place: Place) -> Result<Look> {
    let mut cursor = match place {
        Place::At(cursor) => cursor,
        Place::From(from) => start(stream, view, from)?,
    };
    let event = look_from(stream, view, &mut cursor)?;
    let is_caught_up = cursor.next_seq >= view.next_seq;
    let end = (view.is_finished && is_caught_up).then_some(Event::End);
    Ok(Look {
        event: event.or(end),
        cursor,
        is_caught_up,
    })
}

fn start(stream: &Stream, view: &View, from: FollowFrom) -> Result<Cursor> {
    match from {
        FollowFrom::Start => Ok(Cursor::at(view.first_seq())),
        FollowFrom::Tail(n) => Ok(Cursor::tail(view, n)),
        FollowFrom::After(seq) => Ok(Cursor::at(seq.saturating_add(1).min(view.next_seq))),
        FollowFrom::Since(time) => query::since(stream, view, time),
    }
}

fn look_from(stream: &Stream, view: &View, cursor: &mut Cursor) -> Result<Option<Event>> {
    if cursor.next_seq >= view.next_seq {
        return Ok(None);
    }
    let from = *cursor;
    let mut records = query::read(stream, view, cursor, MAX_LINES, FULL_BATCH)?;
    let found = records.first().map_or(view.next_seq, |record| record.seq);
    if found > from.next_seq {
        *cursor = Cursor::at(found);
        return Ok(Some(Event::Missed(found - from.next_seq)));
    }
    // Lines before and after a gap do not go into one batch.
    let expected = from.next_seq..;
    let whole = records
        .iter()
        .zip(expected)
        .take_while(|(record, seq)| record.seq == *seq);
    let whole = whole.count();
    if whole < records.len() {
        records.truncate(whole);
        *cursor = Cursor::at(from.next_seq + whole as u64);
    }
    Ok(Some(Event::Records(Arc::new(Batch::new(records)))))
}

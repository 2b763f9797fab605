//! The second tier: segments that lie outside of this machine, in a [`FarStore`].
//!
//! A segment that is packed and not the newest is copied there. When the copy was read back, a marker
//! (`00000001.tfar`, see `marker`) beside the segment says so; then the segment's own file may go.
//! Readers get such a segment through the `cache`.
//!
//! Guarantees: what the far store may have is named by a marker or by a note in the folder
//! `unwanted`, whenever the process is killed. A note comes before a copy is begun, and goes when the
//! marker is on the disk; a marker that is given up becomes a note by a rename. What is noted is
//! deleted, and nothing is copied to a name as long as that is noted.
//!
//! Assumption: nobody else writes to these names of the far store.
//!
//! Not here: a stream's own part in it (see `stream::far`), when to copy and what is old enough, and
//! how a far store is reached.

pub(crate) mod cache;
pub(crate) mod marker;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tose_model::error::BoxError;

use crate::StreamId;
use crate::error::{Error, Result};
use crate::far::cache::Cache;

/// The folder with the notes of what is to be deleted.
const UNWANTED: &str = "unwanted";
/// The folder with copies of far segments.
const CACHE: &str = "cache";
/// The most that one page of a query fetches from a far store, in bytes.
const MAX_PAGE: u64 = 64 << 20;

/// Keeps segments outside of this machine, each under a name. All functions may block.
pub trait FarStore: Send + Sync {
    /// Takes a file's content, in place of what the name had. What it answers is kept here and given
    /// to [`FarStore::get`].
    ///
    /// # Errors
    /// When it is not known that it was taken.
    fn put(&self, name: &str, file: File) -> std::result::Result<Vec<u8>, FarError>;

    /// Writes what the name has.
    ///
    /// # Errors
    /// When it cannot be had, or not all of it. What was written then is worth nothing.
    fn get(
        &self,
        name: &str,
        ticket: &[u8],
        into: &mut dyn Write,
    ) -> std::result::Result<(), FarError>;

    /// Deletes what the name has. A name that has nothing is as good.
    ///
    /// # Errors
    /// When it is not known that it is gone.
    fn delete(&self, name: &str) -> std::result::Result<(), FarError>;
}

/// Why a far store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum FarError {
    /// It does not answer, or refuses. It may do so later.
    #[error("the store of old log segments cannot be used")]
    Unavailable(#[source] BoxError),
    /// What it has is not what it took.
    #[error("a log segment in the store of old ones is damaged")]
    Damaged(#[source] BoxError),
    /// There is none, though there was one.
    #[error("old log segments are in a store that is not configured any more")]
    NotConfigured,
}

/// What all streams share of the second tier.
pub(crate) struct Tier {
    root: PathBuf,
    attached: OnceLock<Attached>,
    /// Held by the one who copies or deletes.
    pass: Mutex<()>,
}

/// A far store, and the copies of what was read there.
pub(crate) struct Attached {
    pub(crate) store: Arc<dyn FarStore>,
    pub(crate) cache: Cache,
}

impl Tier {
    /// Opens what is in the store's directory of it.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let tier = Self {
            root: root.to_owned(),
            attached: OnceLock::new(),
            pass: Mutex::default(),
        };
        for (stream, number) in tier.notes()? {
            // Killed between the two: what was copied is wanted.
            let marker = marker::path(&root.join(stream.to_string()), number);
            if marker.exists() {
                tier.remove_note(stream, number)?;
            }
        }
        Ok(tier)
    }

    /// Gives it a far store. The first one stays.
    pub(crate) fn attach(&self, store: Arc<dyn FarStore>, cache_bytes: u64) -> Result<()> {
        if self.attached.get().is_some() {
            return Ok(());
        }
        let cache = Cache::open(self.root.join(CACHE), cache_bytes)?;
        self.attached.get_or_init(|| Attached { store, cache });
        Ok(())
    }

    pub(crate) fn attached(&self) -> std::result::Result<&Attached, FarError> {
        self.attached.get().ok_or(FarError::NotConfigured)
    }

    /// The most that a page fetches: what it fetched stays in the cache until its end.
    pub(crate) fn page_bytes(&self) -> u64 {
        let attached = self.attached.get();
        attached.map_or(MAX_PAGE, |far| far.cache.max_bytes().min(MAX_PAGE))
    }

    /// The right to be the only one who copies or deletes.
    pub(crate) fn pass(&self) -> MutexGuard<'_, ()> {
        self.pass.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes what is noted.
    pub(crate) fn delete_unwanted(&self) -> Result<()> {
        let _pass = self.pass();
        for (stream, number) in self.notes()? {
            let name = name_of(stream, number);
            let deleted = self.attached().and_then(|far| far.store.delete(&name));
            deleted.map_err(Error::FarWork)?;
            self.remove_note(stream, number)?;
        }
        Ok(())
    }

    /// Notes that the far store may have something that nobody wants, so that it is on the disk.
    /// Answers whether that was new.
    pub(crate) fn note(&self, stream: StreamId, number: u32) -> Result<bool> {
        let path = self.note_path(stream, number);
        self.make_folder()?;
        match File::create_new(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(Error::io("create", &path)(error)),
        }
        self.sync_notes()?;
        Ok(true)
    }

    pub(crate) fn remove_note(&self, stream: StreamId, number: u32) -> Result<()> {
        let path = self.note_path(stream, number);
        gone(fs::remove_file(&path)).map_err(Error::io("remove", &path))
    }

    /// Gives up what the far store has of a segment, if a marker names it.
    pub(crate) fn disown(&self, stream: StreamId, dir: &Path, number: u32) -> Result<()> {
        self.make_folder()?;
        let marker = marker::path(dir, number);
        let note = self.note_path(stream, number);
        gone(fs::rename(&marker, &note)).map_err(Error::io("rename", &marker))?;
        if let Some(attached) = self.attached.get() {
            attached.cache.forget(stream, Some(number));
        }
        Ok(())
    }

    /// Gives up all that the far store has of a stream, so that this is on the disk.
    pub(crate) fn disown_all(&self, stream: StreamId, dir: &Path) -> Result<()> {
        let numbers = marker::list(dir)?;
        for number in &numbers {
            self.disown(stream, dir, *number)?;
        }
        match numbers.is_empty() {
            true => Ok(()),
            false => self.sync_notes(),
        }
    }

    fn notes(&self) -> Result<Vec<(StreamId, u32)>> {
        let folder = self.root.join(UNWANTED);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("list", &folder)(error)),
        };
        let mut notes = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &folder))?;
            notes.extend(entry.file_name().to_str().and_then(parse_note));
        }
        notes.sort_unstable();
        Ok(notes)
    }

    fn note_path(&self, stream: StreamId, number: u32) -> PathBuf {
        self.root
            .join(UNWANTED)
            .join(format!("{stream}.{number:08}"))
    }

    fn make_folder(&self) -> Result<()> {
        let folder = self.root.join(UNWANTED);
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))
    }

    fn sync_notes(&self) -> Result<()> {
        for dir in [&self.root.join(UNWANTED), &self.root] {
            let synced = File::open(dir).and_then(|dir| dir.sync_all());
            synced.map_err(Error::io("sync", dir))?;
        }
        Ok(())
    }
}

/// The name of a segment in the far store.
pub(crate) fn name_of(stream: StreamId, number: u32) -> String {
    format!("{stream}/{number:08}")
}

fn parse_note(name: &str) -> Option<(StreamId, u32)> {
    let (stream, number) = name.split_once('.')?;
    Some((StreamId::from_directory(stream)?, number.parse().ok()?))
}

/// What is gone already is as good as removed.
pub(crate) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A length and a checksum, of what was written so far.
#[derive(Default)]
pub(crate) struct Measure {
    bytes: u64,
    hash: xxhash_rust::xxh3::Xxh3Default,
}

/// What a segment's bytes are known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: u64,
    pub(crate) checksum: u128,
}

impl Measure {
    pub(crate) fn content(&self) -> Content {
        Content {
            bytes: self.bytes,
            checksum: self.hash.digest128(),
        }
    }
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Attached {
    /// Reads what the name has, as far as it is what it has to be.
    pub(crate) fn get(
        &self,
        name: &str,
        ticket: &[u8],
        expected: Content,
        into: &mut dyn Write,
    ) -> std::result::Result<(), FarError> {
        let mut out = Checked {
            measure: Measure::default(),
            limit: expected.bytes,
            into,
        };
        self.store.get(name, ticket, &mut out)?;
        if out.measure.content() != expected {
            let problem = "it has another length or checksum than what was copied";
            return Err(FarError::Damaged(problem.into()));
        }
        Ok(())
    }
}

/// Measures what it passes on, and takes no more than there may be.
struct Checked<'a> {
    measure: Measure,
    limit: u64,
    into: &'a mut dyn Write,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.measure.bytes + bytes.len() as u64 > self.limit {
            let problem = "it is longer than what was copied";
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        self.into.write_all(bytes)?;
        self.measure.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

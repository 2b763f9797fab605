//! Copies of far segments on the local disk, of limited size.
//!
//! Guarantees: a copy is used when all of it was checked; all copies together, those on their way
//! included, have at most as many bytes as they may, unless a single one has more: that one is
//! alone, and goes as soon as it is open. Two who want the same segment fetch it once.
//!
//! What a process left is not trusted: the folder is emptied when it is opened.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::StreamId;
use crate::error::{Error, Result};
use crate::far::{Content, FarError, gone};
use crate::segment::{Form, SegmentReader};
use crate::stream;

/// Which copy: of a stream's segment, with this content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) stream: StreamId,
    pub(crate) number: u32,
    pub(crate) checksum: u128,
}

/// Why a segment could not be opened.
pub(crate) enum Fault {
    /// The far store did not give it.
    Far(FarError),
    /// Something is wrong here.
    Here(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

pub(crate) struct Cache {
    dir: PathBuf,
    max_bytes: u64,
    shelf: Mutex<Shelf>,
    /// Told when something came or did not come.
    changed: Condvar,
}

#[derive(Default)]
struct Shelf {
    kept: HashMap<Key, Kept>,
    /// What is being fetched.
    coming: HashMap<Key, Expected>,
    /// Counts what is used, so that the copy that was not used for longest is known.
    uses: u64,
}

struct Kept {
    bytes: u64,
    used: u64,
}

struct Expected {
    bytes: u64,
    /// Whether it was given up before it came.
    is_forgotten: bool,
}

impl Cache {
    pub(crate) fn open(dir: PathBuf, max_bytes: u64) -> Result<Self> {
        stream::remove_dir(&dir)?;
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        Ok(Self {
            dir,
            max_bytes,
            shelf: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    pub(crate) fn has(&self, key: Key) -> bool {
        self.shelf().kept.contains_key(&key)
    }

    /// Opens a copy, which `fetch` writes if there is none.
    pub(crate) fn read(
        &self,
        key: Key,
        bytes: u64,
        fetch: impl FnOnce(&mut dyn Write) -> std::result::Result<(), FarError>,
    ) -> std::result::Result<SegmentReader, Fault> {
        let mut coming = match self.find_or_claim(key, bytes)? {
            Found::Kept(reader) => return Ok(reader),
            Found::Claimed(coming) => coming,
        };
        let new = self.path(key).with_extension("new");
        let fetched = write_checked(&new, fetch);
        if fetched.is_err() {
            // What is left of it goes at the next start at the latest.
            let _ = fs::remove_file(&new);
        }
        fetched?;
        let path = self.path(key);
        fs::rename(&new, &path).map_err(Error::io("name", &path))?;
        // From here on the claim may be another's.
        coming.is_over = true;
        self.keep(key, bytes)
    }

    /// Removes the copies of a stream, or of one of its segments.
    pub(crate) fn forget(&self, stream: StreamId, number: Option<u32>) {
        let mut shelf = self.shelf();
        let is_meant =
            |key: &Key| key.stream == stream && number.is_none_or(|number| key.number == number);
        let keys: Vec<_> = shelf.kept.keys().copied().filter(is_meant).collect();
        for key in keys {
            self.evict(&mut shelf, key);
        }
        for (_, expected) in shelf.coming.iter_mut().filter(|(key, _)| is_meant(key)) {
            expected.is_forgotten = true;
        }
    }

    /// A copy, or the right and the room to make it.
    fn find_or_claim(&self, key: Key, bytes: u64) -> Result<Found<'_>> {
        let mut shelf = self.shelf();
        loop {
            if let Some(reader) = self.find(&mut shelf, key)? {
                return Ok(Found::Kept(reader));
            }
            if !shelf.coming.contains_key(&key) && self.make_room(&mut shelf, bytes) {
                let expected = Expected {
                    bytes,
                    is_forgotten: false,
                };
                shelf.coming.insert(key, expected);
                return Ok(Found::Claimed(Coming {
                    cache: self,
                    key,
                    is_over: false,
                }));
            }
            let woken = self.changed.wait(shelf);
            shelf = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn find(&self, shelf: &mut Shelf, key: Key) -> Result<Option<SegmentReader>> {
        shelf.uses += 1;
        let uses = shelf.uses;
        let Some(kept) = shelf.kept.get_mut(&key) else {
            return Ok(None);
        };
        kept.used = uses;
        let reader = SegmentReader::open(&self.path(key), Form::Packed, kept.bytes)?;
        if reader.is_none() {
            shelf.kept.remove(&key);
        }
        Ok(reader)
    }

    /// Removes copies until there is room. `false` if what others fetch leaves none.
    fn make_room(&self, shelf: &mut Shelf, bytes: u64) -> bool {
        while shelf.bytes() + bytes > self.max_bytes {
            let oldest = shelf.kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return shelf.coming.is_empty();
            };
            self.evict(shelf, key);
        }
        true
    }

    /// Removes a copy. Who has it open reads on.
    fn evict(&self, shelf: &mut Shelf, key: Key) {
        shelf.kept.remove(&key);
        if let Err(error) = gone(fs::remove_file(self.path(key))) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a copy of an old log segment could not be removed"
            );
        }
    }

    /// Ends a claim: takes the copy that came among those that are kept, and opens it.
    fn keep(&self, key: Key, bytes: u64) -> std::result::Result<SegmentReader, Fault> {
        let mut shelf = self.shelf();
        let expected = shelf.coming.remove(&key);
        shelf.kept.insert(key, Kept { bytes, used: 0 });
        self.changed.notify_all();
        let reader = self.find(&mut shelf, key)?;
        if bytes > self.max_bytes || expected.is_none_or(|expected| expected.is_forgotten) {
            self.evict(&mut shelf, key);
        }
        reader.ok_or_else(|| {
            let path = self.path(key);
            Fault::Here(Error::io("open", &path)(
                std::io::ErrorKind::NotFound.into(),
            ))
        })
    }

    fn path(&self, key: Key) -> PathBuf {
        let Key {
            stream,
            number,
            checksum,
        } = key;
        self.dir.join(format!("{stream}-{number}-{checksum:032x}"))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn bytes(&self) -> u64 {
        let kept = self.kept.values().map(|kept| kept.bytes);
        let coming = self.coming.values().map(|expected| expected.bytes);
        kept.chain(coming).sum()
    }
}

enum Found<'a> {
    Kept(SegmentReader),
    Claimed(Coming<'a>),
}

/// The right to fetch a segment. Dropping it lets others try.
struct Coming<'a> {
    cache: &'a Cache,
    key: Key,
    /// Whether it was ended otherwise.
    is_over: bool,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.cache.shelf().coming.remove(&self.key);
        self.cache.changed.notify_all();
    }
}

fn write_checked(
    path: &Path,
    fetch: impl FnOnce(&mut dyn Write) -> std::result::Result<(), FarError>,
) -> std::result::Result<(), Fault> {
    let mut file = File::create(path).map_err(Error::io("create", path))?;
    fetch(&mut file).map_err(Fault::Far)
}

impl Content {
    /// The copy of a segment with this content.
    pub(crate) fn key(self, stream: StreamId, number: u32) -> Key {
        Key {
            stream,
            number,
            checksum: self.checksum,
        }
    }
}

//! The streams in use, and the threads that write them through to the disk, forget and pack them.
//!
//! Guarantees: what was written is on the disk within a second (as fast as the disk is); a stream
//! that nobody used for a while and nobody follows takes no memory and no file handle.
//!
//! They look every [`PERIOD`] while there is a stream in use, sleep otherwise, and end, after a last
//! look, when the last handle to the store is gone.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::far::Tier;
use crate::pack::Tools;
use crate::stream::{self, Stream};
use crate::{Packing, StreamId};

/// How long the thread rests between two looks.
const PERIOD: Duration = Duration::from_millis(500);

/// What the handles to the store share. Dropping it ends the thread.
pub(crate) struct Streams {
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    segment_bytes: u64,
    tier: Arc<Tier>,
    table: Mutex<Table>,
    /// Told when the table gets its first stream, and when the store is closed.
    changed: Condvar,
    /// Held while files are written through, so that a flush waits for one that is under way.
    sync: Mutex<()>,
}

/// What a thread does until the store is closed, and its name.
type Loop = (&'static str, fn(&Shared));

#[derive(Default)]
struct Table {
    streams: HashMap<StreamId, Arc<Stream>>,
    is_closed: bool,
}

impl Streams {
    pub(crate) fn open(root: &Path, segment_bytes: u64, packing: Packing) -> Result<Arc<Self>> {
        fs::create_dir_all(root).map_err(Error::io("create", root))?;
        for name in list_directories(root)? {
            if Path::new(&name)
                .extension()
                .is_some_and(|extension| extension == stream::REMOVED)
            {
                stream::remove_dir(&root.join(name))?;
            }
        }
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            segment_bytes,
            tier: Arc::new(Tier::open(root)?),
            table: Mutex::default(),
            changed: Condvar::new(),
            sync: Mutex::default(),
        });
        let mut loops: Vec<Loop> = vec![("tose-logs", Shared::keep)];
        if packing == Packing::InBackground {
            loops.push(("tose-logs-pack", Shared::pack));
        }
        for (name, run) in loops {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || run(&shared))
                .map_err(Error::io("start a thread of", root))?;
        }
        Ok(Arc::new(Self { shared }))
    }

    pub(crate) fn get(&self, id: StreamId) -> Arc<Stream> {
        let mut table = self.shared.table();
        let shared = &self.shared;
        let stream = table.streams.entry(id).or_insert_with(|| {
            shared.changed.notify_all();
            let tier = Arc::clone(&shared.tier);
            Arc::new(Stream::new(id, &shared.root, shared.segment_bytes, tier))
        });
        Arc::clone(stream)
    }

    pub(crate) fn tier(&self) -> &Arc<Tier> {
        &self.shared.tier
    }

    pub(crate) async fn flush(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        stream::blocking(move || shared.sync()).await
    }

    pub(crate) async fn list(&self) -> Result<Vec<StreamId>> {
        let root = self.shared.root.clone();
        stream::blocking(move || {
            let names = list_directories(&root)?;
            let ids = names
                .iter()
                .filter_map(|name| StreamId::from_directory(name));
            Ok(ids.collect())
        })
        .await
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.shared.table().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is time to look. Answers whether the store is closed.
    fn wait(&self) -> bool {
        let is_idle = |table: &mut Table| !table.is_closed && table.streams.is_empty();
        let is_open = |table: &mut Table| !table.is_closed;
        let table = self.changed.wait_while(self.table(), is_idle);
        let table = table.unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(table, PERIOD, is_open);
        let (table, _) = waited.unwrap_or_else(PoisonError::into_inner);
        table.is_closed
    }

    fn streams(&self) -> Vec<Arc<Stream>> {
        self.table().streams.values().cloned().collect()
    }

    /// The thread that packs full segments. It has one of its own, so that the disk does not wait.
    fn pack(&self) {
        while !self.wait() {
            // Not for longer: nobody may write for hours, and they take some memory.
            let mut tools = Tools::default();
            for stream in self.streams() {
                self.pack_stream(&stream, &mut tools);
            }
        }
    }

    fn pack_stream(&self, stream: &Stream, tools: &mut Tools) {
        while !self.table().is_closed {
            match stream.pack_next(tools) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(
                        stream = %stream.id,
                        error = &error as &dyn std::error::Error,
                        "old log lines could not be packed"
                    );
                    return;
                }
            }
        }
    }

    /// The thread that writes through and forgets.
    fn keep(&self) {
        loop {
            let is_closed = self.wait();
            if let Err(error) = self.sync() {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "log lines could not be written through to the disk"
                );
            }
            if is_closed {
                return;
            }
            self.forget_idle();
        }
    }

    /// Writes every stream through. A failure of one does not keep the others from it.
    fn sync(&self) -> Result<()> {
        let _one_at_a_time = self.sync.lock().unwrap_or_else(PoisonError::into_inner);
        let mut result = Ok(());
        for stream in self.streams() {
            result = result.and(stream.sync());
        }
        result
    }

    fn forget_idle(&self) {
        self.table().streams.retain(|_, stream| {
            // Who else holds it got it from this table, which is locked: nobody gets it now.
            !(stream.rest() && Arc::strong_count(stream) == 1)
        });
    }
}

fn list_directories(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root).map_err(Error::io("list", root))? {
        let entry = entry.map_err(Error::io("list", root))?;
        // Names that are not UTF-8 are not ours.
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

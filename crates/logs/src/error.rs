//! What can go wrong in the log store.

use std::io;
use std::path::{Path, PathBuf};

use tose_api::Timestamp;

use crate::StreamId;
use crate::far::FarError;

/// What a log store function answers.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the log store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {operation} {path}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A segment was written by a version of the store that this one does not know.
    #[error("{path} has format version {version}, which is not supported", path = path.display())]
    Version {
        /// The segment.
        path: PathBuf,
        /// The version it names.
        version: u8,
    },
    /// The stream has its end record, so nothing can be added.
    #[error("{0} is finished")]
    Finished(StreamId),
    /// A line names a pod whose name is too long to be one.
    #[error("a pod's name has {0} bytes, more than 255")]
    PodTooLong(usize),
    /// Lines are in the far store, which did not give them.
    #[error("lines of {stream} cannot be read from the far store")]
    Far {
        /// The stream.
        stream: StreamId,
        /// The earliest time of the lines.
        oldest: Option<Timestamp>,
        /// The latest.
        newest: Option<Timestamp>,
        /// Why.
        #[source]
        source: FarError,
    },
    /// The far store did not take or delete something.
    #[error("old log segments cannot be moved")]
    FarWork(#[source] FarError),
    /// The runtime is shutting down.
    #[error("the log store was stopped during the operation")]
    Stopped,
}

impl Error {
    /// Whether lines are in the far store, and cannot be had from there.
    pub fn is_far(&self) -> bool {
        matches!(self, Self::Far { .. })
    }

    /// Wraps a refusal of the operating system.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

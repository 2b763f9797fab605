//! The directory of all projects' files.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tose_api::ProjectId;
use tose_model::error::{Error, Result};

use crate::metrics::ring::{Ring, RingFile};
use crate::metrics::sample::Sample;

const EXTENSION: &str = "ring";

/// What was measured of every project.
pub(crate) struct MetricsStore(Arc<Dir>);

struct Dir {
    path: PathBuf,
    /// A reader must not meet a slot that is being written.
    lock: RwLock<()>,
}

impl MetricsStore {
    /// Opens the store in this directory, which is made if it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self(Arc::new(Dir {
            path: path.to_owned(),
            lock: RwLock::default(),
        })))
    }

    /// Adds what was measured at `time`, in seconds since 1970.
    ///
    /// # Errors
    /// When one of the files cannot be written. The others are.
    pub(crate) async fn add(&self, time: i64, samples: Vec<(ProjectId, Sample)>) -> Result<()> {
        self.run("write the metrics", move |dir| {
            let mut outcome = Ok(());
            for (id, sample) in samples {
                let written = dir.add(id, time, &sample);
                outcome = outcome.and(written);
            }
            outcome
        })
        .await
    }

    /// A project's slots that begin at these times, in seconds since 1970, oldest first.
    ///
    /// # Errors
    /// When its file is there and cannot be read.
    pub(crate) async fn slots(
        &self,
        id: ProjectId,
        ring: Ring,
        times: Range<i64>,
    ) -> Result<Vec<(i64, Sample)>> {
        self.run("read the metrics", move |dir| {
            let _reading = dir.lock.read().unwrap_or_else(PoisonError::into_inner);
            match RingFile::find(&dir.file(id))? {
                Some(file) => file.slots(ring, times),
                None => Ok(Vec::new()),
            }
        })
        .await
    }

    /// Removes what is known of a project, if anything is.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(crate) async fn remove(&self, id: ProjectId) -> Result<()> {
        self.run(
            "remove the metrics",
            move |dir| match std::fs::remove_file(dir.file(id)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        )
        .await
    }

    /// The projects of which something is known.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(crate) async fn list_projects(&self) -> Result<Vec<ProjectId>> {
        self.run("list the metrics", |dir| {
            let mut ids = Vec::new();
            for entry in std::fs::read_dir(&dir.path)? {
                let name = PathBuf::from(entry?.file_name());
                let is_ring = name.extension().is_some_and(|end| end == EXTENSION);
                let stem = name.file_stem().and_then(|stem| stem.to_str());
                ids.extend(
                    stem.filter(|_| is_ring)
                        .and_then(|id| id.parse::<ProjectId>().ok()),
                );
            }
            Ok(ids)
        })
        .await
    }

    /// Runs file IO where it holds nobody up.
    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Dir) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let dir = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&dir))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| Error::internal(format!("could not {operation}"), error))
    }
}

impl Dir {
    fn file(&self, id: ProjectId) -> PathBuf {
        self.path.join(format!("{id}.{EXTENSION}"))
    }

    fn add(&self, id: ProjectId, time: i64, sample: &Sample) -> io::Result<()> {
        let _writing = self.lock.write().unwrap_or_else(PoisonError::into_inner);
        RingFile::create(&self.file(id))?.add(time, sample)
    }
}

#[cfg(test)]
mod tests {
    use tose_model::IdGen;
    use tose_testkit::SeededIds;

    use super::*;

    #[tokio::test]
    async fn each_project_has_its_own_and_takes_it_along() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("metrics");
        let store = MetricsStore::open(&path).expect("a store");
        let ids = SeededIds::new(1);
        let [a, b] = [(); 2].map(|()| ProjectId::from_uuid(ids.uuid()));
        let sample = Sample {
            requests: 3,
            ..Sample::default()
        };
        store
            .add(1_000, vec![(a, sample.clone()), (b, sample.clone())])
            .await
            .expect("written");
        std::fs::write(path.join("notes.txt"), "").expect("written");
        std::fs::write(path.join("notes.ring"), "").expect("written");
        let [ring, ..] = Ring::ALL;
        let read = async |store: &MetricsStore, id| store.slots(id, ring, 0..2_000).await;
        store.remove(a).await.expect("removed");
        store.remove(a).await.expect("nothing to remove");
        // Another process reads what this one wrote.
        let store = MetricsStore::open(&path).expect("a store");
        assert_eq!(store.list_projects().await.expect("a list"), [b]);
        assert_eq!(read(&store, a).await.expect("read"), []);
        assert_eq!(read(&store, b).await.expect("read"), [(1_000, sample)]);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_an_error_and_keeps_no_other_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = MetricsStore::open(dir.path()).expect("a store");
        let ids = SeededIds::new(1);
        let [a, b] = [(); 2].map(|()| ProjectId::from_uuid(ids.uuid()));
        std::fs::create_dir(dir.path().join(format!("{a}.ring"))).expect("in the way");
        let samples = [a, b].map(|id| (id, Sample::default()));
        assert!(store.add(0, samples.to_vec()).await.is_err());
        let [ring, ..] = Ring::ALL;
        let found = store.slots(b, ring, 0..10).await.expect("read");
        assert_eq!(found.len(), 1);
    }
}

//! Source trees that are sent along: kept until they are built.
//!
//! Invariant: `uploads/ID.tar` is whole: it gets its name when all of it is on the disk, and the
//! deployment ID is queued after that.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;
use tose_api::DeploymentId;
use tose_api::deployment::DeploymentView;
use tose_model::access::Access;
use tose_model::error::{BoxError, Error, Result};

use crate::app::Platform;
use crate::build::archive::{self, ArchiveError};

/// Removes a file that is on its way when it is not wanted any more.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // It may have got its name, or never have been made.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What became of a body.
pub(crate) enum Received {
    /// All of it is in the file.
    Whole,
    /// It has more than is allowed.
    TooLarge,
}

impl Platform {
    /// Keeps a gzipped tar archive of a source tree and queues a deployment that builds it.
    pub(crate) async fn upload<E: Into<BoxError>>(
        &self,
        access: &Access,
        slug: &str,
        body: impl Stream<Item = std::result::Result<Bytes, E>>,
    ) -> Result<Option<DeploymentView>> {
        let project = self.find_project(access, slug).await?;
        let id = DeploymentId::from_uuid(self.ids.uuid());
        let folder = self.config.data_path(UPLOADS);
        std::fs::create_dir_all(&folder).map_err(disk)?;
        let received = Draft(folder.join(format!("{id}.tar.gz.part")));
        let max_bytes = self.config.limits.max_upload_bytes;
        if let Received::TooLarge = receive(body, &received.0, max_bytes).await? {
            return Ok(None);
        }
        let repacked = Draft(folder.join(format!("{id}.tar.part")));
        let (from, to) = (received.0.clone(), repacked.0.clone());
        tokio::task::spawn_blocking(move || archive::repack(&from, &to, max_bytes))
            .await
            .map_err(|error| Error::internal("an archive could not be read", error))?
            .map_err(|error| match error {
                ArchiveError::Refused(problem) => Error::invalid(problem),
                ArchiveError::Write(_) => Error::internal("an archive could not be written", error),
            })?;
        std::fs::rename(&repacked.0, self.upload_path(id)).map_err(disk)?;
        match self.deploy_upload(access, &project, id).await {
            Ok(view) => Ok(Some(view)),
            Err(error) => {
                self.remove_upload(id);
                Err(error)
            }
        }
    }

    /// Where the tree of a deployment lies until it is built.
    pub(crate) fn upload_path(&self, id: DeploymentId) -> PathBuf {
        self.config.data_path(UPLOADS).join(format!("{id}.tar"))
    }

    pub(crate) fn remove_upload(&self, id: DeploymentId) {
        // Gone already is as good.
        let _ = std::fs::remove_file(self.upload_path(id));
    }

    /// Removes the trees of all deployments but these, and what a killed process left half done.
    pub(crate) fn remove_uploads_except(&self, waiting: &[DeploymentId]) {
        let Ok(entries) = std::fs::read_dir(self.config.data_path(UPLOADS)) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Some(id) = name.strip_suffix(".tar") else {
                continue;
            };
            // A fresh one may be about to be queued.
            let is_old = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > GRACE));
            if is_old && id.parse().is_ok_and(|id| !waiting.contains(&id)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Removes what an earlier process was receiving.
    pub(crate) fn clear_half_uploads(&self) {
        let Ok(entries) = std::fs::read_dir(self.config.data_path(UPLOADS)) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.path().extension().is_some_and(|end| end == "part") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

const UPLOADS: &str = "uploads";
/// How long a tree that no deployment waits for is kept.
const GRACE: Duration = Duration::from_secs(600);

fn disk(error: std::io::Error) -> Error {
    Error::internal("an upload could not be kept", error)
}

async fn receive<E: Into<BoxError>>(
    body: impl Stream<Item = std::result::Result<Bytes, E>>,
    path: &Path,
    max_bytes: u64,
) -> Result<Received> {
    let mut file = tokio::fs::File::create(path).await.map_err(disk)?;
    let mut body = pin!(body);
    let mut received = 0_u64;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| {
            tracing::debug!(error = %error.into(), "an upload broke off");
            Error::invalid("the body did not arrive whole; send it again")
        })?;
        received += chunk.len() as u64;
        if received > max_bytes {
            return Ok(Received::TooLarge);
        }
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    Ok(Received::Whole)
}

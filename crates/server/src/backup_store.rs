//! Where the files of backups are kept: in the data directory, or in a bucket of an S3-compatible service.
//!
//! A backup is written to the data directory first, so that a service that is slow or away holds up no
//! database; then it is moved. Each backup's row says where its file is, so those of before an operator
//! chose another place can still be read.
//!
//! Not here: what is in the files (`backup_file.rs`).

use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use tokio::io::AsyncReadExt;
use tokio_util::io::{StreamReader, SyncIoBridge};
use tose_api::{BackupId, ProjectId};
use tose_store::BackupPlace;

use crate::bucket;
use crate::config::S3Config;

/// Bytes of a part of an upload; S3 takes 10,000 of them.
const PART: usize = 16 << 20;
/// How many parts are on their way at once.
const PARTS: usize = 2;

/// What went wrong with a backup's file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupStoreError {
    /// The operator's secret cannot be read.
    #[error("the secret of the bucket could not be read")]
    Secret(#[from] crate::secrets::VaultError),
    /// A file could not be read, written or removed.
    #[error("{0} could not be used")]
    File(PathBuf, #[source] io::Error),
    /// The service did not do as asked.
    #[error("the bucket could not be used")]
    Bucket(#[source] Box<object_store::Error>),
    /// A backup lies in a bucket, and none is configured.
    #[error("the backup lies in a bucket, and the server has none: set [backups.s3]")]
    NoBucket,
}

impl From<object_store::Error> for BackupStoreError {
    fn from(error: object_store::Error) -> Self {
        Self::Bucket(Box::new(error))
    }
}

type Result<T> = std::result::Result<T, BackupStoreError>;

/// Which backup's file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileName {
    pub(crate) project_id: ProjectId,
    pub(crate) backup_id: BackupId,
}

/// Where the files of backups are kept.
pub(crate) struct BackupStore {
    folder: PathBuf,
    bucket: Option<Bucket>,
}

struct Bucket {
    service: Arc<AmazonS3>,
    prefix: String,
}

impl BackupStore {
    pub(crate) fn open(folder: PathBuf, s3: Option<&S3Config>) -> Result<Self> {
        let bucket = s3.map(Bucket::open).transpose()?;
        Ok(Self { folder, bucket })
    }

    /// Where a file of the data directory is.
    pub(crate) fn path(&self, name: FileName) -> PathBuf {
        self.folder_of(name.project_id)
            .join(format!("{}.bak", name.backup_id))
    }

    fn folder_of(&self, project_id: ProjectId) -> PathBuf {
        self.folder.join(project_id.to_string())
    }

    /// Where backups are to be kept.
    pub(crate) fn place(&self) -> BackupPlace {
        match self.bucket {
            Some(_) => BackupPlace::Bucket,
            None => BackupPlace::Disk,
        }
    }

    /// Copies a file of the data directory to where it is to be kept.
    pub(crate) async fn keep(&self, name: FileName) -> Result<()> {
        match &self.bucket {
            Some(bucket) => bucket.upload(name, &self.path(name)).await,
            None => Ok(()),
        }
    }

    /// A backup's file. It may wait for a service: read it where that is no harm.
    pub(crate) async fn read(
        &self,
        name: FileName,
        place: BackupPlace,
    ) -> Result<Box<dyn Read + Send>> {
        match place {
            BackupPlace::Disk => {
                let path = self.path(name);
                let file = fs::File::open(&path);
                let file = file.map_err(|error| BackupStoreError::File(path, error))?;
                Ok(Box::new(BufReader::new(file)))
            }
            BackupPlace::Bucket => self.bucket()?.read(name).await,
        }
    }

    /// Removes a backup's file; one that is gone is as good.
    pub(crate) async fn remove(&self, name: FileName, place: BackupPlace) -> Result<()> {
        let path = self.path(name);
        gone(&path, fs::remove_file(&path))?;
        match place {
            BackupPlace::Disk => Ok(()),
            BackupPlace::Bucket => self.bucket()?.remove(name).await,
        }
    }

    /// Removes the copy in the data directory of a file that is kept elsewhere.
    pub(crate) fn remove_copy(&self, name: FileName) -> Result<()> {
        let path = self.path(name);
        gone(&path, fs::remove_file(&path))
    }

    /// Removes every backup of a database that is gone.
    pub(crate) async fn remove_all(&self, project_id: ProjectId) -> Result<()> {
        let folder = self.folder_of(project_id);
        gone(&folder, fs::remove_dir_all(&folder))?;
        match &self.bucket {
            Some(bucket) => bucket.remove_all(project_id).await,
            None => Ok(()),
        }
    }

    fn bucket(&self) -> Result<&Bucket> {
        self.bucket.as_ref().ok_or(BackupStoreError::NoBucket)
    }
}

fn gone(path: &Path, removed: io::Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackupStoreError::File(path.to_owned(), error))
        }
        _ => Ok(()),
    }
}

impl Bucket {
    fn open(config: &S3Config) -> Result<Self> {
        Ok(Self {
            service: Arc::new(bucket::builder(config)?.build()?),
            prefix: config.prefix.clone(),
        })
    }

    fn folder(&self, project_id: ProjectId) -> ObjectPath {
        ObjectPath::from(format!("{}/backups/{project_id}", self.prefix))
    }

    fn object(&self, name: FileName) -> ObjectPath {
        self.folder(name.project_id)
            .join(format!("{}.bak", name.backup_id))
    }

    async fn upload(&self, name: FileName, path: &Path) -> Result<()> {
        let unreadable = |error| BackupStoreError::File(path.to_owned(), error);
        let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let upload = self.service.put_multipart(&self.object(name)).await?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        loop {
            upload.wait_for_capacity(PARTS).await?;
            let mut piece = Vec::with_capacity(PART);
            let part = u64::try_from(PART).unwrap_or(u64::MAX);
            let read = (&mut file).take(part).read_to_end(&mut piece).await;
            if read.map_err(unreadable)? == 0 {
                break;
            }
            upload.put(Bytes::from(piece));
        }
        upload.finish().await?;
        Ok(())
    }

    async fn read(&self, name: FileName) -> Result<Box<dyn Read + Send>> {
        let found = self.service.get(&self.object(name)).await?;
        let bytes = found.into_stream().map_err(io::Error::other);
        let reader = StreamReader::new(Box::pin(bytes));
        Ok(Box::new(SyncIoBridge::new(reader)))
    }

    async fn remove(&self, name: FileName) -> Result<()> {
        self.remove_object(&self.object(name)).await
    }

    async fn remove_object(&self, object: &ObjectPath) -> Result<()> {
        match self.service.delete(object).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    async fn remove_all(&self, project_id: ProjectId) -> Result<()> {
        let folder = self.folder(project_id);
        let mut listed = self.service.list(Some(&folder));
        while let Some(object) = listed.try_next().await? {
            self.remove_object(&object.location).await?;
        }
        Ok(())
    }
}

//! The log store's second tier: its old segments in a bucket of an S3-compatible service.
//!
//! Guarantees: what lies in the bucket can be read by nobody who has the bucket alone: each segment is
//! encrypted like a backup's file, under a key of its own that the vault seals for its name. A service
//! that does not answer is waited for a limited time, and not at all once the server stops.
//!
//! Not here: which segments go there and when (`tasks/log_tier.rs`), and what is kept of them here
//! (`tose-logs`).

use std::fs::File;
use std::future::Future;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3;
use object_store::path::Path as ObjectPath;
use object_store::{ClientOptions, ObjectStoreExt, RetryConfig};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tose_logs::{FarError, FarStore};
use tose_model::IdGen;
use tose_model::error::BoxError;
use tose_model::secret::{ExposeSecret, Sealed};

use crate::backup_file::{self, BackupWriter, FileKey, KEY_LEN};
use crate::bucket;
use crate::config::S3Config;
use crate::secrets::{Place, Vault, VaultError};

/// How long a connection may take, the service may be silent, and a call may take with all of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(20);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a call is made again at once, and how long that may take in all.
const RETRIES: usize = 2;
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest object that is read, in bytes. A segment has about ten MiB at most.
const MAX_OBJECT: u64 = 64 << 20;

/// Why the bucket cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogTierError {
    /// The operator's secret cannot be read.
    #[error("the secret of the bucket could not be read")]
    Secret(#[from] VaultError),
    /// What the operator says of the bucket is not enough.
    #[error("the bucket's settings cannot be used")]
    Settings(#[from] object_store::Error),
}

/// Segments in a bucket.
pub(crate) struct LogTier {
    service: AmazonS3,
    prefix: String,
    vault: Arc<Vault>,
    ids: Arc<dyn IdGen>,
    /// Where calls are made; who waits for them may block.
    runtime: Handle,
    stop: CancellationToken,
}

impl LogTier {
    /// To be called within the runtime that makes the calls.
    pub(crate) fn open(
        config: &S3Config,
        vault: Arc<Vault>,
        ids: Arc<dyn IdGen>,
    ) -> Result<Self, LogTierError> {
        let options = ClientOptions::new()
            .with_allow_http(config.allow_http)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(READ_TIMEOUT)
            .with_timeout(CALL_TIMEOUT);
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        };
        let builder = bucket::builder(config)?;
        let service = builder.with_client_options(options).with_retry(retry);
        Ok(Self {
            service: service.build()?,
            prefix: config.prefix.clone(),
            vault,
            ids,
            runtime: Handle::current(),
            stop: CancellationToken::new(),
        })
    }

    /// Ends all waiting, now and from now on.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    fn object(&self, name: &str) -> ObjectPath {
        ObjectPath::from(format!("{}/logs/{name}", self.prefix))
    }

    /// Waits for a call.
    fn wait<T>(
        &self,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Box<object_store::Error>> {
        self.runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => Err(Box::new(object_store::Error::Generic {
                    store: "S3",
                    source: "the server stops".into(),
                })),
                answer = call => answer.map_err(Box::new),
            }
        })
    }

    /// A key for a segment, and what it is known by later.
    fn new_key(&self, name: &str) -> (FileKey, Sealed) {
        let mut key = [0; KEY_LEN];
        self.ids.fill(&mut key);
        let place = Place::LogSegmentKey { name };
        let sealed = self.vault.seal(place, &hex::encode(key), self.ids.as_ref());
        (FileKey::new(key), sealed)
    }

    fn open_key(&self, name: &str, ticket: &[u8]) -> Result<FileKey, BoxError> {
        let sealed = Sealed::from_bytes(ticket.to_vec());
        let text = self.vault.open(Place::LogSegmentKey { name }, &sealed)?;
        let mut key = [0; KEY_LEN];
        hex::decode_to_slice(text.expose_secret(), &mut key)?;
        Ok(FileKey::new(key))
    }

    fn fetch(&self, name: &str) -> Result<Bytes, FarError> {
        let object = self.object(name);
        let fetched = self.wait(async {
            let found = self.service.get(&object).await?;
            match found.meta.size <= MAX_OBJECT {
                true => Ok(Some(found.bytes().await?)),
                false => Ok(None),
            }
        });
        match fetched {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(FarError::Damaged("it is too large".into())),
            Err(error) if matches!(*error, object_store::Error::NotFound { .. }) => {
                Err(FarError::Damaged(error))
            }
            Err(error) => Err(FarError::Unavailable(error)),
        }
    }
}

impl FarStore for LogTier {
    fn put(&self, name: &str, mut file: File) -> Result<Vec<u8>, FarError> {
        let (key, sealed) = self.new_key(name);
        let mut encrypt = || {
            let mut writer = BackupWriter::new(&key, Vec::new())?;
            io::copy(&mut file, &mut writer)?;
            writer.finish()
        };
        let content = encrypt().map_err(|error| FarError::Unavailable(Box::new(error)))?;
        self.wait(self.service.put(&self.object(name), content.into()))
            .map_err(|error| FarError::Unavailable(error))?;
        Ok(sealed.as_bytes().to_vec())
    }

    fn get(&self, name: &str, ticket: &[u8], into: &mut dyn Write) -> Result<(), FarError> {
        let key = self.open_key(name, ticket).map_err(FarError::Damaged)?;
        let content = self.fetch(name)?;
        let copied = backup_file::reader(&key, &content[..])
            .and_then(|mut reader| io::copy(&mut reader, into));
        copied.map(drop).map_err(|error| match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => FarError::Damaged(Box::new(error)),
            _ => FarError::Unavailable(Box::new(error)),
        })
    }

    fn delete(&self, name: &str) -> Result<(), FarError> {
        match self.wait(self.service.delete(&self.object(name))) {
            Ok(()) => Ok(()),
            Err(error) if matches!(*error, object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(FarError::Unavailable(error)),
        }
    }
}

/// What lies in the bucket is the operator's, and its keys are in no message.
impl std::fmt::Debug for LogTier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogTier")
    }
}

#[cfg(test)]
mod tests;

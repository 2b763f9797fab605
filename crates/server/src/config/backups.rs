//! `[backups]`: where backups of databases are kept.

use serde::Deserialize;

use super::S3Config;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BackupsTable {
    pub(super) s3: Option<S3Config>,
}

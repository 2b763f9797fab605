//! A bucket of an S3-compatible service: `[backups.s3]`, `[logs.s3]`.

use std::path::PathBuf;

use serde::Deserialize;

/// A bucket of an S3-compatible service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The bucket's name.
    pub bucket: String,
    /// The service's address; that of AWS in the region when absent.
    pub endpoint: Option<String>,
    /// The region.
    #[serde(default = "default_region")]
    pub region: String,
    /// What the names of all objects begin with, without a slash at its end.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// Who reads and writes there.
    pub access_key_id: String,
    /// The file with the secret that belongs to that.
    pub secret_access_key_file: PathBuf,
    /// Whether an endpoint without TLS is used: what is sent is encrypted, what proves who sends it is signed.
    #[serde(default)]
    pub allow_http: bool,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_prefix() -> String {
    "tose".to_owned()
}

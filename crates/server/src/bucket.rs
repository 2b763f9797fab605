//! What a bucket of an S3-compatible service is reached by, for all who keep something in one.
//!
//! Not here: what is kept there, and under which names.

use object_store::aws::AmazonS3Builder;
use tose_model::secret::ExposeSecret;

use crate::config::S3Config;
use crate::secrets::{VaultError, read_secret_file};

/// Everything that the operator says of a bucket.
///
/// # Errors
/// When the file with the secret cannot be used.
pub(crate) fn builder(config: &S3Config) -> Result<AmazonS3Builder, VaultError> {
    let secret = read_secret_file(&config.secret_access_key_file)?;
    let builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_access_key_id(&config.access_key_id)
        .with_secret_access_key(secret.expose_secret())
        .with_allow_http(config.allow_http);
    Ok(match &config.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint),
        None => builder,
    })
}

//! Files that are fetched from the server.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use tempfile::NamedTempFile;
use tose_api::client::Download;

use crate::output::Output;

/// Whether the standard output is meant.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes the file as it comes, to the standard output for `-`; answers how many bytes it has. One that
/// breaks off is not left behind under its name.
pub(crate) async fn save(output: &Output, mut file: Download, path: &Path) -> Result<usize> {
    let mut size = 0;
    if is_stdout(path) {
        while let Some(bytes) = file.next().await? {
            output.raw(&bytes)?;
            size += bytes.len();
        }
        return Ok(size);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut part = NamedTempFile::new_in(dir.unwrap_or(Path::new(".")))?;
    while let Some(bytes) = file.next().await? {
        part.write_all(&bytes)?;
        size += bytes.len();
    }
    part.persist(path)?;
    Ok(size)
}

//! How much a source tree may take on the disk.

use std::io;
use std::path::Path;
use std::time::Duration;

/// How often a tree that is being fetched is measured.
const PERIOD: Duration = Duration::from_millis(500);

/// Comes back when `folder` has more than `limit` bytes; never if it stays below.
pub(crate) async fn exceeds(folder: &Path, limit: u64) {
    loop {
        tokio::time::sleep(PERIOD).await;
        if is_larger(folder, limit).await {
            return;
        }
    }
}

/// Whether the files of `folder` have more than `limit` bytes. What cannot be read counts as nothing.
pub(crate) async fn is_larger(folder: &Path, limit: u64) -> bool {
    let folder = folder.to_owned();
    let measured = tokio::task::spawn_blocking(move || measure(&folder, limit)).await;
    matches!(measured, Ok(Ok(bytes)) if bytes > limit)
}

/// The bytes of the files below `folder`; stops counting beyond `limit`.
fn measure(folder: &Path, limit: u64) -> io::Result<u64> {
    let mut bytes = 0_u64;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // Git makes and removes files while they are counted.
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(about) = entry.metadata() else {
                continue;
            };
            if about.is_dir() {
                folders.push(entry.path());
            } else {
                bytes = bytes.saturating_add(about.len());
            }
            if bytes > limit {
                return Ok(bytes);
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_files_count_and_links_do_not() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(dir.path().join("a/b")).expect("folders");
        std::fs::write(dir.path().join("a/b/c"), [0; 600]).expect("a file");
        std::fs::write(dir.path().join("d"), [0; 400]).expect("a file");
        assert!(!is_larger(dir.path(), 1000).await);
        assert!(is_larger(dir.path(), 999).await);
        std::os::unix::fs::symlink("/usr", dir.path().join("l")).expect("a link");
        assert!(!is_larger(dir.path(), 1100).await);
        assert!(!is_larger(&dir.path().join("nowhere"), 0).await);
    }
}

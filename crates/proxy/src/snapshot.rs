//! The route table as a file: how the control plane gives it to the proxy.
//!
//! Invariant: at every moment the path holds one whole table, whatever crashes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tose_model::route::RouteTable;

use crate::error::{Error, Result};

/// Puts `table` in place of the one at `path`, durably; only the owner can read it. Blocks.
pub fn write(path: &Path, table: &RouteTable) -> Result<()> {
    let text = serde_json::to_vec(table).map_err(|source| Error::BrokenSnapshot {
        path: path.to_owned(),
        source,
    })?;
    replace(path, &text).map_err(|source| Error::Snapshot {
        path: path.to_owned(),
        source,
    })
}

/// Reads the table at `path`; a missing file is an empty table. Blocks.
pub fn read(path: &Path) -> Result<RouteTable> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(RouteTable::default()),
        Err(source) => {
            return Err(Error::Snapshot {
                path: path.to_owned(),
                source,
            });
        }
    };
    serde_json::from_slice(&text).map_err(|source| Error::BrokenSnapshot {
        path: path.to_owned(),
        source,
    })
}

/// Puts a file in place of another, durably, for the owner's eyes only.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path);
    // A file that a crash left behind may have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_file_is_an_empty_table() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            read(&dir.path().join("routes.json")).unwrap(),
            RouteTable::default()
        );
    }

    #[test]
    fn a_written_table_is_read_back_and_only_the_owner_can_see_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("routes.json");
        fs::write(temporary_path(&path), "left by a crash").unwrap();
        for generation in 1..3 {
            let table = RouteTable {
                generation,
                ..RouteTable::default()
            };
            write(&path, &table).unwrap();
            assert_eq!(read(&path).unwrap(), table);
        }
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_broken_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("routes.json");
        fs::write(&path, "{\"generation\": 1, \"routes\"").unwrap();
        assert!(matches!(read(&path), Err(Error::BrokenSnapshot { .. })));
    }
}

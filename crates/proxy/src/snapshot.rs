//! The route table as files: how the control plane gives it to the proxy.
//!
//! One file holds a whole table, a log beside it what changed since, a line for each change; a change of
//! one project costs the same with one project and with ten thousand. Invariant: at every moment the two
//! make one table that was published, whatever crashes. Lines of the log that the whole table has
//! already count for nothing, nor does a last one that was cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tose_model::route::{IndexedTable, RouteChange, RouteTable};

use crate::error::{Error, Result};

/// Puts `table` in place of the one at `path`, durably, and begins its log anew; only the owner can read
/// them. Blocks.
pub fn write(path: &Path, table: &RouteTable) -> Result<()> {
    let text = serde_json::to_vec(table).map_err(broken(path))?;
    replace(path, &text).map_err(failed(path))?;
    match fs::remove_file(log_path(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

/// Writes what changed, durably; answers how many bytes the log has. Blocks. Only one process does, one
/// change at a time.
pub fn append(path: &Path, change: &RouteChange) -> Result<u64> {
    let mut line = serde_json::to_vec(change).map_err(broken(path))?;
    line.push(b'\n');
    append_line(&log_path(path), &line).map_err(failed(path))
}

fn append_line(path: &Path, line: &[u8]) -> io::Result<u64> {
    let is_new = !path.exists();
    let mut log = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    let length = cut_off_at_line(&mut log)?;
    log.seek(SeekFrom::Start(length))?;
    log.write_all(line)?;
    log.sync_data()?;
    if is_new {
        sync_parent(path)?;
    }
    Ok(length + line.len() as u64)
}

/// Takes away a last line that a crash cut off; answers how long the rest is.
fn cut_off_at_line(log: &mut File) -> io::Result<u64> {
    let length = log.metadata()?.len();
    if length == 0 {
        return Ok(0);
    }
    let mut last = [0];
    log.seek(SeekFrom::Start(length - 1))?;
    log.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok(length);
    }
    let mut text = Vec::new();
    log.seek(SeekFrom::Start(0))?;
    log.read_to_end(&mut text)?;
    let whole = text
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1) as u64;
    log.set_len(whole)?;
    Ok(whole)
}

/// Reads the table at `path` with what changed since; a missing file is an empty table. Blocks.
pub fn read(path: &Path) -> Result<RouteTable> {
    read_with_log(path).map(|(table, _)| table)
}

/// The same, with where its log goes on.
pub(crate) fn read_with_log(path: &Path) -> Result<(RouteTable, LogReader)> {
    loop {
        let before = inode(path).map_err(failed(path))?;
        let table: RouteTable = match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(broken(path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => RouteTable::default(),
            Err(error) => return Err(failed(path)(error)),
        };
        let mut table = IndexedTable::from(table);
        let mut log = LogReader::default();
        for change in log.read_on(path)? {
            if change.generation > table.table().generation {
                table.apply(&change);
            }
        }
        // A newer table has taken its place, and its log with it.
        if inode(path).map_err(failed(path))? == before {
            return Ok((table.into_table(), log));
        }
    }
}

/// What tells a file from the one that takes its place while it is open.
fn inode(path: &Path) -> io::Result<Option<(u64, i64, i64)>> {
    match fs::metadata(path) {
        Ok(file) => Ok(Some((file.ino(), file.mtime(), file.mtime_nsec()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the log of a table line by line, as it grows.
#[derive(Debug, Default)]
pub(crate) struct LogReader {
    inode: u64,
    offset: u64,
}

impl LogReader {
    /// What was written since the last time; all of it if the log has begun anew. Blocks.
    pub(crate) fn read_on(&mut self, path: &Path) -> Result<Vec<RouteChange>> {
        let text = self.read_text(&log_path(path)).map_err(failed(path))?;
        let whole = text
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let lines = text[..whole].split(|&byte| byte == b'\n');
        let changes = lines
            .filter(|line| !line.is_empty())
            .map(serde_json::from_slice)
            .collect::<std::result::Result<_, _>>()
            .map_err(broken(path))?;
        self.offset += whole as u64;
        Ok(changes)
    }

    fn read_text(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let mut log = match File::open(path) {
            Ok(log) => log,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *self = Self::default();
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let metadata = log.metadata()?;
        if metadata.ino() != self.inode || metadata.len() < self.offset {
            *self = Self {
                inode: metadata.ino(),
                offset: 0,
            };
        }
        let mut text = Vec::new();
        log.seek(SeekFrom::Start(self.offset))?;
        log.read_to_end(&mut text)?;
        Ok(text)
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Snapshot {
        path: path.to_owned(),
        source,
    }
}

fn broken(path: &Path) -> impl Fn(serde_json::Error) -> Error {
    move |source| Error::BrokenSnapshot {
        path: path.to_owned(),
        source,
    }
}

fn log_path(path: &Path) -> PathBuf {
    path.with_extension("log")
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
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
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
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use tose_model::route::Route;

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

    fn change(generation: u64, project: u128, hosts: &[&str]) -> RouteChange {
        let project_id = format!("01890000-0000-7000-8000-{project:012x}")
            .parse()
            .unwrap();
        let route = |host: &&str| {
            let route = Route {
                project_id,
                workspace: "acme".parse().unwrap(),
                project: "shop".parse().unwrap(),
                backends: Vec::new(),
                reason: Some(format!("since {generation}")),
                https_port: None,
                rules: None,
            };
            (host.parse().unwrap(), route)
        };
        RouteChange {
            generation,
            projects: BTreeMap::from([(project_id, hosts.iter().map(route).collect())]),
            ..RouteChange::default()
        }
    }

    /// Writes the changes one by one; the table that they make.
    fn write_changes(path: &Path, first: u64, count: u64) -> RouteTable {
        let mut table = IndexedTable::from(read(path).unwrap());
        for generation in first..first + count {
            let host = format!("{}.example.com", generation % 3);
            let change = change(generation, u128::from(generation % 3), &[&host]);
            table.apply(&change);
            append(path, &change).unwrap();
        }
        table.into_table()
    }

    #[test]
    fn a_table_and_its_log_make_the_newest_table_whatever_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("routes.json");
        write(&path, &RouteTable::default()).unwrap();
        let table = write_changes(&path, 1, 10);
        assert_eq!(read(&path).unwrap(), table);
        let log = log_path(&path);
        assert_eq!(
            fs::metadata(&log).unwrap().permissions().mode() & 0o777,
            0o600
        );

        // A crash in the middle of a line.
        let line = fs::read(&log).unwrap();
        let mut torn = line.clone();
        torn.extend(&line[..40]);
        fs::write(&log, &torn).unwrap();
        assert_eq!(read(&path).unwrap(), table);
        let table = write_changes(&path, 11, 1);
        assert_eq!(read(&path).unwrap(), table);

        // A crash between the whole table and the end of its log.
        let kept = fs::read(&log).unwrap();
        write(&path, &table).unwrap();
        assert!(!log.exists());
        fs::write(&log, kept).unwrap();
        assert_eq!(read(&path).unwrap(), table);
    }

    #[test]
    fn a_reader_goes_on_where_it_was_and_begins_anew_with_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("routes.json");
        let generations = |changes: Vec<RouteChange>| -> Vec<u64> {
            changes.iter().map(|change| change.generation).collect()
        };
        let (_, mut reader) = read_with_log(&path).unwrap();
        assert!(reader.read_on(&path).unwrap().is_empty());
        write_changes(&path, 1, 2);
        assert_eq!(generations(reader.read_on(&path).unwrap()), [1, 2]);
        assert!(reader.read_on(&path).unwrap().is_empty());
        let table = write_changes(&path, 3, 1);
        write(&path, &table).unwrap();
        write_changes(&path, 4, 1);
        let after = generations(reader.read_on(&path).unwrap());
        assert_eq!(after.last(), Some(&4));
    }
}

//! Archives that users send: read entry by entry and written anew, never unpacked.
//!
//! Guarantees of what [`repack`] writes: every path is relative, without `..`, and of printable
//! characters; there are only files, folders and links; times and owners are fixed, so that an
//! unchanged tree hits the engine's cache; `.git` is left out. A link may point anywhere: the engine
//! reads a context in a root of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// The most entries of an archive.
const MAX_ENTRIES: usize = 100_000;
/// How many times larger than its limit an archive may be when it is decompressed.
const MAX_RATIO: u64 = 4;
/// The most bytes of a long name or of an entry's other extensions.
const MAX_EXTENSION: u64 = 64 << 10;

type Plain = tar::Archive<io::Take<MultiGzDecoder<File>>>;

/// Why an archive cannot be used, in words for who sent it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("{0}")]
    Refused(String),
    #[error("the archive could not be written")]
    Write(#[source] io::Error),
}

fn refuse<T>(problem: impl Into<String>) -> Result<T, ArchiveError> {
    Err(ArchiveError::Refused(problem.into()))
}

/// Reads the gzipped tar `source` and writes a plain one to `target`, which is on the disk when this
/// returns. `max_bytes` is the limit of `source`, which the caller has kept.
///
/// # Errors
/// `Refused` for what is no such archive, is too large, or holds what must not be in it.
pub(crate) fn repack(source: &Path, target: &Path, max_bytes: u64) -> Result<(), ArchiveError> {
    let limit = max_bytes.saturating_mul(MAX_RATIO);
    check(open(source, limit)?, limit)?;
    let mut archive = open(source, limit)?;
    let output = File::create(target).map_err(ArchiveError::Write)?;
    let mut builder = tar::Builder::new(BufWriter::new(output));
    let mut count = 0;
    for entry in archive.entries().map_err(|error| unreadable(&error))? {
        let entry = entry.map_err(|error| unreadable(&error))?;
        count += 1;
        if count > MAX_ENTRIES {
            return refuse(format!("the archive has more than {MAX_ENTRIES} entries"));
        }
        copy(entry, &mut builder)?;
    }
    if count == 0 {
        return refuse("the archive is empty");
    }
    let mut output = builder.into_inner().map_err(ArchiveError::Write)?;
    output.flush().map_err(ArchiveError::Write)?;
    output.get_ref().sync_all().map_err(ArchiveError::Write)
}

/// Writes files of our own as a plain tar to `path`, which gets its name when it is on the disk.
pub(crate) fn write(path: &Path, files: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let part = path.with_extension("part");
    let mut builder = tar::Builder::new(BufWriter::new(File::create(&part)?));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice())?;
    }
    let mut output = builder.into_inner()?;
    output.flush()?;
    output.get_ref().sync_all()?;
    std::fs::rename(&part, path)
}

/// One byte more than allowed tells "too large" from "exactly so large".
fn open(source: &Path, limit: u64) -> Result<Plain, ArchiveError> {
    let input = File::open(source).map_err(ArchiveError::Write)?;
    let plain = MultiGzDecoder::new(input).take(limit + 1);
    Ok(tar::Archive::new(plain))
}

/// Whether the whole archive can be read, is no larger than `limit`, and holds no extension that is
/// too long.
fn check(mut archive: Plain, limit: u64) -> Result<(), ArchiveError> {
    let checked = check_extensions(&mut archive);
    let mut plain = archive.into_inner();
    // The rest is padding; a stream that was cut off or damaged shows here.
    let rest = io::copy(&mut plain, &mut io::sink());
    if plain.limit() == 0 {
        let mib = limit >> 20;
        return refuse(format!(
            "the archive has more than {mib} MiB when it is decompressed"
        ));
    }
    checked?;
    rest.map(|_| ()).map_err(|error| unreadable(&error))
}

/// Long names and other extensions of a header stand in entries of their own, which are read into
/// memory with the entry that they belong to: they have to be looked at before that.
fn check_extensions(archive: &mut Plain) -> Result<(), ArchiveError> {
    let entries = archive.entries().map_err(|error| unreadable(&error))?;
    for entry in entries.raw(true) {
        let entry = entry.map_err(|error| unreadable(&error))?;
        let kind = entry.header().entry_type();
        let is_extension = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if is_extension && entry.size() > MAX_EXTENSION {
            return refuse("the archive holds a name that is too long");
        }
    }
    Ok(())
}

fn unreadable(error: &io::Error) -> ArchiveError {
    ArchiveError::Refused(format!(
        "the body is no gzipped tar archive that can be read: {error}"
    ))
}

fn copy<R: Read>(
    entry: tar::Entry<'_, R>,
    builder: &mut tar::Builder<BufWriter<File>>,
) -> Result<(), ArchiveError> {
    let kind = entry.header().entry_type();
    if kind.is_pax_global_extensions() {
        return Ok(());
    }
    let path = safe_path(&entry.path().map_err(|error| unreadable(&error))?)?;
    let is_git = path.components().next() == Some(Component::Normal(".git".as_ref()));
    if path.as_os_str().is_empty() || is_git {
        return Ok(());
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    let is_executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
    header.set_mode(if kind.is_dir() || is_executable {
        0o755
    } else {
        0o644
    });
    // Not 0: some tools take that for "no time".
    header.set_mtime(1);
    if kind.is_dir() {
        header.set_size(0);
        return builder
            .append_data(&mut header, &path, io::empty())
            .map_err(ArchiveError::Write);
    }
    if kind.is_symlink() || kind.is_hard_link() {
        let target = entry.link_name().map_err(|error| unreadable(&error))?;
        let target = target.unwrap_or_default().into_owned();
        let target = if kind.is_hard_link() {
            safe_path(&target)?
        } else {
            target
        };
        header.set_size(0);
        return builder
            .append_link(&mut header, &path, target)
            .map_err(ArchiveError::Write);
    }
    if !kind.is_file() {
        return refuse(format!(
            "the archive holds {}, which is neither a file nor a folder nor a link",
            path.display()
        ));
    }
    header.set_size(entry.size());
    let mut source = ReadErrors {
        inner: entry,
        error: None,
    };
    let copied = builder.append_data(&mut header, &path, &mut source);
    match (copied, source.error) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(error)) => Err(unreadable(&error)),
        (Err(error), None) => Err(ArchiveError::Write(error)),
    }
}

/// Tells what went wrong with reading from what went wrong with writing.
struct ReadErrors<R> {
    inner: R,
    error: Option<io::Error>,
}

impl<R: Read> Read for ReadErrors<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| {
            self.error = Some(io::Error::new(error.kind(), error.to_string()));
        })
    }
}

fn safe_path(path: &Path) -> Result<PathBuf, ArchiveError> {
    let mut safe = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => safe.push(part),
            Component::CurDir => {}
            _ => {
                return refuse(format!(
                    "the archive holds the path {}, which leads out of it",
                    path.display()
                ));
            }
        }
    }
    let is_printable = safe
        .to_str()
        .is_some_and(|text| !text.chars().any(char::is_control));
    if is_printable {
        Ok(safe)
    } else {
        refuse("the archive holds a path with characters that cannot be printed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    const LIMIT: u64 = 1 << 20;

    fn gzipped(fill: impl FnOnce(&mut tar::Builder<&mut GzEncoder<Vec<u8>>>)) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut builder = tar::Builder::new(&mut gzip);
        fill(&mut builder);
        builder.finish().expect("an archive");
        drop(builder);
        gzip.finish().expect("gzip")
    }

    fn entry(
        builder: &mut tar::Builder<&mut GzEncoder<Vec<u8>>>,
        name: &str,
        kind: tar::EntryType,
        text: &str,
    ) {
        let mut header = tar::Header::new_gnu();
        // Written by hand: the builder would refuse the paths that have to be refused here.
        header.as_gnu_mut().expect("gnu").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(text.len() as u64);
        header.set_mode(0o4755);
        header.set_mtime(1_700_000_000);
        header.set_cksum();
        builder.append(&header, text.as_bytes()).expect("an entry");
    }

    fn repacked(bytes: &[u8]) -> Result<Vec<(String, u32, String)>, ArchiveError> {
        let dir = tempfile::tempdir().expect("a directory");
        let (source, target) = (dir.path().join("in"), dir.path().join("out"));
        std::fs::write(&source, bytes).expect("written");
        repack(&source, &target, LIMIT)?;
        let mut archive = tar::Archive::new(File::open(&target).expect("the archive"));
        Ok(archive
            .entries()
            .expect("entries")
            .map(|entry| {
                let mut entry = entry.expect("an entry");
                let mut text = String::new();
                entry.read_to_string(&mut text).expect("text");
                let path = entry.path().expect("a path").display().to_string();
                (path, entry.header().mode().expect("a mode"), text)
            })
            .collect())
    }

    #[test]
    fn files_come_through_with_fixed_headers_and_git_stays_out() {
        let bytes = gzipped(|builder| {
            entry(builder, "./", tar::EntryType::Directory, "");
            entry(builder, "./Dockerfile", tar::EntryType::Regular, "FROM x");
            entry(builder, "./.git/config", tar::EntryType::Regular, "secret");
        });
        let expected = ("Dockerfile".to_owned(), 0o755, "FROM x".to_owned());
        assert_eq!(repacked(&bytes).expect("repacked"), [expected]);
    }

    #[test]
    fn what_leads_out_or_is_no_file_is_refused() {
        for (name, kind) in [
            ("../evil", tar::EntryType::Regular),
            ("a/../../evil", tar::EntryType::Regular),
            ("/etc/passwd", tar::EntryType::Regular),
            ("a\nb", tar::EntryType::Regular),
            ("pipe", tar::EntryType::Fifo),
            ("disk", tar::EntryType::Block),
        ] {
            let bytes = gzipped(|builder| entry(builder, name, kind, ""));
            let answer = repacked(&bytes);
            assert!(matches!(answer, Err(ArchiveError::Refused(_))), "{name:?}");
        }
    }

    #[test]
    fn a_name_that_would_fill_the_memory_is_refused() {
        for kind in [
            tar::EntryType::GNULongName,
            tar::EntryType::GNULongLink,
            tar::EntryType::XHeader,
            tar::EntryType::XGlobalHeader,
        ] {
            let bytes = gzipped(|builder| {
                entry(builder, "long", kind, &"x".repeat(1 << 20));
                entry(builder, "Dockerfile", tar::EntryType::Regular, "FROM x");
            });
            let problem = repacked(&bytes).expect_err("refused").to_string();
            assert_eq!(problem, "the archive holds a name that is too long");
        }
    }

    #[test]
    fn what_is_no_archive_is_empty_cut_off_or_a_bomb_is_refused() {
        let good = gzipped(|builder| {
            entry(
                builder,
                "Dockerfile",
                tar::EntryType::Regular,
                &"x".repeat(5000),
            );
        });
        let bomb = gzipped(|builder| {
            let zeros = "\0".repeat(5 << 20);
            entry(builder, "zeros", tar::EntryType::Regular, &zeros);
        });
        assert!(bomb.len() < 100_000);
        let empty = gzipped(|_| {});
        for bytes in [&b"hello"[..], b"", &good[..good.len() / 2], &bomb, &empty] {
            let answer = repacked(bytes);
            assert!(
                matches!(answer, Err(ArchiveError::Refused(_))),
                "{answer:?}"
            );
        }
        let problem = repacked(&bomb).expect_err("refused").to_string();
        assert_eq!(
            problem,
            "the archive has more than 4 MiB when it is decompressed"
        );
        assert!(repacked(&good).is_ok());
    }
}

//! What a stream's directory holds, found out when the stream comes into use.
//!
//! The newest segment is read whole. Of the others only the header is read, which also says what
//! there is to know about the segment before, unless a header is damaged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Segment, Stream, View};
use crate::error::{Error, Result};
use crate::frame::SegmentHeader;
use crate::segment::{self, Form, Scan, SegmentReader};

/// A segment file.
struct Found {
    path: PathBuf,
    number: u32,
    form: Form,
    bytes: u64,
    header: Option<SegmentHeader>,
    /// If it was read whole.
    scan: Option<Scan>,
}

/// Reads what readers need to know.
pub(super) fn load_view(stream: &Stream) -> Result<View> {
    let mut found = find_segments(&stream.dir)?;
    scan_where_necessary(stream, &mut found)?;
    let scans = found.iter().filter_map(|file| file.scan.as_ref());
    let next_seq = scans.rev().find_map(|scan| scan.next_seq).unwrap_or(1);

    let mut segments = Vec::with_capacity(found.len());
    let mut end_seq = next_seq;
    let mut described = None;
    for file in found.iter().rev() {
        let first_seq = file.scan.as_ref().and_then(|scan| scan.first_seq);
        let first_seq = file.header.map(|header| header.first_seq).or(first_seq);
        // A segment in which nothing can be read has no lines.
        end_seq = first_seq.unwrap_or(end_seq);
        segments.push(Segment {
            number: file.number,
            form: file.form,
            first_seq: end_seq,
            bytes: file.scan.as_ref().map_or(file.bytes, |scan| scan.valid_len),
            span: file.scan.as_ref().map_or(described, |scan| scan.span),
            is_closed: false,
        });
        described = file.header.and_then(|header| header.previous);
    }
    segments.reverse();
    let newest = found.last().and_then(|file| file.scan.as_ref());
    Ok(View {
        segments,
        next_seq,
        is_finished: newest.is_some_and(|scan| scan.is_finished),
    })
}

/// Reads the segments whole about which no header says enough.
fn scan_where_necessary(stream: &Stream, found: &mut [Found]) -> Result<()> {
    // Nothing comes after the newest, so no header describes it.
    let mut is_described = false;
    for file in found.iter_mut().rev() {
        if !is_described || file.header.is_none() {
            file.scan = segment::scan(&file.path, file.form)?;
        }
        if let Some(scan) = file.scan.as_ref().filter(|scan| scan.damaged > 0) {
            stream.report_damage(&file.path, scan.damaged);
        }
        is_described = file.header.is_some();
    }
    Ok(())
}

/// The directory's segments, from the oldest to the newest.
fn find_segments(dir: &Path) -> Result<Vec<Found>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", dir)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list", dir))?;
        let Some((number, form)) = entry
            .file_name()
            .to_str()
            .and_then(segment::parse_file_name)
        else {
            continue;
        };
        let path = entry.path();
        if let Some(reader) = SegmentReader::open(&path, form, u64::MAX)? {
            found.push(Found {
                number,
                form,
                bytes: reader.len(),
                header: reader.header()?,
                scan: None,
                path,
            });
        }
    }
    found.sort_unstable_by_key(|file| (file.number, file.form));
    // Where a segment is there in both forms, the packed one is whole: it gets its name last.
    found.dedup_by(|packed, plain| {
        let is_same = packed.number == plain.number;
        if is_same {
            std::mem::swap(packed, plain);
            // Whoever packed it was killed before the other went. The next one tries again.
            let _ = fs::remove_file(&packed.path);
        }
        is_same
    });
    Ok(found)
}

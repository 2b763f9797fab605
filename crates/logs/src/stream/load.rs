//! What a stream's directory holds, found out when the stream comes into use.
//!
//! The newest segment is read whole. Of the others only the header is read, which also says what
//! there is to know about the segment before, unless a header is damaged. A segment that is in the far
//! store alone is known from its marker.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Place, Segment, Stream, View};
use crate::error::{Error, Result};
use crate::far::marker;
use crate::frame::SegmentHeader;
use crate::segment::{self, Form, Scan, SegmentReader};

/// A segment file.
struct Found {
    path: PathBuf,
    number: u32,
    form: Form,
    place: Place,
    bytes: u64,
    header: Option<SegmentHeader>,
    /// If it was read whole.
    scan: Option<Scan>,
}

/// Reads what readers need to know.
pub(super) fn load_view(stream: &Stream) -> Result<View> {
    let mut found = find_segments(&stream.dir)?;
    add_far_segments(stream, &mut found)?;
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
            place: file.place,
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
        if file.scan.is_none() && (!is_described || file.header.is_none()) {
            file.scan = segment::scan(&file.path, file.form)?;
        }
        if let Some(scan) = file.scan.as_ref().filter(|scan| scan.damaged > 0) {
            stream.report_damage(&file.path, scan.damaged);
        }
        is_described = file.header.is_some();
    }
    Ok(())
}

/// Adds the segments that have a marker, and says of those that have a file too that they do.
fn add_far_segments(stream: &Stream, found: &mut Vec<Found>) -> Result<()> {
    for number in marker::list(&stream.dir)? {
        let here = found.iter().position(|file| file.number == number);
        let packed = here.filter(|at| found[*at].form == Form::Packed);
        let Some(marker) = marker::read(&stream.dir, number)?.flatten() else {
            let path = marker::path(&stream.dir, number);
            stream.report_damage(&path, 1);
            match here {
                // It is copied again, once what is there was deleted.
                Some(_) => stream.tier.disown(stream.id, &stream.dir, number)?,
                None => found.push(Found::far(path, number, None)),
            }
            continue;
        };
        if let Some(at) = packed {
            found[at].place = Place::Both;
            continue;
        }
        if let Some(at) = here {
            // Who packed it was killed before this one went. The far store has its lines.
            let _ = fs::remove_file(&found.remove(at).path);
        }
        let scan = Scan {
            first_seq: Some(marker.first_seq),
            next_seq: Some(marker.next_seq),
            span: marker.span,
            is_finished: false,
            valid_len: marker.content.bytes,
            damaged: 0,
        };
        let path = marker::path(&stream.dir, number);
        found.push(Found::far(path, number, Some(scan)));
    }
    found.sort_unstable_by_key(|file| file.number);
    Ok(())
}

impl Found {
    /// A segment that has no file but its marker.
    fn far(path: PathBuf, number: u32, scan: Option<Scan>) -> Self {
        let nothing = Scan {
            first_seq: None,
            next_seq: None,
            span: None,
            is_finished: false,
            valid_len: 0,
            damaged: 0,
        };
        Self {
            path,
            number,
            form: Form::Packed,
            place: Place::Far,
            bytes: 0,
            header: None,
            scan: Some(scan.unwrap_or(nothing)),
        }
    }
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
                place: Place::Here,
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

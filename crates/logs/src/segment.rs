//! Reading one segment file from front to back.
//!
//! Guarantees: a frame comes out only with the right checksum, in ascending order of its lines, and
//! whole. Damage in the middle is stepped over and counted; what is torn off at the end ends the
//! reading. Not more than one payload is in memory.
//!
//! Assumption: bytes below the length that the reader was given do not change.
//!
//! Caveat: where a frame's header is damaged, the reader looks for the next thing that looks like a
//! frame. A line whose text is a well-made frame could be taken for one then, and only then.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memchr::memmem::Finder;

use crate::block::Block;
use crate::error::{Error, Result};
use crate::filter;
use crate::frame::{
    self, FRAME_HEADER_LEN, FrameHeader, SEGMENT_HEADER_LEN, SegmentHeader, SegmentStart, Span,
};
use crate::pack::{self, Index, Unzip, Wanted, Words};

/// How much is looked through at once for the next frame after damage.
const SEARCH_WINDOW: usize = 64 << 10;
/// How much of a packed segment is read at once where little is wanted: the beginning of an index.
const PACKED_WINDOW: usize = 4 << 10;

/// How the lines of a segment are kept. Its file's name says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// As they came.
    Plain,
    /// Packed, once the segment was full.
    Packed,
}

/// The file name of a segment.
pub(crate) fn file_name(number: u32, form: Form) -> String {
    let extension = match form {
        Form::Plain => "tlog",
        Form::Packed => "tpack",
    };
    format!("{number:08}.{extension}")
}

/// The number in a segment's file name, and its form; `None` if the file is no segment.
pub(crate) fn parse_file_name(name: &str) -> Option<(u32, Form)> {
    let (number, _) = name.split_once('.')?;
    let number = number.parse().ok()?;
    let forms = [Form::Plain, Form::Packed].into_iter();
    let mut found = forms.filter(|form| file_name(number, *form) == name);
    found.next().map(|form| (number, form))
}

/// A frame and where it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    pub(crate) offset: u64,
}

impl Frame {
    fn payload_offset(&self) -> u64 {
        self.offset + FRAME_HEADER_LEN as u64
    }

    /// The offset of what follows the frame.
    pub(crate) fn end(&self) -> u64 {
        self.payload_offset() + self.header.payload_len() as u64
    }
}

/// A segment file, open for reading.
pub(crate) struct SegmentReader {
    path: PathBuf,
    form: Form,
    file: BufReader<File>,
    /// Where the file's buffered cursor is.
    cursor: u64,
    /// Where the next frame is expected.
    offset: u64,
    /// Where the segment ends.
    len: u64,
    next_seq: u64,
    /// How many times damage was stepped over.
    pub(crate) damaged: u64,
    buffer: Vec<u8>,
    unzip: Unzip,
}

impl SegmentReader {
    /// Opens a segment of which `len` bytes count (all, if it is shorter). `None` if it is gone.
    pub(crate) fn open(path: &Path, form: Form, len: u64) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open", path)(error)),
        };
        let metadata = file.metadata().map_err(Error::io("examine", path))?;
        let window = match form {
            Form::Plain => SEARCH_WINDOW,
            Form::Packed => PACKED_WINDOW,
        };
        Ok(Some(Self {
            path: path.to_owned(),
            form,
            file: BufReader::with_capacity(window, file),
            cursor: 0,
            offset: SEGMENT_HEADER_LEN as u64,
            len: len.min(metadata.len()),
            next_seq: 0,
            damaged: 0,
            buffer: Vec::new(),
            unzip: Unzip::default(),
        }))
    }

    /// What it unpacks with. Whoever reads many segments lends one to each.
    pub(crate) fn unzip(&mut self) -> &mut Unzip {
        &mut self.unzip
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The segment's header; `None` if it is damaged or not complete.
    pub(crate) fn header(&self) -> Result<Option<SegmentHeader>> {
        if self.len < SEGMENT_HEADER_LEN as u64 {
            return Ok(None);
        }
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        self.read_at(&mut bytes, 0)?;
        match SegmentHeader::decode(&bytes) {
            SegmentStart::Header(header) => Ok(Some(header)),
            SegmentStart::Damaged => Ok(None),
            SegmentStart::UnknownVersion(version) => Err(Error::Version {
                path: self.path.clone(),
                version,
            }),
        }
    }

    /// Continues at the frame with this offset.
    pub(crate) fn seek(&mut self, offset: u64) {
        self.offset = offset.max(SEGMENT_HEADER_LEN as u64);
    }

    /// The next frame; `None` at the end, or where only a torn frame follows.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>> {
        loop {
            let Some(header) = self.read_header()? else {
                return self.search();
            };
            let offset = self.offset;
            let frame = Frame { header, offset };
            if frame.end() > self.len {
                return Ok(None);
            }
            self.offset = frame.end();
            if header.first_seq >= self.next_seq {
                self.next_seq = header.next_seq();
                return Ok(Some(frame));
            }
            // No writer goes back, so no writer wrote this.
            self.damaged += 1;
        }
    }

    /// The lines of a frame that [`SegmentReader::next_frame`] gave; `None` if it is damaged.
    pub(crate) fn block(&mut self, frame: &Frame) -> Result<Option<Block>> {
        self.block_of(frame, Wanted::All)
    }

    /// The same where only some lines are wanted. The texts of others may be left empty; if none is wanted,
    /// the block may have no lines.
    pub(crate) fn block_of(&mut self, frame: &Frame, wanted: Wanted<'_>) -> Result<Option<Block>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(frame.header.payload_len(), 0);
        self.read_exact(&mut buffer, frame.payload_offset())?;
        let block = frame::decode_wanted(&frame.header, &buffer, wanted, &mut self.unzip);
        self.buffer = buffer;
        if block.is_none() {
            self.damaged += 1;
        }
        Ok(block)
    }

    /// What a packed frame says of itself; `None` if it says nothing or that is damaged.
    pub(crate) fn index(&mut self, frame: &Frame) -> Result<Option<Index>> {
        if !frame.header.is_packed() || frame.header.payload_len() < pack::PREFIX_LEN {
            return Ok(None);
        }
        let mut prefix = [0; pack::PREFIX_LEN];
        self.read_exact(&mut prefix, frame.payload_offset())?;
        let len = pack::PREFIX_LEN + pack::index_len(prefix);
        if len > frame.header.payload_len() {
            return Ok(None);
        }
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.resize(len, 0);
        self.read_exact(&mut bytes, frame.payload_offset())?;
        let index = pack::decode_index(&frame.header, &bytes);
        self.buffer = bytes;
        Ok(index)
    }

    /// Whether a packed frame may have a line with all of these words, which are given by their hashes.
    pub(crate) fn may_have_words(
        &mut self,
        frame: &Frame,
        index: &Index,
        hashes: &[u64],
    ) -> Result<bool> {
        for hash in hashes {
            let may_have = match index.words() {
                Words::Known(filter) => filter::may_have(filter, *hash),
                Words::Pages { blocks_len, start } => match filter::page_of(*hash, blocks_len) {
                    None => false,
                    Some(page) if start + page.end > frame.header.payload_len() => true,
                    Some(page) => {
                        let mut bytes = vec![0; page.len()];
                        let offset = frame.payload_offset() + (start + page.start) as u64;
                        self.read_exact(&mut bytes, offset)?;
                        filter::page_may_have(&bytes, *hash, blocks_len)
                    }
                },
            };
            if !may_have {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a packed frame may have a line with this text, which is in lower case.
    pub(crate) fn may_have_text(&mut self, index: &Index, text: &Finder<'_>) -> bool {
        index.may_have_text(text, &mut self.unzip)
    }

    fn read_header(&mut self) -> Result<Option<FrameHeader>> {
        let mut bytes = [0; FRAME_HEADER_LEN];
        if self.offset + bytes.len() as u64 > self.len {
            return Ok(None);
        }
        self.read_exact(&mut bytes, self.offset)?;
        Ok(FrameHeader::decode(&bytes))
    }

    /// Looks for the next whole frame, at any offset after the damaged one.
    fn search(&mut self) -> Result<Option<Frame>> {
        let mut window = Vec::new();
        let mut from = self.offset + 1;
        while from + FRAME_HEADER_LEN as u64 <= self.len {
            let size = (self.len - from).min(SEARCH_WINDOW as u64);
            window.resize(usize::try_from(size).expect("not more than the window"), 0);
            self.read_at(&mut window, from)?;
            for (index, bytes) in window.windows(FRAME_HEADER_LEN).enumerate() {
                let Some(header) = FrameHeader::decode(bytes) else {
                    continue;
                };
                let offset = from + index as u64;
                let frame = Frame { header, offset };
                if self.is_whole(&frame)? {
                    self.damaged += 1;
                    self.offset = frame.end();
                    self.next_seq = header.next_seq();
                    return Ok(Some(frame));
                }
            }
            from += (window.len() - FRAME_HEADER_LEN + 1) as u64;
        }
        Ok(None)
    }

    /// Whether a frame that was found by searching can be one.
    fn is_whole(&mut self, frame: &Frame) -> Result<bool> {
        if frame.header.first_seq < self.next_seq || frame.end() > self.len {
            return Ok(false);
        }
        let damaged = self.damaged;
        let is_whole = self.block(frame)?.is_some();
        self.damaged = damaged;
        Ok(is_whole)
    }

    /// Reads through the buffer, which makes many small frames cheap.
    fn read_exact(&mut self, bytes: &mut [u8], offset: u64) -> Result<()> {
        let error = Error::io("read", &self.path);
        let step = offset.wrapping_sub(self.cursor).cast_signed();
        let seek = match step {
            0 => Ok(()),
            step => self.file.seek_relative(step),
        };
        match seek.and_then(|()| self.file.read_exact(bytes)) {
            Ok(()) => {
                self.cursor = offset + bytes.len() as u64;
                Ok(())
            }
            Err(source) => {
                // Where the cursor is after a failure is not known.
                self.cursor = self.file.seek(SeekFrom::Start(0)).unwrap_or(0);
                Err(error(source))
            }
        }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        self.file
            .get_ref()
            .read_exact_at(bytes, offset)
            .map_err(Error::io("read", &self.path))
    }
}

/// What a whole segment holds.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The number of the first line, from the header or the first frame.
    pub(crate) first_seq: Option<u64>,
    /// The number after the last line; `None` if nothing in the segment says it.
    pub(crate) next_seq: Option<u64>,
    pub(crate) span: Option<Span>,
    /// Whether the last frame ends the stream.
    pub(crate) is_finished: bool,
    /// Where the last frame ends. Zero if there is neither a header nor a frame.
    pub(crate) valid_len: u64,
    pub(crate) damaged: u64,
}

/// Reads a segment's frames, without looking into them. `None` if the segment is gone.
pub(crate) fn scan(path: &Path, form: Form) -> Result<Option<Scan>> {
    let Some(mut reader) = SegmentReader::open(path, form, u64::MAX)? else {
        return Ok(None);
    };
    let header = reader.header()?;
    let first_seq = header.map(|header| header.first_seq);
    let mut scan = Scan {
        first_seq,
        next_seq: first_seq,
        span: None,
        is_finished: false,
        valid_len: header.map_or(0, |_| SEGMENT_HEADER_LEN as u64),
        damaged: 0,
    };
    while let Some(frame) = reader.next_frame()? {
        scan.first_seq.get_or_insert(frame.header.first_seq);
        scan.next_seq = scan.next_seq.max(Some(frame.header.next_seq()));
        scan.span = Span::join(scan.span, frame.header.span);
        scan.is_finished = frame.header.is_end();
        scan.valid_len = frame.end();
    }
    scan.damaged = reader.damaged;
    Ok(Some(scan))
}

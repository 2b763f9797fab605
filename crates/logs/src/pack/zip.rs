//! Bytes that are compressed where that makes them smaller.
//!
//! What it makes is a part: a length with a bit that says whether the bytes are compressed, and the bytes. How
//! long they are when unpacked is known to whoever reads it, so a part cannot ask for more memory than that.

use std::borrow::Cow;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

use crate::bytes::{Input, put_varint};

/// Fewer bytes than this are left as they are.
const MIN_LEN: usize = 32;

/// Makes parts.
#[derive(Default)]
pub(crate) struct Zip {
    /// Made for the first part, and the level it is set to.
    compressor: Option<(Compressor<'static>, i32)>,
}

impl Zip {
    /// Adds a part with these bytes. A higher level takes longer and makes less of them.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, bytes: &[u8], level: i32) -> io::Result<()> {
        if bytes.len() >= MIN_LEN {
            let packed = self.at_level(level)?.compress(bytes)?;
            // What gains next to nothing is not worth unpacking.
            if packed.len() < bytes.len() - bytes.len() / 32 {
                put_varint(out, (packed.len() as u64) << 1 | 1);
                out.extend(packed);
                return Ok(());
            }
        }
        put_varint(out, (bytes.len() as u64) << 1);
        out.extend(bytes);
        Ok(())
    }

    fn at_level(&mut self, level: i32) -> io::Result<&mut Compressor<'static>> {
        let (compressor, set) = match &mut self.compressor {
            Some(known) => known,
            none => none.insert((Compressor::new(level)?, level)),
        };
        if *set != level {
            compressor.set_compression_level(level)?;
            *set = level;
        }
        Ok(compressor)
    }
}

/// Reads parts.
#[derive(Default)]
pub(crate) struct Unzip {
    decompressor: Option<Decompressor<'static>>,
}

impl Unzip {
    /// The next part, which has to have this length.
    pub(crate) fn take<'a>(&mut self, input: &mut Input<'a>, len: usize) -> Option<Cow<'a, [u8]>> {
        let head = input.varint()?;
        let bytes = input.take(usize::try_from(head >> 1).ok()?)?;
        let bytes = match head & 1 {
            0 => Cow::Borrowed(bytes),
            _ => Cow::Owned(self.decompress(bytes, len)?),
        };
        (bytes.len() == len).then_some(bytes)
    }

    /// What these bytes are when unpacked, if they have this length then.
    pub(crate) fn decompress(&mut self, bytes: &[u8], len: usize) -> Option<Vec<u8>> {
        if self.decompressor.is_none() {
            self.decompressor = Decompressor::new().ok();
        }
        let out = self.decompressor.as_mut()?.decompress(bytes, len).ok()?;
        (out.len() == len).then_some(out)
    }
}

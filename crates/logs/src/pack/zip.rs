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
/// What can be gained of numbers at all is gained quickly.
const PLANE_LEVEL: i32 = 1;
/// One equal pair in so many is next to random. Few bytes have to be further from it, as a table of how often
/// each occurs takes room and time of its own.
const RANDOM_PAIRS: [(u64, u64); 3] = [(256, 32), (1024, 100), (u64::MAX, 200)];

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

    /// Adds a part with bytes of numbers or ids, of which many are as random as they look.
    pub(crate) fn put_plane(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
        if is_random(bytes) {
            put_varint(out, (bytes.len() as u64) << 1);
            out.extend(bytes);
            return Ok(());
        }
        self.put(out, bytes, PLANE_LEVEL)
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

/// Whether it is not worth trying to compress these bytes: two of them are hardly more often equal than two
/// random ones are, of which it is one pair in 256.
fn is_random(bytes: &[u8]) -> bool {
    let mut counts = [0_u64; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let len = bytes.len() as u64;
    let pairs: u64 = counts.iter().map(|count| count * count).sum::<u64>() - len;
    let one_in = RANDOM_PAIRS.iter().find(|(below, _)| len < *below);
    let one_in = one_in.map_or(0, |(_, one_in)| *one_in);
    pairs * one_in < len * len.saturating_sub(1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_are_told_from_others() {
        let mixed = |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        let scrambled = |n: u64| mixed(n.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ n << 7);
        let random: Vec<u8> = (0..9000).map(scrambled).collect();
        assert!(is_random(&random));
        let halved: Vec<u8> = random.iter().map(|byte| byte & 0x7f).collect();
        assert!(!is_random(&halved));
        assert!(!is_random(&[7; 100]));
        assert!(!is_random(&[]));
    }
}

//! Which words a block has, so that a search need not unpack it.
//!
//! A split block Bloom filter as Apache Parquet describes it (github.com/apache/parquet-format,
//! BloomFilter.md): each word sets one bit in each of the eight 32-bit numbers of one of its blocks.
//! It is on the disk, so hash and layout are part of the format.
//!
//! Guarantee: a word that was put in is never said to be missing.

use tose_model::log::words;
use xxhash_rust::xxh3::xxh3_64;

/// The bytes of one block.
const BLOCK_BYTES: usize = 32;
/// How many bits a word gets. About one word in a hundred that is missing is not noticed.
const BITS_PER_WORD: usize = 10;
/// How many words are remembered, so that the usual ones are put in once.
const RECENT: usize = 8192;

const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// Collects the words of a block.
pub(crate) struct FilterBuilder {
    hashes: Vec<u64>,
    recent: Box<[u64]>,
}

impl FilterBuilder {
    pub(crate) fn new() -> Self {
        Self {
            hashes: Vec::new(),
            recent: vec![0; RECENT].into_boxed_slice(),
        }
    }

    /// Adds the words of a line, whose letters are in lower case.
    pub(crate) fn add_line(&mut self, lower: &[u8]) {
        for word in words(lower) {
            let hash = xxh3_64(word);
            let slot = &mut self.recent[hash as usize % RECENT];
            if *slot != hash {
                *slot = hash;
                self.hashes.push(hash);
            }
        }
    }

    /// The filter's bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        let blocks = (self.hashes.len() * BITS_PER_WORD).div_ceil(BLOCK_BYTES * 8);
        let mut bytes = vec![0; blocks * BLOCK_BYTES];
        for hash in self.hashes {
            let start = block_of(hash, blocks) * BLOCK_BYTES;
            for (index, bit) in bits(hash).enumerate() {
                bytes[start + index * 4 + bit / 8] |= 1 << (bit % 8);
            }
        }
        bytes
    }
}

/// Whether the filter with these bytes may have the word, whose letters are in lower case.
pub(crate) fn may_have(filter: &[u8], word: &[u8]) -> bool {
    let blocks = filter.len() / BLOCK_BYTES;
    if blocks == 0 {
        return false;
    }
    let hash = xxh3_64(word);
    let start = block_of(hash, blocks) * BLOCK_BYTES;
    bits(hash)
        .enumerate()
        .all(|(index, bit)| filter[start + index * 4 + bit / 8] & (1 << (bit % 8)) != 0)
}

fn block_of(hash: u64, blocks: usize) -> usize {
    (((hash >> 32) * blocks as u64) >> 32) as usize
}

/// The bit in each of the eight numbers.
fn bits(hash: u64) -> impl Iterator<Item = usize> {
    let low = hash as u32;
    SALTS
        .into_iter()
        .map(move |salt| (low.wrapping_mul(salt) >> 27) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_in_are_found_and_most_others_are_not() {
        let mut builder = FilterBuilder::new();
        for number in 0..5000 {
            builder.add_line(format!("get /orders/{number} id=a{number}x").as_bytes());
        }
        let filter = builder.finish();
        let has = |word: String| may_have(&filter, word.as_bytes());
        assert!((0..5000).all(|number| has(format!("a{number}x"))));
        assert!(has("orders".to_owned()));
        let wrong = (0..10_000)
            .filter(|number| has(format!("b{number}y")))
            .count();
        assert!(wrong < 300, "{wrong} of 10,000 words that are not there");
        assert!(filter.len() < 14_000);
        assert!(!may_have(&[], b"x"));
    }

    /// The bytes are on disks: they must not change with the library.
    #[test]
    fn the_bytes_of_a_filter_stay_as_they_are() {
        let mut builder = FilterBuilder::new();
        builder.add_line(b"hello world");
        let filter = builder.finish();
        assert_eq!(
            hex(&filter),
            "0110000000000880900000002080000000000280440000001080000000010010"
        );
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

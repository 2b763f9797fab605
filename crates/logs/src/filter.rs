//! Which words a block has, so that a search need not unpack it.
//!
//! A split block Bloom filter as Apache Parquet describes it (github.com/apache/parquet-format,
//! BloomFilter.md): each word sets one bit in each of the eight 32-bit numbers of one of its blocks.
//! It is on the disk, so hash and layout are part of the format.
//!
//! The blocks stand in pages with a checksum each: to ask for a word, one page is read. (The first form of
//! packed frames has the blocks without pages.)
//!
//! Guarantee: a word that was put in is never said to be missing, whatever happened to the bytes of a page.

use std::ops::Range;

use tose_model::log::words;
use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::checked;

/// The bytes of one block.
const BLOCK_BYTES: usize = 32;
/// The blocks of one page.
const PAGE_BLOCKS: usize = 16;
const CHECKSUM_BYTES: usize = 4;
const PAGE_BYTES: usize = PAGE_BLOCKS * BLOCK_BYTES + CHECKSUM_BYTES;
/// How many bits a word gets. About one word in a hundred that is missing is not noticed.
const BITS_PER_WORD: usize = 10;
/// For how many words there is room at first.
const FIRST_ROOM: usize = 1 << 12;
/// How many places are tried for a word.
const MAX_STEPS: usize = 32;

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

/// What stands for a word, whose letters are in lower case.
pub(crate) fn hash(word: &[u8]) -> u64 {
    xxh3_64(word)
}

/// Collects the words of a block.
pub(crate) struct FilterBuilder {
    /// The hashes, each once, where their lowest bits say or soon after that; zero is a free place.
    table: Vec<u64>,
    count: usize,
    /// Those that found no place, as whoever writes logs can choose words with the same lowest bits.
    others: Vec<u64>,
}

impl FilterBuilder {
    pub(crate) fn new() -> Self {
        Self {
            table: vec![0; FIRST_ROOM],
            count: 0,
            others: Vec::new(),
        }
    }

    /// Adds the words of a text, whose letters are in lower case.
    pub(crate) fn add_text(&mut self, lower: &[u8]) {
        words(lower).for_each(|word| self.add_word(word));
    }

    /// Adds a word, whose letters are in lower case.
    pub(crate) fn add_word(&mut self, word: &[u8]) {
        self.add(hash(word));
        if self.count * 2 > self.table.len() {
            self.grow();
        }
    }

    fn add(&mut self, hash: u64) {
        let mask = self.table.len() - 1;
        let places = (0..MAX_STEPS).map(|step| (hash as usize).wrapping_add(step) & mask);
        for place in places.filter(|_| hash != 0) {
            if self.table[place] == hash {
                return;
            }
            if self.table[place] == 0 {
                self.table[place] = hash;
                self.count += 1;
                return;
            }
        }
        self.others.push(hash);
    }

    fn grow(&mut self) {
        let larger = vec![0; self.table.len() * 2];
        self.count = 0;
        for hash in std::mem::replace(&mut self.table, larger) {
            if hash != 0 {
                self.add(hash);
            }
        }
    }

    /// The blocks.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.others.sort_unstable();
        self.others.dedup();
        let blocks = (self.count + self.others.len()) * BITS_PER_WORD;
        let blocks = blocks.div_ceil(BLOCK_BYTES * 8);
        let mut bytes = vec![0; blocks * BLOCK_BYTES];
        let known = self.table.into_iter().filter(|hash| *hash != 0);
        for hash in known.chain(self.others) {
            let start = block_of(hash, blocks) * BLOCK_BYTES;
            for (index, bit) in bits(hash).enumerate() {
                bytes[start + index * 4 + bit / 8] |= 1 << (bit % 8);
            }
        }
        bytes
    }
}

/// The blocks in pages.
pub(crate) fn to_pages(blocks: &[u8]) -> Vec<u8> {
    let mut pages = Vec::with_capacity(blocks.len() + blocks.len() / 64);
    for page in blocks.chunks(PAGE_BLOCKS * BLOCK_BYTES) {
        pages.extend(page);
        pages.extend(crc32fast::hash(page).to_le_bytes());
    }
    pages
}

/// How many bytes the pages of so many bytes of blocks have; `None` for a number that cannot be.
pub(crate) fn pages_len(blocks_len: usize) -> Option<usize> {
    let pages = blocks_len.div_ceil(PAGE_BLOCKS * BLOCK_BYTES);
    blocks_len.checked_add(pages.checked_mul(CHECKSUM_BYTES)?)
}

/// Where the page is that knows of a word; `None` if no word was put in.
pub(crate) fn page_of(hash: u64, blocks_len: usize) -> Option<Range<usize>> {
    let blocks = blocks_len / BLOCK_BYTES;
    if blocks == 0 {
        return None;
    }
    let start = block_of(hash, blocks) / PAGE_BLOCKS * PAGE_BYTES;
    Some(start..pages_len(blocks_len)?.min(start + PAGE_BYTES))
}

/// Whether the word may be in the filter of which this is the page that knows.
pub(crate) fn page_may_have(page: &[u8], hash: u64, blocks_len: usize) -> bool {
    let Some(page) = checked(page, page.len()) else {
        // It is damaged: only the lines know.
        return true;
    };
    let block = block_of(hash, blocks_len / BLOCK_BYTES) % PAGE_BLOCKS;
    page.get(block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES)
        .is_none_or(|block| block_may_have(block, hash))
}

/// Whether the filter with these blocks may have the word.
pub(crate) fn may_have(filter: &[u8], hash: u64) -> bool {
    let blocks = filter.len() / BLOCK_BYTES;
    if blocks == 0 {
        return false;
    }
    let start = block_of(hash, blocks) * BLOCK_BYTES;
    block_may_have(&filter[start..start + BLOCK_BYTES], hash)
}

fn block_may_have(block: &[u8], hash: u64) -> bool {
    bits(hash)
        .enumerate()
        .all(|(index, bit)| block[index * 4 + bit / 8] & (1 << (bit % 8)) != 0)
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

    fn pages_may_have(pages: &[u8], blocks_len: usize, word: &str) -> bool {
        let hash = hash(word.as_bytes());
        let page = page_of(hash, blocks_len);
        page.is_some_and(|page| page_may_have(&pages[page], hash, blocks_len))
    }

    #[test]
    fn words_that_are_in_are_found_and_most_others_are_not() {
        let mut builder = FilterBuilder::new();
        for number in 0..5000 {
            builder.add_text(format!("get /orders/{number} id=a{number}x").as_bytes());
        }
        let filter = builder.finish();
        let pages = to_pages(&filter);
        assert_eq!(pages_len(filter.len()), Some(pages.len()));
        let has = |word: String| {
            let has = may_have(&filter, hash(word.as_bytes()));
            assert_eq!(pages_may_have(&pages, filter.len(), &word), has);
            has
        };
        assert!((0..5000).all(|number| has(format!("a{number}x"))));
        assert!(has("orders".to_owned()));
        let wrong = (0..10_000)
            .filter(|number| has(format!("b{number}y")))
            .count();
        assert!(wrong < 300, "{wrong} of 10,000 words that are not there");
        assert!(filter.len() < 14_000);
        assert!(!may_have(&[], hash(b"x")));
        assert!(!pages_may_have(&[], 0, "x"));
    }

    #[test]
    fn hashes_that_want_the_same_place_are_all_kept_and_kept_once() {
        let mut builder = FilterBuilder::new();
        let hashes = (0..2000_u64).map(|number| number << 40);
        for hash in hashes.clone().chain(hashes.clone()) {
            builder.add(hash);
        }
        let filter = builder.finish();
        assert!(hashes.clone().all(|hash| may_have(&filter, hash)));
        assert!(filter.len() <= 2000 * 10 / 8 + BLOCK_BYTES);
    }

    #[test]
    fn a_damaged_page_hides_no_word() {
        let mut builder = FilterBuilder::new();
        (0..500).for_each(|number| builder.add_text(format!("a{number}").as_bytes()));
        let filter = builder.finish();
        for offset in 0..to_pages(&filter).len() {
            let mut pages = to_pages(&filter);
            pages[offset] = 0;
            assert!((0..500).all(|number| pages_may_have(
                &pages,
                filter.len(),
                &format!("a{number}")
            )));
        }
    }

    /// The bytes are on disks: they must not change with the library.
    #[test]
    fn the_bytes_of_a_filter_stay_as_they_are() {
        let mut builder = FilterBuilder::new();
        builder.add_text(b"hello world");
        let filter = builder.finish();
        assert_eq!(
            hex(&filter),
            "0110000000000880900000002080000000000280440000001080000000010010"
        );
        assert_eq!(hex(&to_pages(&filter)[filter.len()..]), "ab0f2bd6");
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

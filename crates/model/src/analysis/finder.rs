//! Finds which of many texts a line holds, in one pass over its bytes.
//!
//! Each text is known by four of its bytes, those that the fewest other texts have. A table of bits tells for
//! nearly every place of a line that none of them is there.

use std::collections::HashMap;

/// The fewest bytes of a text.
pub(super) const MIN_TEXT: usize = 4;
/// The words of the table of bits: one bit for each value of 16 bits.
const WORDS: usize = (1 << 16) / 64;

/// A set of texts, each known by its place in the list that it was made of.
#[derive(Debug)]
pub(super) struct Finder {
    texts: Vec<Box<[u8]>>,
    /// Sorted by the four bytes.
    heads: Vec<Head>,
    bits: Box<[u64; WORDS]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    bytes: u32,
    /// Where in the text they stand.
    offset: usize,
    text: usize,
}

impl Finder {
    /// Texts shorter than [`MIN_TEXT`] are never found.
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let texts: Vec<Box<[u8]>> = texts
            .into_iter()
            .map(|text| text.as_bytes().into())
            .collect();
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for text in &texts {
            for bytes in text.windows(MIN_TEXT) {
                *counts.entry(word(bytes)).or_default() += 1;
            }
        }
        let mut heads: Vec<Head> = texts
            .iter()
            .enumerate()
            .filter_map(|(text, bytes)| head(text, bytes, &counts))
            .collect();
        heads.sort_unstable();
        let mut bits = Box::new([0; WORDS]);
        for head in &heads {
            let bit = bit_of(head.bytes);
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Self { texts, heads, bits }
    }

    /// Puts the texts that `line` holds into `found`, each once.
    pub(super) fn find(&self, line: &str, found: &mut Vec<usize>) {
        found.clear();
        let line = line.as_bytes();
        let Some((first, rest)) = line.split_at_checked(MIN_TEXT) else {
            return;
        };
        let mut window = word(first);
        self.look(line, 0, window, found);
        for (at, byte) in (1..).zip(rest) {
            window = (window >> 8) | (u32::from(*byte) << 24);
            self.look(line, at, window, found);
        }
        found.sort_unstable();
        found.dedup();
    }

    fn look(&self, line: &[u8], at: usize, window: u32, found: &mut Vec<usize>) {
        let bit = bit_of(window);
        if (self.bits[bit / 64] >> (bit % 64)) & 1 == 0 {
            return;
        }
        let from = self.heads.partition_point(|head| head.bytes < window);
        let same = self.heads[from..].iter();
        for head in same.take_while(|head| head.bytes == window) {
            let is_there = at
                .checked_sub(head.offset)
                .is_some_and(|start| line[start..].starts_with(&self.texts[head.text]));
            if is_there && found.last() != Some(&head.text) {
                found.push(head.text);
            }
        }
    }
}

/// The four bytes of a text that the fewest texts have.
fn head(text: usize, bytes: &[u8], counts: &HashMap<u32, usize>) -> Option<Head> {
    let windows = bytes.windows(MIN_TEXT).map(word).enumerate();
    let (offset, bytes) = windows.min_by_key(|(_, bytes)| counts.get(bytes))?;
    Some(Head {
        bytes,
        offset,
        text,
    })
}

fn word(bytes: &[u8]) -> u32 {
    let shifted = |word: u32, byte: &u8| (word >> 8) | (u32::from(*byte) << 24);
    bytes.iter().fold(0, shifted)
}

fn bit_of(bytes: u32) -> usize {
    (bytes.wrapping_mul(0x9e37_79b1) >> 16) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(texts: &[&str], line: &str) -> Vec<usize> {
        let mut found = vec![7];
        Finder::new(texts.iter().copied()).find(line, &mut found);
        found
    }

    #[test]
    fn each_text_is_found_once() {
        let texts = ["refused", "connection refused", "panic", "tion"];
        assert_eq!(
            find(&texts, "connection refused, connection refused"),
            [0, 1, 3]
        );
        assert_eq!(find(&texts, "pani"), [] as [usize; 0]);
        assert_eq!(find(&texts, "x"), [] as [usize; 0]);
        assert_eq!(find(&texts, "tion"), [3]);
    }

    proptest! {
        #[test]
        fn it_finds_what_contains_finds(
            texts in prop::collection::vec("[ab]{4,7}", 1..8),
            line in "[abc]{0,60}",
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let expected: Vec<usize> =
                (0..texts.len()).filter(|at| line.contains(texts[*at])).collect();
            prop_assert_eq!(find(&texts, &line), expected);
        }
    }
}

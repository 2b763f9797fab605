//! What lines of a log have in common: most differ from many others only in numbers and ids.
//!
//! A line's shape is its text with each word that has a digit in it replaced by a zero byte (a slot). What stood
//! there are the line's values. A line that has a zero byte itself, or more than [`MAX_SLOTS`] such words,
//! or a shape that few other lines have, has no shape and stays as it is.
//!
//! Invariant: a value is a whole word, so beside a slot there is no byte of a word.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use memchr::memmem::Finder;
use tose_model::log::is_word;
use xxhash_rust::xxh3::xxh3_64;

use super::column::Kind;
use crate::block::Block;

/// What stands for a value.
pub(crate) const SLOT: u8 = 0;
/// The most values of a line that has a shape.
const MAX_SLOTS: usize = 64;
/// A longer line has no shape.
const MAX_LEN: usize = 8 << 10;
/// Fewer lines than this are smaller without the columns that a shape brings. (Tests have short blocks.)
const MIN_LINES: usize = if cfg!(test) { 2 } else { 8 };
/// The most shapes of a block, so that a byte is enough to say which one a line has.
pub(crate) const MAX_SHAPES: usize = 255;
/// The most shapes that are remembered while a block is looked at.
const MAX_CANDIDATES: usize = 4096;
/// How much of a text that is searched for is looked at: there is a bit for each length.
const MAX_BEGINNING: usize = 63;

/// A shape and the values of the lines that have it.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The text with its slots.
    pub(crate) key: Vec<u8>,
    slots: usize,
    lines: usize,
    /// Where the values stand in the block's text: those of the first line, those of the second, …
    values: Vec<Range<u32>>,
}

impl Shape {
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// All values.
    pub(crate) fn values<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let ranges = self.values.iter();
        ranges.map(|range| &text[range.start as usize..range.end as usize])
    }

    /// The values of one slot.
    pub(crate) fn column<'a>(
        &'a self,
        slot: usize,
        text: &'a [u8],
    ) -> impl Iterator<Item = &'a [u8]> + Clone {
        let rows = self.values.chunks_exact(self.slots.max(1));
        rows.map(move |row| &text[row[slot].start as usize..row[slot].end as usize])
    }
}

/// The shapes of a block's lines.
pub(crate) struct Shapes {
    pub(crate) shapes: Vec<Shape>,
    /// For each line the number of its shape, counted from one; zero for none.
    pub(crate) of_line: Vec<u8>,
}

impl Shapes {
    pub(crate) fn of(block: &Block) -> Self {
        let mut candidates = Candidates::default();
        let found: Vec<Option<usize>> = (0..block.lines.len())
            .map(|index| candidates.add(&block.text, block.range(index)))
            .collect();
        let mut shapes: Vec<_> = candidates.shapes.into_iter().map(Some).collect();
        let lines = |index: &usize| shapes[*index].as_ref().map_or(0, |shape| shape.lines);
        let mut kept: Vec<usize> = (0..shapes.len()).collect();
        kept.retain(|index| lines(index) >= MIN_LINES);
        kept.sort_by_key(|index| Reverse(lines(index)));
        kept.truncate(MAX_SHAPES);
        let mut numbers = vec![0; shapes.len()];
        for (number, index) in (1..=u8::MAX).zip(&kept) {
            numbers[*index] = number;
        }
        Self {
            of_line: found
                .into_iter()
                .map(|index| index.map_or(0, |index| numbers[index]))
                .collect(),
            shapes: kept
                .into_iter()
                .filter_map(|index| shapes[index].take())
                .collect(),
        }
    }
}

/// The shapes that were seen so far.
#[derive(Default)]
struct Candidates {
    shapes: Vec<Shape>,
    by_hash: HashMap<u64, usize, BuildHasherDefault<AsItIs>>,
    /// Of the line that is looked at; kept to keep their memory.
    key: Vec<u8>,
    values: Vec<Range<u32>>,
}

impl Candidates {
    /// The shape of the line that stands there.
    fn add(&mut self, text: &[u8], range: Range<usize>) -> Option<usize> {
        self.split(text, range)?;
        let hash = xxh3_64(&self.key);
        let index = match self.by_hash.get(&hash) {
            Some(index) => *index,
            None if self.shapes.len() == MAX_CANDIDATES => return None,
            None => {
                self.shapes.push(Shape {
                    key: self.key.clone(),
                    slots: self.values.len(),
                    lines: 0,
                    values: Vec::new(),
                });
                self.by_hash.insert(hash, self.shapes.len() - 1);
                self.shapes.len() - 1
            }
        };
        let shape = &mut self.shapes[index];
        if shape.key != self.key {
            return None;
        }
        shape.lines += 1;
        shape.values.append(&mut self.values);
        Some(index)
    }

    /// Finds the key and the values of a line, if it can have a shape.
    fn split(&mut self, text: &[u8], range: Range<usize>) -> Option<()> {
        self.key.clear();
        self.values.clear();
        let line = &text[range.clone()];
        if line.len() > MAX_LEN || memchr::memchr(SLOT, line).is_some() {
            return None;
        }
        let mut from = 0;
        while let Some(step) = find_digit(&line[from..]) {
            let digit = from + step;
            let before = line[from..digit].iter().rposition(|byte| !is_word(*byte));
            let start = before.map_or(from, |before| from + before + 1);
            let len = line[digit..].iter().position(|byte| !is_word(*byte));
            let end = len.map_or(line.len(), |len| digit + len);
            if self.values.len() == MAX_SLOTS {
                return None;
            }
            self.key.extend_from_slice(&line[from..start]);
            self.key.push(SLOT);
            self.values
                .push(offset(range.start + start)..offset(range.start + end));
            from = end;
        }
        self.key.extend_from_slice(&line[from..]);
        Some(())
    }
}

/// Where the first decimal digit is. It looks at eight bytes at once, as each line is searched whole.
fn find_digit(text: &[u8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let (eights, rest) = text.as_chunks::<8>();
    for (index, eight) in eights.iter().enumerate() {
        // A digit is less than ten now, and only then adding 118 leaves its highest bit clear.
        let shifted = u64::from_le_bytes(*eight) ^ (u64::from(b'0') * EACH);
        let others = ((shifted & !HIGH) + 118 * EACH) | shifted;
        let digits = !others & HIGH;
        if digits != 0 {
            return Some(index * 8 + digits.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(u8::is_ascii_digit)?;
    Some(eights.len() * 8 + at)
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a block's text is limited")
}

/// Takes a hash for what it is.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A shape as it is read: its key, and what the values at its slots look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) key: Vec<u8>,
    pub(crate) kinds: Vec<Kind>,
}

/// Where a text that is searched for may stand in the lines of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chance {
    /// In none.
    Nowhere,
    /// In those that have it in a value.
    InValues,
    /// In any of them.
    Anywhere,
}

impl Form {
    /// Where this text, in lower case, may stand.
    pub(crate) fn chance(&self, text: &Finder<'_>) -> Chance {
        let needle = text.needle();
        let key = self.key.to_ascii_lowercase();
        if text.find(&key).is_some() {
            return Chance::Anywhere;
        }
        if needle.iter().all(|byte| is_word(*byte)) {
            // It is a piece of a word, and a value is a whole word.
            return match self.kinds.iter().any(|kind| has_all(*kind, needle)) {
                true => Chance::InValues,
                false => Chance::Nowhere,
            };
        }
        match self.may_go_through(&key, needle) {
            true => Chance::Anywhere,
            false => Chance::Nowhere,
        }
    }

    /// Whether the beginning of the text fits if each slot has whatever its kind allows.
    fn may_go_through(&self, key: &[u8], needle: &[u8]) -> bool {
        let needle = &needle[..needle.len().min(MAX_BEGINNING)];
        let mut places = [0_u64; 256];
        for (at, byte) in needle.iter().enumerate() {
            places[usize::from(*byte)] |= 1 << at;
        }
        let whole = 1 << needle.len();
        let mut kinds = self.kinds.iter();
        // Bit n: the first n bytes may stand right before the place that is looked at.
        let mut reached = 0_u64;
        for byte in key {
            reached |= 1;
            reached = match (*byte, kinds.as_slice()) {
                (SLOT, [kind, ..]) => {
                    kinds.next();
                    go_through_value(reached, *kind, needle)
                }
                _ => (reached & places[usize::from(*byte)]) << 1,
            };
            if reached & whole != 0 {
                return true;
            }
        }
        false
    }
}

/// What may be reached behind a value, which may have any number of bytes.
fn go_through_value(reached: u64, kind: Kind, needle: &[u8]) -> u64 {
    let mut reached = reached;
    for (at, byte) in needle.iter().enumerate() {
        if kind.can_have(*byte) {
            reached |= (reached & 1 << at) << 1;
        }
    }
    reached
}

fn has_all(kind: Kind, needle: &[u8]) -> bool {
    needle.iter().all(|byte| kind.can_have(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Option<(String, Vec<&str>)> {
        let mut candidates = Candidates::default();
        candidates.split(text.as_bytes(), 0..text.len())?;
        let key = String::from_utf8_lossy(&candidates.key).replace('\0', "_");
        let ranges = candidates.values.into_iter();
        let values = ranges.map(|range| &text[range.start as usize..range.end as usize]);
        Some((key, values.collect()))
    }

    #[test]
    fn words_with_a_digit_are_values() {
        let cases: [(&str, &str, &[&str]); 7] = [
            ("", "", &[]),
            (
                "GET /a/12?b=c HTTP/1.1",
                "GET /a/_?b=c HTTP/_._",
                &["12", "1", "1"],
            ),
            ("id=0a1b", "id=_", &["0a1b"]),
            ("7", "_", &["7"]),
            ("a1b2 c", "_ c", &["a1b2"]),
            ("-é9é- x_1y", "-_- _", &["é9é", "x_1y"]),
            ("no digits", "no digits", &[]),
        ];
        for (text, key, values) in cases {
            assert_eq!(
                split(text),
                Some((key.to_owned(), values.to_vec())),
                "{text}"
            );
        }
        assert_eq!(split("a\0b"), None);
        assert_eq!(split(&"1 ".repeat(MAX_SLOTS + 1)), None);
        assert_eq!(split(&"a".repeat(MAX_LEN + 1)), None);
    }

    #[test]
    fn the_first_digit_is_found_wherever_it_is() {
        for byte in 0..=u8::MAX {
            for len in 0..20 {
                let mut text = vec![b'/'; len];
                text.extend([byte, b'9']);
                let expected = if byte.is_ascii_digit() { len } else { len + 1 };
                assert_eq!(find_digit(&text), Some(expected), "{byte} after {len}");
                assert_eq!(find_digit(&text[..len]), None);
            }
        }
    }

    #[test]
    fn a_text_is_looked_for_only_where_it_can_stand() {
        let form = Form {
            key: b"GET /\0 took=\0 id=\0 END".to_vec(),
            kinds: vec![Kind::Text, Kind::Decimal, Kind::Hex],
        };
        let cases = [
            ("get /", Chance::Anywhere),
            ("took", Chance::Anywhere),
            ("ook=1", Chance::Anywhere),
            ("ook=a", Chance::Nowhere),
            ("took=15 id=0f end", Chance::Anywhere),
            ("took=15 id=0g end", Chance::Nowhere),
            ("12", Chance::InValues),
            ("zz", Chance::InValues),
            ("x took", Chance::Anywhere),
            ("x tool", Chance::Nowhere),
            ("post /", Chance::Nowhere),
            ("=5 id=5 ", Chance::Anywhere),
            ("5id=", Chance::Nowhere),
        ];
        for (text, chance) in cases {
            assert_eq!(form.chance(&Finder::new(text)), chance, "{text}");
        }
    }
}

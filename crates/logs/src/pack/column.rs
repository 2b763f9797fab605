//! The values that stand at one place of lines of one shape, as small as their kind allows.
//!
//! Numbers are kept as numbers, hexadecimal ids as half as many bytes, everything else as text.
//!
//! Invariant: a value comes back byte for byte, so only what is spelled in one way counts as a number.

use std::io;

use memchr::memmem::Finder;

use super::numbers;
use super::zip::{Unzip, Zip};
use crate::bytes::{Input, put_varint};

/// The most digits of a number: all of them fit.
const MAX_DIGITS: usize = 18;
/// The most digits of an id.
const MAX_HEX: usize = 64;
const TEXT_LEVEL: i32 = 3;

/// What the values of a column look like. It is known without reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Decimal numbers.
    Decimal,
    /// Hexadecimal ids of one length.
    Hex,
    /// Anything else.
    Text,
}

impl Kind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Decimal => 0,
            Self::Hex => 1,
            Self::Text => 2,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Decimal),
            1 => Some(Self::Hex),
            2 => Some(Self::Text),
            _ => None,
        }
    }

    /// Whether a value can have this byte, in lower case.
    pub(crate) fn can_have(self, byte: u8) -> bool {
        match self {
            Self::Decimal => byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Text => tose_model::log::is_word(byte),
        }
    }
}

/// How a column is written, as far as its values ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// This many digits, with zeros in front; zero if there are none in front.
    Decimal(u8),
    Hex {
        len: u8,
        is_upper: bool,
    },
    Text,
}

/// What some values have in common.
struct Traits {
    digits: bool,
    lower: bool,
    upper: bool,
    other: bool,
    has_zero_in_front: bool,
    longest: usize,
    shortest: usize,
}

impl Traits {
    fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut traits = Self {
            digits: false,
            lower: false,
            upper: false,
            other: false,
            has_zero_in_front: false,
            longest: 0,
            shortest: usize::MAX,
        };
        let mut seen = 0;
        for value in values {
            seen |= value
                .iter()
                .fold(0, |seen, byte| seen | CLASS[usize::from(*byte)]);
            traits.has_zero_in_front |= value.len() > 1 && value[0] == b'0';
            traits.longest = traits.longest.max(value.len());
            traits.shortest = traits.shortest.min(value.len());
        }
        traits.lower = seen & LOWER != 0;
        traits.upper = seen & UPPER != 0;
        traits.other = seen & OTHER != 0;
        traits.digits = seen == DIGIT;
        traits
    }

    fn spelling(&self) -> Spelling {
        let is_even = self.longest == self.shortest;
        if self.digits && self.shortest > 0 && self.longest <= MAX_DIGITS {
            match (self.has_zero_in_front, is_even) {
                (false, _) => return Spelling::Decimal(0),
                (true, true) => return Spelling::Decimal(self.longest as u8),
                (true, false) => {}
            }
        }
        let is_hex = !(self.other || self.lower && self.upper);
        if is_hex && is_even && (1..=MAX_HEX).contains(&self.longest) {
            return Spelling::Hex {
                len: self.longest as u8,
                is_upper: self.upper,
            };
        }
        Spelling::Text
    }
}

const DIGIT: u8 = 1;
const LOWER: u8 = 2;
const UPPER: u8 = 4;
const OTHER: u8 = 8;

/// What a byte tells of its value. Each byte of each value is looked up here once.
const CLASS: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut byte = 0_u8;
    loop {
        if byte.is_ascii_digit() {
            table[byte as usize] = DIGIT;
        } else if byte.is_ascii_hexdigit() {
            table[byte as usize] = if byte.is_ascii_lowercase() {
                LOWER
            } else {
                UPPER
            };
        }
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// Adds a column with these values, and answers their kind.
pub(crate) fn put<'a>(
    out: &mut Vec<u8>,
    values: impl Iterator<Item = &'a [u8]> + Clone,
    zip: &mut Zip,
) -> io::Result<Kind> {
    match Traits::of(values.clone()).spelling() {
        Spelling::Decimal(digits) => {
            out.push(digits);
            let numbers: Vec<u64> = values.map(parse_decimal).collect();
            numbers::put(out, &numbers, zip)?;
            Ok(Kind::Decimal)
        }
        Spelling::Hex { len, is_upper } => {
            out.push(len << 1 | u8::from(is_upper));
            put_ids(out, values, usize::from(len), zip)?;
            Ok(Kind::Hex)
        }
        Spelling::Text => {
            let lens: Vec<u64> = values.clone().map(|value| value.len() as u64).collect();
            numbers::put(out, &lens, zip)?;
            let text: Vec<u8> = values.flatten().copied().collect();
            put_varint(out, text.len() as u64);
            zip.put(out, &text, TEXT_LEVEL)?;
            Ok(Kind::Text)
        }
    }
}

fn parse_decimal(value: &[u8]) -> u64 {
    value
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// Ids as bytes: all first ones, then all second ones, and so on.
fn put_ids<'a>(
    out: &mut Vec<u8>,
    values: impl Iterator<Item = &'a [u8]>,
    len: usize,
    zip: &mut Zip,
) -> io::Result<()> {
    let width = len.div_ceil(2);
    let mut ids = Vec::new();
    for value in values {
        // An odd number of digits has a zero before it.
        let (first, pairs) = value.split_at(len % 2);
        ids.extend(first.iter().map(|digit| nibble(*digit)));
        let pairs = pairs.chunks_exact(2);
        ids.extend(pairs.map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])));
    }
    for plane in 0..width {
        let bytes: Vec<u8> = ids.chunks_exact(width).map(|id| id[plane]).collect();
        zip.put_plane(out, &bytes)?;
    }
    Ok(())
}

fn nibble(digit: u8) -> u8 {
    // A letter's lowest bits count from one, and it has a bit that no digit has.
    (digit & 15) + (digit >> 6) * 9
}

/// A column that was read.
#[derive(Debug)]
pub(crate) enum Column {
    Decimal {
        digits: usize,
        numbers: Vec<u64>,
    },
    Hex {
        len: usize,
        digits: &'static [u8; 16],
        /// The bytes of each id, one id after the other.
        bytes: Vec<u8>,
    },
    Text {
        ends: Vec<usize>,
        text: Vec<u8>,
    },
}

impl Column {
    /// Reads a column with this many values, whose bytes are taken from what the texts may have at all.
    pub(crate) fn take(
        kind: Kind,
        input: &mut Input<'_>,
        count: usize,
        room: &mut usize,
        unzip: &mut Unzip,
    ) -> Option<Self> {
        match kind {
            Kind::Decimal => {
                let [digits] = input.array()?;
                let digits = usize::from(digits);
                use_room(room, count.checked_mul(digits.max(1))?)?;
                let numbers = numbers::take(input, count, unzip)?;
                (digits <= MAX_DIGITS).then_some(Self::Decimal { digits, numbers })
            }
            Kind::Hex => {
                let [head] = input.array()?;
                let len = usize::from(head >> 1);
                use_room(room, count.checked_mul(len)?)?;
                let digits = match head & 1 {
                    0 => b"0123456789abcdef",
                    _ => b"0123456789ABCDEF",
                };
                let bytes = take_ids(input, count, len, unzip)?;
                Some(Self::Hex { len, digits, bytes })
            }
            Kind::Text => {
                if count > *room {
                    return None;
                }
                let lens = numbers::take(input, count, unzip)?;
                let len = usize::try_from(input.varint()?).ok()?;
                use_room(room, len)?;
                let text = unzip.take(input, len)?.into_owned();
                let ends = ends_of(&lens, text.len())?;
                Some(Self::Text { ends, text })
            }
        }
    }

    /// Adds the value of a row to a text.
    pub(crate) fn push_value(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Decimal { digits, numbers } => push_decimal(out, numbers[row], *digits),
            Self::Hex { len, digits, bytes } => {
                let width = len.div_ceil(2);
                let id = &bytes[row * width..(row + 1) * width];
                let mut spelled = [0; MAX_HEX + 1];
                for (pair, byte) in spelled.chunks_exact_mut(2).zip(id) {
                    pair[0] = digits[usize::from(byte >> 4)];
                    pair[1] = digits[usize::from(byte & 15)];
                }
                out.extend_from_slice(&spelled[len % 2..len % 2 + len]);
            }
            Self::Text { ends, text } => {
                let start = row.checked_sub(1).map_or(0, |before| ends[before]);
                out.extend_from_slice(&text[start..ends[row]]);
            }
        }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Decimal { numbers, .. } => numbers.len(),
            Self::Hex { len, bytes, .. } => bytes.len() / len.div_ceil(2).max(1),
            Self::Text { ends, .. } => ends.len(),
        }
    }

    /// Marks the rows whose value, in lower case, has this text.
    pub(crate) fn mark_rows_with(&self, text: &Finder<'_>, marks: &mut [bool]) {
        let mut values = Vec::new();
        let mut ends = Vec::with_capacity(self.rows());
        for row in 0..self.rows() {
            self.push_value(row, &mut values);
            // No word has this byte, so nothing is found across two values.
            values.push(0);
            ends.push(values.len());
        }
        values.make_ascii_lowercase();
        for at in text.find_iter(&values) {
            if let Some(mark) = marks.get_mut(ends.partition_point(|end| *end <= at)) {
                *mark = true;
            }
        }
    }
}

fn use_room(room: &mut usize, len: usize) -> Option<()> {
    *room = room.checked_sub(len)?;
    Some(())
}

fn take_ids(input: &mut Input<'_>, count: usize, len: usize, unzip: &mut Unzip) -> Option<Vec<u8>> {
    if !(1..=MAX_HEX).contains(&len) {
        return None;
    }
    let width = len.div_ceil(2);
    let mut bytes = vec![0; count * width];
    for plane in 0..width {
        let plane_bytes = unzip.take(input, count)?;
        for (id, byte) in bytes.chunks_exact_mut(width).zip(plane_bytes.iter()) {
            id[plane] = *byte;
        }
    }
    Some(bytes)
}

/// Where each of some texts ends that stand one after the other, if they are as long together as they should be.
pub(crate) fn ends_of(lens: &[u64], total: usize) -> Option<Vec<usize>> {
    let mut ends = Vec::with_capacity(lens.len());
    let mut end = 0_usize;
    for len in lens {
        end = end.checked_add(usize::try_from(*len).ok()?)?;
        ends.push(end);
    }
    (end == total).then_some(ends)
}

/// Spells a number with at least this many digits.
fn push_decimal(out: &mut Vec<u8>, mut number: u64, digits: usize) {
    let mut spelled = [b'0'; 20];
    let mut at = spelled.len();
    while number > 0 || at == spelled.len() {
        at -= 1;
        spelled[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&spelled[at.min(spelled.len() - digits)..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(values: &[&[u8]]) -> (Kind, usize) {
        let mut out = Vec::new();
        let mut zip = Zip::default();
        let kind = put(&mut out, values.iter().copied(), &mut zip).expect("packed");
        let mut room = usize::MAX;
        let mut input = Input(&out);
        let unzip = &mut Unzip::default();
        let column = Column::take(kind, &mut input, values.len(), &mut room, unzip);
        let column = column.expect("a column");
        assert!(input.0.is_empty());
        for (row, value) in values.iter().enumerate() {
            let mut back = Vec::new();
            column.push_value(row, &mut back);
            assert_eq!(back, *value);
            assert!(
                value
                    .to_ascii_lowercase()
                    .iter()
                    .all(|byte| kind.can_have(*byte))
            );
            let mut marks = vec![false; values.len()];
            column.mark_rows_with(&Finder::new(&value.to_ascii_lowercase()), &mut marks);
            assert!(marks[row]);
        }
        (kind, out.len())
    }

    #[test]
    fn values_are_kept_by_what_they_are() {
        let cases: [(&[&[u8]], Kind); 9] = [
            (&[b"0", b"17", b"999999999999999999"], Kind::Decimal),
            (&[b"007", b"100"], Kind::Decimal),
            (&[b"07", b"100"], Kind::Text),
            (&[b"12345678901234567890"], Kind::Hex),
            (&[b"0a1", b"fff"], Kind::Hex),
            (&[b"0A1B", b"FFFF"], Kind::Hex),
            (&[b"0a1B"], Kind::Text),
            (&[b"1a", b"1ab"], Kind::Text),
            (&[b"v1", b"\xc3\xa92"], Kind::Text),
        ];
        for (values, kind) in cases {
            assert_eq!(check(values).0, kind, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn values_come_back(
            values in proptest::collection::vec("[0-9]{1,22}|[0-9a-f]{4}|[0-9A-F]{7}|[a-z0-9é_]{1,9}", 1..20),
            only in 0..4_usize,
        ) {
            let is_digit = |byte: u8| byte.is_ascii_digit();
            let fits = |value: &&[u8]| match only {
                0 => value.iter().all(|byte| is_digit(*byte)),
                1 => value.len() == 4,
                2 => value.len() == 7,
                _ => true,
            };
            let values: Vec<_> = values.iter().map(String::as_bytes).filter(fits).collect();
            if !values.is_empty() {
                check(&values);
            }
        }
    }
}

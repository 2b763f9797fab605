//! Memos: what a payer writes into a bank transfer, so that it finds its top-up.
//!
//! Invariants: a memo has 9 letters and digits, the most that every bank and PayOS keep whole; it begins
//! with `TS`, and its last character follows from the six before it, so that a slip of one character, or of
//! two that changed places, is no other memo.

use std::fmt;
use std::str::FromStr;

/// Upper-case letters and digits without those that look like another: 0, 1, I, L and O.
const ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
const PREFIX: &[u8; 2] = b"TS";
/// The characters that are random.
const RANDOM_LEN: usize = 6;
const LEN: usize = PREFIX.len() + RANDOM_LEN + 1;

/// A memo. About 887 million differ, so a fresh one has to be looked for among those in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memo([u8; LEN]);

/// A text that is no memo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a memo such as TS2222222")]
pub struct InvalidMemo;

impl Memo {
    /// Makes a memo of random bytes.
    pub fn from_random(random: [u8; 8]) -> Self {
        let mut rest = u64::from_be_bytes(random);
        let mut values = [0_u8; RANDOM_LEN];
        for value in &mut values {
            let base = ALPHABET.len() as u64;
            *value = u8::try_from(rest % base).expect("a remainder of 31 is below 256");
            rest /= base;
        }
        let mut text = [0; LEN];
        text[..2].copy_from_slice(PREFIX);
        for (character, value) in text[2..].iter_mut().zip(values) {
            *character = ALPHABET[usize::from(value)];
        }
        text[LEN - 1] = check_character(values);
        Self(text)
    }

    /// The memo as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a memo is ASCII")
    }

    /// Reads nine bytes in upper or lower case.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut text: [u8; LEN] = bytes.try_into().ok()?;
        text.make_ascii_uppercase();
        let random = text.strip_prefix(PREFIX)?.get(..RANDOM_LEN)?;
        let mut values = [0; RANDOM_LEN];
        for (value, character) in values.iter_mut().zip(random) {
            let place = ALPHABET.iter().position(|known| known == character)?;
            *value = u8::try_from(place).ok()?;
        }
        (text[LEN - 1] == check_character(values)).then_some(Self(text))
    }
}

/// 31 is prime and the weights differ, so one wrong character or two that changed places change the sum.
fn check_character(values: [u8; RANDOM_LEN]) -> u8 {
    let weighted = values.iter().zip(2_usize..);
    let sum: usize = weighted
        .map(|(value, weight)| usize::from(*value) * weight)
        .sum();
    ALPHABET[sum % ALPHABET.len()]
}

impl fmt::Display for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Memo {
    type Err = InvalidMemo;

    fn from_str(text: &str) -> Result<Self, InvalidMemo> {
        Self::parse(text.as_bytes()).ok_or(InvalidMemo)
    }
}

/// Every memo in a bank's text, in the order in which they stand there, each once. Banks write before and
/// after them without a space, and change the case; what is found may be chance, so the caller looks for a
/// top-up that has it.
pub fn find_memos(text: &str) -> Vec<Memo> {
    let mut found = Vec::new();
    for memo in text.as_bytes().windows(LEN).filter_map(Memo::parse) {
        if !found.contains(&memo) {
            found.push(memo);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn memos_have_their_form() {
        assert_eq!(Memo::from_random([0; 8]).as_str(), "TS2222222");
        let memo = Memo::from_random(*b"random!!");
        assert_eq!(memo.as_str().len(), 9);
        assert_eq!(memo.to_string().to_lowercase().parse(), Ok(memo));
        for text in [
            "",
            "TS",
            "TS222222",
            "TS22222222",
            "XX2222222",
            "TS2222223",
            "TS0222222",
        ] {
            assert_eq!(text.parse::<Memo>(), Err(InvalidMemo), "{text}");
        }
    }

    #[test]
    fn memos_are_found_in_what_banks_write() {
        let memo = Memo::from_random([7; 8]);
        let other = Memo::from_random([9; 8]);
        for text in [
            format!("MBVCB.3278907687.{memo}.CT tu 0071000888888 NGUYEN VAN A toi 0123499999"),
            format!("IBFT{memo}"),
            format!("{memo}GD 123456-070224 18:25:00"),
            format!("nap tien {} cam on", memo.to_string().to_lowercase()),
            format!("Tiền nạp ví:{memo};{memo}"),
            format!("TSTS{memo}TS"),
        ] {
            assert_eq!(find_memos(&text), [memo], "{text}");
        }
        assert_eq!(find_memos(&format!("{other}{memo}")), [other, memo]);
        assert_eq!(find_memos("rent"), []);
    }

    proptest! {
        #[test]
        fn a_memo_is_found_in_any_text(before in ".{0,40}", random: [u8; 8], after in ".{0,40}") {
            let memo = Memo::from_random(random);
            let text = format!("{before}{memo}{after}");
            prop_assert!(find_memos(&text).contains(&memo));
        }

        #[test]
        fn nothing_is_found_that_is_not_there(text in "[TSts2-9A-Za-z ]{0,60}") {
            let upper = text.to_uppercase();
            for memo in find_memos(&text) {
                prop_assert!(upper.contains(memo.as_str()));
                prop_assert_eq!(memo.as_str().parse(), Ok(memo));
            }
        }

        #[test]
        fn a_slip_is_no_other_memo(random: [u8; 8], place in 2_usize..9, value in 0_usize..31) {
            let memo = Memo::from_random(random);
            let mut wrong = memo.0;
            wrong[place] = ALPHABET[value];
            prop_assert!(wrong == memo.0 || Memo::parse(&wrong).is_none());
            let mut swapped = memo.0;
            if place + 2 < LEN {
                swapped.swap(place, place + 1);
                prop_assert!(swapped == memo.0 || Memo::parse(&swapped).is_none());
            }
        }
    }
}

//! Request ids: one of ours where the visitor sent none, or none that can be trusted in logs.

use std::cell::Cell;

use http::HeaderValue;

/// The most characters of an inbound id that is kept.
const MAX_LEN: usize = 128;

/// Makes ids that differ between processes, workers and requests. They are no secrets.
pub(crate) struct RequestIds {
    prefix: u64,
    next: Cell<u64>,
}

impl RequestIds {
    /// Ids of worker number `worker` of a process with this seed.
    pub(crate) fn new(seed: u64, worker: u64) -> Self {
        let prefix = scramble(seed ^ scramble(worker));
        Self {
            prefix,
            next: Cell::new(scramble(prefix)),
        }
    }

    /// A fresh id: 32 hex digits.
    pub(crate) fn next(&self) -> HeaderValue {
        let number = self.next.get().wrapping_add(1);
        self.next.set(number);
        let mut text = [0; 32];
        hex(self.prefix, &mut text[..16]);
        hex(scramble(number), &mut text[16..]);
        HeaderValue::from_bytes(&text).expect("hex digits make a header value")
    }
}

/// Whether an inbound id is kept: letters, digits, `.`, `_` and `-`.
pub(crate) fn is_well_formed(id: &[u8]) -> bool {
    let is_id_char = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !id.is_empty() && id.len() <= MAX_LEN && id.iter().all(is_id_char)
}

/// The finalizer of SplitMix64: a bijection, so different numbers stay different.
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn hex(number: u64, text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (nibble, digit) in text.iter_mut().rev().enumerate() {
        *digit = DIGITS[(number >> (4 * nibble) & 0xf) as usize];
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_well_formed_and_differ() {
        let workers = [
            RequestIds::new(7, 0),
            RequestIds::new(7, 1),
            RequestIds::new(8, 0),
        ];
        let ids: HashSet<_> = workers
            .iter()
            .flat_map(|ids| std::iter::repeat_with(|| ids.next()).take(100))
            .collect();
        assert_eq!(ids.len(), 300);
        assert!(
            ids.iter()
                .all(|id| id.len() == 32 && is_well_formed(id.as_bytes()))
        );
    }

    #[test]
    fn ids_that_could_forge_a_log_line_are_not_kept() {
        assert!(is_well_formed(b"01890000-0000-7000-8000-000000000001"));
        for id in [&b""[..], b"a b", b"a\tb", b"<script>", b"\"", &[b'a'; 129]] {
            assert!(!is_well_formed(id));
        }
    }
}

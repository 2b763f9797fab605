//! What a client begins with, as far as that decides whether TLS is spoken.

/// PostgreSQL's request for TLS, and the one for encryption by Kerberos, which is not offered.
const POSTGRES_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const POSTGRES_GSS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];
/// How many bytes decide at most.
pub(super) const MAX_HEAD: usize = POSTGRES_TLS.len();
/// How a record of TLS begins: a handshake, of a version whose first digit is 3.
const RECORD: [u8; 2] = [22, 3];
/// The second digit of any version up to 1.3. MongoDB's messages may begin like a record, and have 0 there.
const MINOR_VERSIONS: std::ops::RangeInclusive<u8> = 1..=4;

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// TLS begins at once.
    Tls,
    /// The client asks whether TLS may begin, as PostgreSQL's do.
    PostgresTls,
    /// The client asks for what is not offered.
    PostgresGss,
    /// Neither.
    Plain,
    /// There is too little of it.
    Unclear,
}

impl Opening {
    /// What these first bytes say.
    pub(super) fn of(head: &[u8]) -> Self {
        if head == POSTGRES_TLS {
            return Self::PostgresTls;
        }
        if head == POSTGRES_GSS {
            return Self::PostgresGss;
        }
        let record = head
            .iter()
            .zip(RECORD)
            .all(|(byte, wanted)| *byte == wanted);
        match head.get(RECORD.len()) {
            Some(minor) if record && MINOR_VERSIONS.contains(minor) => return Self::Tls,
            None if record => return Self::Unclear,
            _ => {}
        }
        let begins = |request: [u8; 8]| request.starts_with(head);
        match begins(POSTGRES_TLS) || begins(POSTGRES_GSS) {
            true => Self::Unclear,
            false => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_tls_from_requests_for_it_and_from_the_rest() {
        for (head, expected) in [
            (&b""[..], Opening::Unclear),
            (&POSTGRES_TLS, Opening::PostgresTls),
            (&POSTGRES_GSS, Opening::PostgresGss),
            (&POSTGRES_TLS[..7], Opening::Unclear),
            // PostgreSQL's plain start: a length and version 3.0.
            (b"\0\0\0\x08\0\x03\0\0", Opening::Plain),
            (b"\0\0\0\x54", Opening::Plain),
            (b"\x16", Opening::Unclear),
            (b"\x16\x03", Opening::Unclear),
            (b"\x16\x03\x01\x02\0\x01", Opening::Tls),
            // A message of MongoDB with 790 bytes.
            (b"\x16\x03\0\0", Opening::Plain),
            (b"*1\r\n", Opening::Plain),
        ] {
            assert_eq!(Opening::of(head), expected, "{head:?}");
        }
    }
}

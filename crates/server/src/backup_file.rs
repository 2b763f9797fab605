//! Files that backups are kept in, and segments of logs in a bucket: compressed, then encrypted piece by
//! piece.
//!
//! The pieces are sealed with XChaCha20-Poly1305 after the STREAM construction: each piece's nonce has its
//! number and whether it is the last one, so pieces can be neither exchanged nor cut off unnoticed. A
//! file has a key of its own, which is never used again.
//!
//! Not here: where the files are, and what is in them.

use std::io::{self, Read, Write};

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

/// What a file begins with.
const MAGIC: [u8; 8] = *b"TOSEBAK1";
/// Bytes of a key.
pub(crate) const KEY_LEN: usize = 32;
/// Plain bytes of a piece.
const PIECE: usize = 64 << 10;
/// What sealing adds to a piece.
const TAG: usize = 16;

/// The key of one file.
pub(crate) struct FileKey(Zeroizing<[u8; KEY_LEN]>);

impl FileKey {
    pub(crate) fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new_from_slice(self.0.as_slice()).expect("the key has its length")
    }
}

/// The nonce of a piece. The rest is zero: the key is this file's alone.
fn nonce(piece: u64, is_last: bool) -> XNonce {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&piece.to_be_bytes());
    bytes[23] = u8::from(is_last);
    XNonce::from(bytes)
}

/// Encrypts what is written.
struct Sealer<W> {
    cipher: XChaCha20Poly1305,
    piece: Vec<u8>,
    number: u64,
    to: W,
}

impl<W: Write> Sealer<W> {
    fn new(key: &FileKey, mut to: W) -> io::Result<Self> {
        to.write_all(&MAGIC)?;
        Ok(Self {
            cipher: key.cipher(),
            piece: Vec::with_capacity(PIECE),
            number: 0,
            to,
        })
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let sealed = self
            .cipher
            .encrypt(&nonce(self.number, is_last), self.piece.as_slice())
            .map_err(|_| io::Error::other("a piece could not be encrypted"))?;
        self.to.write_all(&sealed)?;
        self.piece.clear();
        self.number += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.seal(false)?;
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Decrypts what is read.
struct Opener<R> {
    cipher: XChaCha20Poly1305,
    from: R,
    number: u64,
    /// Sealed bytes that were read ahead: the next piece, whose end shows whether it is the last.
    sealed: Vec<u8>,
    plain: Vec<u8>,
    position: usize,
    is_over: bool,
}

impl<R: Read> Opener<R> {
    fn new(key: &FileKey, mut from: R) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(damaged("it does not begin as a backup does"));
        }
        Ok(Self {
            cipher: key.cipher(),
            from,
            number: 0,
            sealed: Vec::with_capacity(PIECE + TAG + 1),
            plain: Vec::new(),
            position: 0,
            is_over: false,
        })
    }

    fn open_next(&mut self) -> io::Result<()> {
        let wanted = PIECE + TAG + 1 - self.sealed.len();
        let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
        self.from
            .by_ref()
            .take(limit)
            .read_to_end(&mut self.sealed)?;
        let is_last = self.sealed.len() <= PIECE + TAG;
        let rest = self.sealed.split_off(self.sealed.len().min(PIECE + TAG));
        self.plain = self
            .cipher
            .decrypt(&nonce(self.number, is_last), self.sealed.as_slice())
            .map_err(|_| damaged("a piece was changed, cut off, or sealed with another key"))?;
        self.sealed = rest;
        self.position = 0;
        self.number += 1;
        self.is_over = is_last;
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.position == self.plain.len() {
            if self.is_over {
                return Ok(0);
            }
            self.open_next()?;
        }
        let left = &self.plain[self.position..];
        let count = left.len().min(into.len());
        into[..count].copy_from_slice(&left[..count]);
        self.position += count;
        Ok(count)
    }
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the file is damaged: {why}"),
    )
}

/// Compresses and encrypts what is written into a file.
pub(crate) struct BackupWriter<W: Write>(zstd::Encoder<'static, Sealer<W>>);

impl<W: Write> BackupWriter<W> {
    pub(crate) fn new(key: &FileKey, to: W) -> io::Result<Self> {
        let sealer = Sealer::new(key, to)?;
        let mut encoder = zstd::Encoder::new(sealer, zstd::DEFAULT_COMPRESSION_LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self(encoder))
    }

    /// Writes what is left, and answers where it was written to.
    pub(crate) fn finish(self) -> io::Result<W> {
        self.0.finish()?.finish()
    }
}

impl<W: Write> Write for BackupWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What was written, from a file.
pub(crate) fn reader<R: Read>(key: &FileKey, from: R) -> io::Result<impl Read + use<R>> {
    zstd::Decoder::new(Opener::new(key, from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> FileKey {
        FileKey::new([byte; KEY_LEN])
    }

    /// Bytes that compression cannot make smaller.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    }

    fn written(plain: &[u8]) -> Vec<u8> {
        let mut writer = BackupWriter::new(&key(1), Vec::new()).expect("begun");
        writer.write_all(plain).expect("written");
        writer.finish().expect("ended")
    }

    fn read(file: &[u8], key: &FileKey) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        reader(key, file)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn what_was_written_is_read() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE] {
            let plain = noise(len);
            let file = written(&plain);
            assert_eq!(read(&file, &key(1)).expect("whole"), plain, "{len} bytes");
        }
    }

    #[test]
    fn pieces_of_exact_lengths_are_read() {
        for len in [0, 1, PIECE, 2 * PIECE, 2 * PIECE + 1] {
            let plain = noise(len);
            let mut sealer = Sealer::new(&key(1), Vec::new()).expect("begun");
            sealer.write_all(&plain).expect("written");
            let file = sealer.finish().expect("ended");
            let mut read = Vec::new();
            let opened = Opener::new(&key(1), file.as_slice()).expect("begun");
            { opened }.read_to_end(&mut read).expect("whole");
            assert_eq!(read, plain, "{len} bytes");
        }
    }

    #[test]
    fn what_was_changed_cut_or_exchanged_is_noticed() {
        let plain = noise(3 * PIECE);
        let file = written(&plain);
        assert!(
            !file.windows(64).any(|part| part == &plain[..64]),
            "it is encrypted"
        );
        assert!(read(&file, &key(2)).is_err(), "with another key");
        for at in [0, MAGIC.len(), PIECE, file.len() - 1] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(read(&changed, &key(1)).is_err(), "changed at {at}");
        }
        let sealed = PIECE + TAG;
        for end in [
            MAGIC.len(),
            MAGIC.len() + sealed,
            MAGIC.len() + 2 * sealed,
            file.len() - 1,
        ] {
            assert!(read(&file[..end], &key(1)).is_err(), "cut at {end}");
        }
        let (head, pieces) = file.split_at(MAGIC.len());
        let exchanged = [
            head,
            &pieces[sealed..2 * sealed],
            &pieces[..sealed],
            &pieces[2 * sealed..],
        ];
        assert!(read(&exchanged.concat(), &key(1)).is_err(), "exchanged");
    }
}

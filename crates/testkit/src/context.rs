//! Build contexts, made in memory.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

/// How a context travels: pieces of a tar archive.
pub type Context = BoxStream<'static, std::io::Result<Bytes>>;

/// A context of `files`: path and text of each.
pub fn context(files: &[(&str, &str)]) -> Context {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, path, text.as_bytes())
            .expect("writing to memory");
    }
    let bytes = archive.into_inner().expect("writing to memory");
    // In pieces, as a context comes from disk.
    let pieces: Vec<_> = bytes
        .chunks(1024)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    stream::iter(pieces).boxed()
}

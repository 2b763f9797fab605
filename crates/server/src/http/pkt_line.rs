//! The frames of Git's protocol: four hex digits that count themselves and what follows. Four zeros
//! are a flush: nothing follows.

use bytes::{Buf, Bytes, BytesMut};

/// The most bytes that a frame may carry, with room for the number of its band.
const MAX_PAYLOAD: usize = 65_515;
const HEAD: usize = 4;

/// What a band of a multiplexed answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Band {
    /// The answer itself.
    Data = 1,
    /// Text that the client shows as it comes.
    Progress = 2,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Data(Bytes),
    Flush,
}

/// What is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no frame of Git's protocol")]
pub(crate) struct NoFrame;

/// Takes the first frame off `buffer`, if all of it is there.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, NoFrame> {
    let Some(head) = buffer.get(..HEAD) else {
        return Ok(None);
    };
    let digits = std::str::from_utf8(head).map_err(|_| NoFrame)?;
    let length = usize::from_str_radix(digits, 16).map_err(|_| NoFrame)?;
    match length {
        0 => {
            buffer.advance(HEAD);
            Ok(Some(Frame::Flush))
        }
        1..HEAD => Err(NoFrame),
        length if buffer.len() < length => Ok(None),
        length => {
            buffer.advance(HEAD);
            Ok(Some(Frame::Data(buffer.split_to(length - HEAD).freeze())))
        }
    }
}

/// A flush.
pub(crate) fn flush() -> Bytes {
    Bytes::from_static(b"0000")
}

/// One frame; `payload` must fit.
pub(crate) fn frame(payload: &[u8]) -> Bytes {
    let mut bytes = format!("{:04x}", payload.len() + HEAD).into_bytes();
    bytes.extend_from_slice(payload);
    bytes.into()
}

/// `payload` on a band, in as many frames as it needs.
pub(crate) fn on_band(band: Band, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    for part in payload.chunks(MAX_PAYLOAD) {
        let mut carried = vec![band as u8];
        carried.extend_from_slice(part);
        bytes.extend_from_slice(&frame(&carried));
    }
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_when_they_are_whole() {
        let mut buffer = BytesMut::from(&b"0006a\n00000009he"[..]);
        let data = |text: &'static [u8]| Ok(Some(Frame::Data(Bytes::from_static(text))));
        assert_eq!(take(&mut buffer), data(b"a\n"));
        assert_eq!(take(&mut buffer), Ok(Some(Frame::Flush)));
        assert_eq!(take(&mut buffer), Ok(None));
        buffer.extend_from_slice(b"llo");
        assert_eq!(take(&mut buffer), data(b"hello"));
        for bad in [&b"zzzz"[..], b"0003", b"\xff\xff\xff\xff"] {
            assert_eq!(take(&mut BytesMut::from(bad)), Err(NoFrame));
        }
    }

    #[test]
    fn long_text_goes_into_several_frames() {
        let text = vec![b'x'; MAX_PAYLOAD + 1];
        let mut buffer = BytesMut::from(&on_band(Band::Progress, &text)[..]);
        let mut carried = 0;
        while let Some(Frame::Data(data)) = take(&mut buffer).expect("frames") {
            assert_eq!(data[0], 2);
            carried += data.len() - 1;
        }
        assert_eq!(carried, text.len());
        assert_eq!(frame(b"a"), Bytes::from_static(b"0005a"));
    }
}

//! Texts made smaller on their way to a visitor who takes gzip.
//!
//! Off unless a host asks for it, so nobody else pays. It takes the fastest level, one piece of a body
//! at a time, and what an app has sent so far is never held back: when the app pauses, all that is
//! there goes out.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE,
    ETAG, HeaderMap, HeaderValue, VARY,
};
use http::response;
use http::{Method, StatusCode};

/// Below this many bytes it is not worth it.
const MIN_BYTES: u64 = 1024;

/// Whether the visitor takes gzip.
pub(crate) fn is_wanted(method: &Method, headers: &HeaderMap) -> bool {
    let mut codings = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    *method != Method::HEAD && codings.any(takes_gzip)
}

fn takes_gzip(coding: &str) -> bool {
    let (name, rest) = coding.split_once(';').unwrap_or((coding, ""));
    let weight = rest.trim().strip_prefix("q=").unwrap_or("1");
    name.trim().eq_ignore_ascii_case("gzip") && weight.parse().is_ok_and(|weight: f32| weight > 0.0)
}

/// Says that a response is compressed, if it is to be.
pub(crate) fn begin(head: &mut response::Parts) -> Option<Gzip> {
    if !is_worth_it(head) {
        return None;
    }
    let headers = &mut head.headers;
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(tag) = headers.get(ETAG).and_then(weak) {
        headers.insert(ETAG, tag);
    }
    Some(Gzip {
        encoder: GzEncoder::new(Vec::new(), Compression::fast()),
        has_unsent: false,
    })
}

fn is_worth_it(head: &response::Parts) -> bool {
    let headers = &head.headers;
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let is_fixed = headers.get_all(CACHE_CONTROL).iter().any(|value| {
        value
            .as_bytes()
            .windows(12)
            .any(|part| part.eq_ignore_ascii_case(b"no-transform"))
    });
    head.status == StatusCode::OK
        && !headers.contains_key(CONTENT_ENCODING)
        && length.is_none_or(|length| length >= MIN_BYTES)
        && !is_fixed
        && headers.get(CONTENT_TYPE).is_some_and(is_text)
}

/// Types that shrink. Events are left alone: each is small, and is to be there at once.
fn is_text(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else {
        return false;
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("text", kind)) => kind != "event-stream",
        Some((_, kind)) => {
            matches!(
                kind,
                "json" | "javascript" | "xml" | "wasm" | "x-javascript" | "manifest"
            ) || kind.ends_with("+json")
                || kind.ends_with("+xml")
        }
        None => false,
    }
}

/// The tag of something that says the same in other bytes (RFC 9110, section 8.8.1).
fn weak(tag: &HeaderValue) -> Option<HeaderValue> {
    let strong = tag.as_bytes();
    let is_strong = strong.first() == Some(&b'"');
    is_strong.then(|| HeaderValue::from_bytes(&[b"W/", strong].concat()).ok())?
}

/// A body that is being compressed.
pub(crate) struct Gzip {
    encoder: GzEncoder<Vec<u8>>,
    has_unsent: bool,
}

impl Gzip {
    /// Takes a piece in; what is ready to be sent comes back, often nothing.
    pub(crate) fn push(&mut self, data: &[u8]) -> Bytes {
        // Writing to memory cannot fail.
        let _ = self.encoder.write_all(data);
        self.has_unsent = true;
        self.take()
    }

    /// All that was taken in so far.
    pub(crate) fn flush(&mut self) -> Bytes {
        if self.has_unsent {
            let _ = self.encoder.flush();
            self.has_unsent = false;
        }
        self.take()
    }

    /// The rest.
    pub(crate) fn finish(&mut self) -> Bytes {
        let _ = self.encoder.try_finish();
        self.take()
    }

    fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(self.encoder.get_mut()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use http::Response;

    fn head(lines: &[(&str, &str)]) -> response::Parts {
        let mut response = Response::builder();
        for (name, value) in lines {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn texts_that_are_not_compressed_so_far_are_worth_it() {
        let check = |expected: bool, lines: &[(&str, &str)]| {
            assert_eq!(begin(&mut head(lines)).is_some(), expected, "{lines:?}");
        };
        check(true, &[("content-type", "text/html; charset=utf-8")]);
        check(
            true,
            &[
                ("content-type", "application/problem+json"),
                ("content-length", "1024"),
            ],
        );
        check(
            false,
            &[("content-type", "text/html"), ("content-length", "1023")],
        );
        check(false, &[("content-type", "text/event-stream")]);
        check(false, &[("content-type", "image/png")]);
        check(false, &[]);
        check(
            false,
            &[("content-type", "text/css"), ("content-encoding", "br")],
        );
        check(
            false,
            &[
                ("content-type", "text/css"),
                ("cache-control", "public, No-Transform"),
            ],
        );
    }

    #[test]
    fn a_tag_of_the_app_is_weak_from_then_on() {
        let mut head = head(&[
            ("content-type", "text/css"),
            ("etag", "\"1\""),
            ("vary", "cookie"),
        ]);
        assert!(begin(&mut head).is_some());
        assert_eq!(head.headers["etag"], "W/\"1\"");
        let vary: Vec<_> = head.headers.get_all(VARY).iter().collect();
        assert_eq!(vary, ["cookie", "accept-encoding"]);
    }

    #[test]
    fn the_visitor_decides() {
        let check = |expected: bool, value: &str| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(is_wanted(&Method::GET, &headers), expected, "{value}");
            assert!(!is_wanted(&Method::HEAD, &headers));
        };
        check(true, "gzip");
        check(true, "br, GZIP;q=0.5");
        check(false, "br, gzip;q=0");
        check(false, "identity");
        check(false, "");
        assert!(!is_wanted(&Method::GET, &HeaderMap::new()));
    }
}

//! Which headers pass, in both directions, and which are ours.
//!
//! Guarantees: what a visitor says about where a request came from never reaches an app; a
//! `Connection` header can remove nothing that this proxy adds, because its list is worked off
//! first. Not here: the framing headers, which hyper writes from the body that it decoded.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName,
    HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};

use crate::origin::Origin;
use crate::request_id::{self, RequestIds};

/// Tells this proxy's own answers from an app's.
pub(crate) const X_TOSE_ERROR: HeaderName = HeaderName::from_static("x-tose-error");
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes a request's headers fit for the app; answers the protocol that the visitor wants to
/// upgrade to, if any.
pub(crate) fn prepare_request(
    headers: &mut HeaderMap,
    origin: &Origin,
    request_ids: &RequestIds,
) -> Option<HeaderValue> {
    let upgrade = wanted_upgrade(headers);
    join_cookies(headers);
    let takes_trailers = has_token(headers, &TE, "trailers");
    remove_listed(headers);
    remove_where(headers, is_hop_by_hop_or_forwarding);
    if headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        // hyper says "continue" to the visitor when the app's connection takes the body.
        headers.remove(EXPECT);
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(protocol) = &upgrade {
        ask_upgrade(headers, protocol.clone());
    }
    if let Some(host) = headers.get(HOST).cloned() {
        headers.insert(X_FORWARDED_HOST, host);
    }
    if let Some(forwarded) = &origin.forwarded {
        headers.insert(FORWARDED, forwarded.clone());
    }
    headers.insert(X_FORWARDED_FOR, origin.ip_value.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(origin.scheme()));
    headers.insert(X_REAL_IP, origin.ip_value.clone());
    if !has_good_request_id(headers) {
        headers.insert(X_REQUEST_ID, request_ids.next());
    }
    upgrade
}

/// HTTP/2 lets a cookie come in parts; HTTP/1.1 has one header for them (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut parts = headers.get_all(COOKIE).iter();
    if let (Some(_), Some(_)) = (parts.next(), parts.next()) {
        let parts: Vec<&[u8]> = headers
            .get_all(COOKIE)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        let whole = HeaderValue::from_bytes(&parts.join(&b"; "[..]));
        headers.insert(COOKIE, whole.expect("parts of headers make one"));
    }
}

/// Makes an app's response headers fit for the visitor.
pub(crate) fn prepare_response(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    remove_listed(headers);
    remove_where(headers, is_not_for_visitors);
}

/// Says that this message upgrades the connection to `protocol`.
pub(crate) fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(UPGRADE, protocol);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
}

/// Removes from trailers what may not come in as a header either.
pub(crate) fn prepare_trailers(trailers: &mut HeaderMap) {
    remove_where(trailers, is_hop_by_hop_or_forwarding);
}

/// Whether the body is framed by nothing but `chunked`, or not by a coding at all.
pub(crate) fn has_plain_framing(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// The upgrade that is asked for. `h2c` is none: apps are spoken to in HTTP/1.1.
fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut protocols = headers.get_all(UPGRADE).iter();
    match (protocols.next(), protocols.next()) {
        (Some(protocol), None)
            if !protocol.as_bytes().eq_ignore_ascii_case(b"h2c")
                && has_token(headers, &CONNECTION, "upgrade") =>
        {
            Some(protocol.clone())
        }
        _ => None,
    }
}

fn has_good_request_id(headers: &HeaderMap) -> bool {
    let mut ids = headers.get_all(X_REQUEST_ID).iter();
    match (ids.next(), ids.next()) {
        (Some(id), None) => request_id::is_well_formed(id.as_bytes()),
        _ => false,
    }
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|candidate| candidate.eq_ignore_ascii_case(token.as_bytes()))
}

/// Removes what the `Connection` header lists, except the host, which routing has used.
fn remove_listed(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter(|token| {
            !token.eq_ignore_ascii_case(b"keep-alive") && !token.eq_ignore_ascii_case(b"close")
        })
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| name != HOST && headers.contains_key(name))
        .collect();
    for name in listed {
        headers.remove(name);
    }
}

fn remove_where(headers: &mut HeaderMap, is_unwanted: fn(&str) -> bool) {
    while let Some(name) = headers
        .keys()
        .find(|name| is_unwanted(name.as_str()))
        .cloned()
    {
        headers.remove(name);
    }
}

/// Takes lower-case names. CGI apps would mistake `proxy` for a setting of their own, and framing
/// headers written with `_` for the real ones.
fn is_hop_by_hop_or_forwarding(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'c') => name == "connection" || name == "content_length",
        Some(b'f') => name == "forwarded",
        Some(b'h') => name == "http2-settings",
        Some(b'k') => name == "keep-alive",
        Some(b'p') => {
            matches!(name, "proxy" | "proxy-authorization" | "proxy-connection")
        }
        Some(b't') => {
            matches!(name, "te" | "transfer-encoding" | "transfer_encoding")
        }
        Some(b'u') => name == "upgrade",
        Some(b'x') => is_forwarding_extension(name),
        _ => false,
    }
}

/// Also with `_` for `-`, which many apps cannot tell apart.
fn is_forwarding_extension(name: &str) -> bool {
    let starts_like = |prefix: &str| {
        name.len() >= prefix.len()
            && name
                .bytes()
                .zip(prefix.bytes())
                .all(|(byte, expected)| byte == expected || byte == b'_' && expected == b'-')
    };
    starts_like("x-forwarded")
        || starts_like("x-real-ip") && name.len() == "x-real-ip".len()
        || starts_like("x-request-id") && name.len() == "x-request-id".len() && name.contains('_')
}

fn is_not_for_visitors(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "x-tose-error"
    )
}

#[cfg(test)]
mod tests;

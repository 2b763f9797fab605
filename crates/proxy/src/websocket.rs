//! WebSockets on connections of HTTP/2 (RFC 8441), asked of apps as HTTP/1.1 has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, response};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;

use crate::request_id::RequestIds;

/// How many bytes the key of a handshake has (RFC 6455, section 4.1).
const KEY_BYTES: usize = 16;

/// The visitor's end of the tunnel, if the request asks for a WebSocket on a stream of HTTP/2.
pub(crate) fn on_upgrade(request: &mut Request<Incoming>) -> Option<OnUpgrade> {
    let protocol = request.extensions().get::<Protocol>()?;
    let is_websocket =
        request.method() == Method::CONNECT && protocol.as_str().eq_ignore_ascii_case("websocket");
    is_websocket.then(|| hyper::upgrade::on(request))
}

/// Makes the request one of HTTP/1.1. Its key proves nothing here: the stream is the visitor's alone.
pub(crate) fn ask_in_http1(head: &mut Parts, ids: &RequestIds) {
    head.method = Method::GET;
    let headers = &mut head.headers;
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers
        .entry(SEC_WEBSOCKET_VERSION)
        .or_insert(HeaderValue::from_static("13"));
    let id = ids.next();
    let key = STANDARD.encode(&id.as_bytes()[..KEY_BYTES]);
    let key = HeaderValue::try_from(key).expect("base64 makes a header value");
    headers.insert(SEC_WEBSOCKET_KEY, key);
}

/// Makes an app's 101 the answer of HTTP/2.
pub(crate) fn accept_in_http2(head: &mut response::Parts) {
    head.status = StatusCode::OK;
    head.headers.remove(SEC_WEBSOCKET_ACCEPT);
}

//! Visitors who stay with one replica: a cookie names it.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::table::Replica;

const NAME: &str = "tose_replica";

/// The replica that a visitor's cookie names.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == NAME)
        .map(|(_, value)| value.to_owned())
}

/// Has the visitor come back to this replica, until the browser is closed.
pub(crate) fn set(replica: &Replica, is_secure: bool) -> HeaderValue {
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!(
        "{NAME}={}; Path=/; HttpOnly; SameSite=Lax{secure}",
        replica.cookie
    );
    HeaderValue::try_from(text).expect("hex digits and words make a header value")
}

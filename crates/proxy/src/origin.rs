//! Where a request comes from: the visitor's address, and whether the way here was secure.
//!
//! Guarantee: what a header says about it counts only if it comes from a proxy that the operator
//! trusts, and of the addresses in it only those that trusted proxies added.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};

use http::header::HOST;
use http::{HeaderMap, HeaderValue};
use tose_api::domain_settings::IpRange;

use crate::connection::Visitor;
use crate::headers::{X_FORWARDED_FOR, X_FORWARDED_PROTO};

/// Where a request comes from.
pub(crate) struct Origin {
    /// The visitor's address.
    pub(crate) ip: IpAddr,
    /// The same as a header value.
    pub(crate) ip_value: HeaderValue,
    /// Whether it came by HTTPS.
    pub(crate) is_secure: bool,
    /// All of it as `Forwarded` says it, with the host.
    pub(crate) forwarded: Option<HeaderValue>,
}

/// What `Forwarded` said of a visitor's last request, and for which host: the next one mostly says the same.
#[derive(Default)]
pub(crate) struct LastForwarded(RefCell<Option<(HeaderValue, HeaderValue)>>);

impl LastForwarded {
    fn get_or_make(
        &self,
        host: &HeaderValue,
        make: impl FnOnce() -> Option<HeaderValue>,
    ) -> Option<HeaderValue> {
        let mut last = self.0.borrow_mut();
        match &*last {
            Some((of, value)) if of == host => Some(value.clone()),
            _ => {
                let made = make()?;
                *last = Some((host.clone(), made.clone()));
                Some(made)
            }
        }
    }
}

impl Origin {
    /// Of a request with these headers.
    pub(crate) fn of(visitor: &Visitor, headers: &HeaderMap, trusted: &[IpRange]) -> Self {
        let peer = Self {
            ip: visitor.ip(),
            ip_value: visitor.ip_value(),
            is_secure: visitor.is_secure(),
            forwarded: None,
        };
        let host = headers.get(HOST);
        if !is_trusted(peer.ip, trusted) {
            let make = |host| forwarded(&peer.ip_value, host, peer.scheme());
            let last = visitor.last_forwarded();
            let forwarded = host.and_then(|host| last.get_or_make(host, || make(host)));
            return Self { forwarded, ..peer };
        }
        let is_secure = came_by_https(headers).unwrap_or(peer.is_secure);
        let ip = forwarded_for(headers, trusted).unwrap_or(peer.ip);
        let mut origin = Self {
            ip,
            ip_value: value_of(ip),
            is_secure,
            forwarded: None,
        };
        origin.forwarded = host.and_then(|host| forwarded(&origin.ip_value, host, origin.scheme()));
        origin
    }

    /// `https` or `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }
}

/// The one header for it that is standardized (RFC 7239). What holds a colon stands in quotes.
fn forwarded(ip: &HeaderValue, host: &HeaderValue, proto: &str) -> Option<HeaderValue> {
    let (ip, host) = (ip.to_str().ok()?, host.to_str().ok()?);
    let (open, close) = if ip.contains(':') {
        ("\"[", "]\"")
    } else {
        ("", "")
    };
    let quote = if host.contains(':') { "\"" } else { "" };
    let parts = [
        "for=", open, ip, close, ";host=", quote, host, quote, ";proto=", proto,
    ];
    HeaderValue::try_from(parts.concat()).ok()
}

/// Whether it is the address of a trusted proxy.
pub(crate) fn is_trusted(ip: IpAddr, trusted: &[IpRange]) -> bool {
    trusted.iter().any(|range| range.contains(ip))
}

/// An address as a header value.
pub(crate) fn value_of(ip: IpAddr) -> HeaderValue {
    HeaderValue::try_from(ip.to_string()).expect("an address makes a header")
}

/// The last address that a trusted proxy added and that is none itself; the first one if all are.
fn forwarded_for(headers: &HeaderMap, trusted: &[IpRange]) -> Option<IpAddr> {
    let values = headers.get_all(X_FORWARDED_FOR).iter();
    let addresses: Vec<&str> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut found = None;
    for text in addresses.into_iter().rev() {
        // What stands before something unreadable was written by somebody else.
        let Some(ip) = parse(text) else {
            return found;
        };
        found = Some(ip);
        if !is_trusted(ip, trusted) {
            return found;
        }
    }
    found
}

/// An address, with a port where a proxy adds it.
fn parse(text: &str) -> Option<IpAddr> {
    let ip = text.parse::<IpAddr>().ok();
    let ip = ip.or_else(|| text.parse::<SocketAddr>().ok().map(|addr| addr.ip()));
    ip.map(|ip| ip.to_canonical())
}

/// What the nearest proxy says.
fn came_by_https(headers: &HeaderMap) -> Option<bool> {
    let value = headers.get_all(X_FORWARDED_PROTO).iter().next_back()?;
    let text = value.to_str().ok()?;
    let last = text.rsplit(',').next()?.trim();
    Some(last.eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_forwarded_addresses_the_last_that_no_trusted_proxy_has_counts() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let check = |values: &[&str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(X_FORWARDED_FOR, value.parse().unwrap());
            }
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(forwarded_for(&headers, &trusted), expected, "{values:?}");
        };
        check(&[], None);
        check(&["203.0.113.9"], Some("203.0.113.9"));
        check(&["1.1.1.1, 203.0.113.9, 10.0.0.2"], Some("203.0.113.9"));
        check(
            &["1.1.1.1", "203.0.113.9:4711", "10.0.0.2"],
            Some("203.0.113.9"),
        );
        check(&["10.0.0.3, 10.0.0.2"], Some("10.0.0.3"));
        check(&["1.1.1.1, nonsense, 10.0.0.2"], Some("10.0.0.2"));
        check(&["[2001:db8::1]:80"], Some("2001:db8::1"));
        check(&["::ffff:203.0.113.9"], Some("203.0.113.9"));
        check(&["nonsense"], None);
    }
    #[test]
    fn what_holds_a_colon_is_quoted_where_the_standard_wants_it() {
        let value = |text| HeaderValue::from_static(text);
        let made = forwarded(&value("2001:db8::1"), &value("a.example:81"), "https").unwrap();
        assert_eq!(
            made,
            "for=\"[2001:db8::1]\";host=\"a.example:81\";proto=https"
        );
    }

    #[test]
    fn what_was_said_of_the_last_request_is_said_again_for_the_same_host_alone() {
        let last = LastForwarded::default();
        let host = HeaderValue::from_static;
        let made = |host, value| last.get_or_make(&host, || Some(HeaderValue::from_static(value)));
        assert_eq!(made(host("a.example"), "first").unwrap(), "first");
        assert_eq!(made(host("a.example"), "again").unwrap(), "first");
        assert_eq!(made(host("b.example"), "other").unwrap(), "other");
        assert_eq!(made(host("a.example"), "third").unwrap(), "third");
    }
}

//! Which host a request is for.
//!
//! Invariant: after [`settle`] a request has at most one `Host` header, and it names the host that
//! routing uses; the app never sees another one.

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri, Version};

/// The longest host name.
const MAX_HOST_LEN: usize = 253;

/// Brings the target into origin form; of an absolute one, the authority becomes the host.
pub(crate) fn settle(head: &mut Parts) -> Result<(), &'static str> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let has_host = hosts.next().is_some();
    if hosts.next().is_some() {
        return Err("a request has one Host header");
    }
    let Some(authority) = head.uri.authority() else {
        if !has_host && head.version != Version::HTTP_10 {
            return Err("the Host header is missing");
        }
        return Ok(());
    };
    if !matches!(head.uri.scheme_str(), Some("http" | "https")) || authority.as_str().contains('@')
    {
        return Err("the request's target is not valid");
    }
    let host = HeaderValue::from_str(authority.as_str())
        .map_err(|_| "the request's target is not valid")?;
    head.uri = head
        .uri
        .path_and_query()
        .cloned()
        .map_or_else(Uri::default, Uri::from);
    head.headers.insert(HOST, host);
    Ok(())
}

/// Calls `find` with the lower-case name in a `Host` value, without port and final dot.
pub(crate) fn with_name<T>(host: &str, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) => return None,
        None => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return find(name);
    }
    let mut buffer = [0; MAX_HOST_LEN];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    find(std::str::from_utf8(lower).ok()?)
}

/// The port in a `Host` header.
pub(crate) fn port(headers: &HeaderMap) -> Option<u16> {
    let (_, port) = headers.get(HOST)?.to_str().ok()?.rsplit_once(':')?;
    port.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(version: Version, target: &str, hosts: &[&str]) -> Parts {
        let mut request = http::Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn an_absolute_target_decides_the_host() {
        let mut head = head(Version::HTTP_11, "http://a.example:81/x?y", &["b.example"]);
        settle(&mut head).unwrap();
        assert_eq!(head.headers[HOST], "a.example:81");
        assert_eq!(head.uri, "/x?y");
    }

    #[test]
    fn ambiguous_hosts_are_refused() {
        for (target, hosts) in [
            ("/", &["a.example", "b.example"][..]),
            ("/", &["a.example", "a.example"]),
            ("/", &[]),
            ("http://a@b.example/", &["b.example"]),
            ("ftp://b.example/", &["b.example"]),
            ("b.example:80", &["b.example"]),
        ] {
            assert!(
                settle(&mut head(Version::HTTP_11, target, hosts)).is_err(),
                "{target}"
            );
        }
        assert!(settle(&mut head(Version::HTTP_10, "/", &[])).is_ok());
    }

    #[test]
    fn names_lose_port_case_and_final_dot() {
        let check = |host: &str, expected: Option<&str>| {
            assert_eq!(
                with_name(host, |name| Some(name.to_owned())).as_deref(),
                expected
            );
        };
        check("a.example", Some("a.example"));
        check("A.Example.:8080", Some("a.example"));
        check("a.example:", Some("a.example"));
        check("a.example:80@b.example", None);
        check(&"A".repeat(254), None);
    }
}

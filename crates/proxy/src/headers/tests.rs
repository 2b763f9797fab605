//! What passes, what is stripped, what is ours.

use super::*;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect()
}

fn prepare(lines: &[(&str, &str)]) -> (HeaderMap, Option<HeaderValue>) {
    let mut headers = headers(lines);
    let origin = Origin {
        ip: "192.0.2.7".parse().unwrap(),
        ip_value: HeaderValue::from_static("192.0.2.7"),
        is_secure: false,
        forwarded: Some(HeaderValue::from_static("for=192.0.2.7")),
    };
    let upgrade = prepare_request(&mut headers, &origin, &RequestIds::new(1, 0));
    (headers, upgrade)
}

#[test]
fn what_a_visitor_claims_about_the_way_here_is_replaced() {
    let (headers, _) = prepare(&[
        ("host", "shop.example.com"),
        ("forwarded", "for=1.1.1.1"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-port", "1"),
        ("x_forwarded_for", "1.1.1.1"),
        ("x-forwarded_host", "evil.example"),
        ("x-real-ip", "1.1.1.1"),
        ("x_real_ip", "1.1.1.1"),
        ("x_request_id", "a"),
        ("proxy", "evil.example:3128"),
        ("accept", "*/*"),
    ]);
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "forwarded",
            "host",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-real-ip",
            "x-request-id",
        ]
    );
    assert_eq!(headers["forwarded"], "for=192.0.2.7");
    assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
    assert_eq!(headers["x-forwarded-host"], "shop.example.com");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["x-real-ip"], "192.0.2.7");
}

#[test]
fn the_connection_header_removes_what_it_lists_but_nothing_of_ours() {
    let (headers, _) = prepare(&[
        ("host", "shop.example.com"),
        ("connection", "close, X-Secret ,host"),
        ("connection", "x-forwarded-for"),
        ("x-secret", "1"),
        ("keep-alive", "timeout=5"),
    ]);
    assert!(!headers.contains_key("x-secret"));
    assert!(!headers.contains_key("keep-alive"));
    assert!(!headers.contains_key("connection"));
    assert_eq!(headers["host"], "shop.example.com");
    assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
}

#[test]
fn an_upgrade_needs_both_headers_and_is_never_h2c() {
    let check = |connection: &str, protocol: &str, expected: Option<&str>| {
        let (headers, upgrade) = prepare(&[("connection", connection), ("upgrade", protocol)]);
        assert_eq!(
            upgrade.as_ref().map(|value| value.to_str().unwrap()),
            expected
        );
        assert_eq!(headers.contains_key("upgrade"), expected.is_some());
    };
    check("keep-alive, Upgrade", "websocket", Some("websocket"));
    check("keep-alive", "websocket", None);
    check("upgrade, http2-settings", "h2c", None);
}

#[test]
fn a_good_request_id_is_kept_and_any_other_replaced() {
    assert_eq!(
        prepare(&[("x-request-id", "abc-1")]).0["x-request-id"],
        "abc-1"
    );
    for lines in [
        &[("x-request-id", "a b")][..],
        &[("x-request-id", "a"), ("x-request-id", "b")],
        &[],
    ] {
        let (headers, _) = prepare(lines);
        let ids: Vec<_> = headers.get_all("x-request-id").iter().collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(ids[0].len(), 32);
    }
}

#[test]
fn trailers_are_asked_for_when_the_visitor_takes_them() {
    let (headers, _) = prepare(&[("te", "gzip, trailers"), ("connection", "te")]);
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["connection"], "te");
    assert!(!prepare(&[("te", "gzip")]).0.contains_key("te"));
}

#[test]
fn a_response_loses_its_framing_and_cannot_pose_as_ours() {
    let mut headers = headers(&[
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("x-tose-error", "unknown_host"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
    ]);
    prepare_response(&mut headers);
    assert_eq!(headers.keys().count(), 1);
    assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
}

#[test]
fn only_chunked_is_a_framing() {
    assert!(has_plain_framing(&headers(&[])));
    assert!(has_plain_framing(&headers(&[(
        "transfer-encoding",
        "Chunked"
    )])));
    assert!(!has_plain_framing(&headers(&[(
        "transfer-encoding",
        "gzip, chunked"
    )])));
    assert!(!has_plain_framing(&headers(&[
        ("transfer-encoding", "gzip"),
        ("transfer-encoding", "chunked"),
    ])));
}

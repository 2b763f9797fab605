//! What visitors see when no app answers: a page that says what is wrong and what its owner can do.
//!
//! Invariants: whatever a visitor or a tenant chose is escaped; no internal address is shown.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::headers::X_TOSE_ERROR;
use crate::rules::Ruling;
use crate::table::Target;

/// Why a request has no app's answer.
pub(crate) enum Failure {
    /// The request itself cannot be served.
    Refused(StatusCode, &'static str),
    /// It is to be asked for elsewhere.
    Moved(HeaderValue),
    /// A rule of the host has another answer.
    Ruled(Arc<Target>, Ruling),
    /// No route has this host.
    UnknownHost(Option<HeaderValue>),
    /// The host is known, and nothing serves it.
    NoReplica(Arc<Target>),
    /// No replica could be reached, or the connection broke before the answer.
    UpstreamFailed(Arc<Target>),
    /// The app took too long.
    UpstreamTimeout(Arc<Target>, Duration),
}

/// The words of a page. `detail` and `advice` may mark commands with backticks.
struct Text {
    status: StatusCode,
    code: Option<&'static str>,
    title: &'static str,
    detail: String,
    advice: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Html,
    Json,
    Plain,
}

/// Renders the page in the form that an `Accept` header prefers.
pub(crate) fn render(failure: &Failure, accept: Option<&HeaderValue>) -> Response<Bytes> {
    if let Failure::Moved(location) = failure {
        return moved(location);
    }
    let text = text(failure);
    let format = preferred(accept.and_then(|value| value.to_str().ok()).unwrap_or(""));
    let own_page = own_page(failure).filter(|_| format == Format::Html);
    let (content_type, body) = match format {
        Format::Html if let Some(page) = own_page => ("text/html; charset=utf-8", page.to_owned()),
        Format::Html => ("text/html; charset=utf-8", html(&text)),
        Format::Json => ("application/json", json(&text)),
        Format::Plain => ("text/plain; charset=utf-8", plain(&text)),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = text.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if format == Format::Html && own_page.is_none() {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    }
    if let Some(code) = text.code {
        headers.insert(X_TOSE_ERROR, HeaderValue::from_static(code));
    }
    if let Some((name, value)) = hint(failure) {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Sends the visitor elsewhere; 308 keeps the method and the body.
fn moved(location: &HeaderValue) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location.clone());
    response
}

/// The page that the host's owner wants instead of ours.
fn own_page(failure: &Failure) -> Option<&str> {
    match failure {
        Failure::Ruled(target, Ruling::Maintenance) => target.rules()?.maintenance_page.as_deref(),
        Failure::NoReplica(target)
        | Failure::UpstreamFailed(target)
        | Failure::UpstreamTimeout(target, _) => target.rules()?.error_page.as_deref(),
        _ => None,
    }
}

/// The header that says what a visitor can do.
fn hint(failure: &Failure) -> Option<(HeaderName, &'static str)> {
    match failure {
        Failure::NoReplica(_) => Some((RETRY_AFTER, "5")),
        Failure::Ruled(_, ruling) => match ruling {
            Ruling::Unauthorized => Some((
                WWW_AUTHENTICATE,
                "Basic realm=\"restricted\", charset=\"UTF-8\"",
            )),
            Ruling::TooFast | Ruling::TooMany => Some((RETRY_AFTER, "1")),
            Ruling::Maintenance => Some((RETRY_AFTER, "60")),
            Ruling::Forbidden | Ruling::TooLarge => None,
        },
        _ => None,
    }
}

fn text(failure: &Failure) -> Text {
    match failure {
        Failure::Refused(status, why) => Text {
            status: *status,
            code: None,
            title: "This request cannot be served",
            detail: format!("It was refused: {why}."),
            advice: None,
        },
        // It has no page.
        Failure::Moved(_) => Text {
            status: StatusCode::PERMANENT_REDIRECT,
            code: None,
            title: "This page is elsewhere",
            detail: String::new(),
            advice: None,
        },
        Failure::Ruled(target, ruling) => ruling_text(target, *ruling),
        Failure::UnknownHost(host) => Text {
            status: StatusCode::NOT_FOUND,
            code: Some("unknown_host"),
            title: "There is no app at this address",
            detail: match host.as_ref().and_then(|host| host.to_str().ok()) {
                Some(host) => format!("Nothing is published at {host}."),
                None => "The request names no host.".to_owned(),
            },
            advice: Some(
                "If it should be: check the spelling, and see with `tose status` which addresses your project has.",
            ),
        },
        Failure::NoReplica(target) => Text {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: Some("no_replica"),
            title: "This app is not running",
            detail: format!(
                "{} is not ready to answer: {}.",
                name(target),
                target
                    .reason
                    .as_deref()
                    .unwrap_or("none of its replicas is ready")
            ),
            advice: Some(
                "If it is yours: `tose status` shows what it is doing, and `tose logs` what it said.",
            ),
        },
        Failure::UpstreamFailed(target) => Text {
            status: StatusCode::BAD_GATEWAY,
            code: Some("upstream_failed"),
            title: "This app did not answer",
            detail: format!(
                "{} is running, but the connection to it failed.",
                name(target)
            ),
            advice: Some(
                "If it is yours: does it listen on 0.0.0.0 and the port in `PORT`? Is it crashing? See `tose status` and `tose logs`.",
            ),
        },
        Failure::UpstreamTimeout(target, limit) => Text {
            status: StatusCode::GATEWAY_TIMEOUT,
            code: Some("upstream_timeout"),
            title: "This app took too long",
            detail: format!(
                "{} did not answer within {} s.",
                name(target),
                limit.as_secs()
            ),
            advice: Some("If it is yours: see with `tose logs` what it is waiting for."),
        },
    }
}

fn ruling_text(target: &Target, ruling: Ruling) -> Text {
    let (status, code, title, detail) = match ruling {
        Ruling::Forbidden => (
            StatusCode::FORBIDDEN,
            "address_not_allowed",
            "You cannot come in from here",
            "This host lets only some addresses in.".to_owned(),
        ),
        Ruling::Unauthorized => (
            StatusCode::UNAUTHORIZED,
            "credentials_needed",
            "Who are you?",
            "This host asks for a name and a password.".to_owned(),
        ),
        Ruling::TooFast => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "Not so fast",
            "More requests come from your address than this host takes; wait a moment.".to_owned(),
        ),
        Ruling::TooMany => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_at_once",
            "This app is busy",
            "As many requests run as this host takes; try again in a moment.".to_owned(),
        ),
        Ruling::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "This is too large",
            "The request's body is larger than this host takes.".to_owned(),
        ),
        Ruling::Maintenance => (
            StatusCode::SERVICE_UNAVAILABLE,
            "maintenance",
            "Back soon",
            format!("{} is being worked on.", name(target)),
        ),
    };
    Text {
        status,
        code: Some(code),
        title,
        detail,
        advice: None,
    }
}

fn name(target: &Target) -> String {
    format!("{}/{}", target.workspace, target.project)
}

fn html(text: &Text) -> String {
    let title = escape(text.title);
    let status = text.status.as_u16();
    let detail = mark_up(&text.detail);
    let advice = text
        .advice
        .map(|advice| format!("<p>{}</p>\n", mark_up(advice)))
        .unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}}\
         small{{color:#666}}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n<p>{detail}</p>\n{advice}<small>{status}</small>\n</body>\n</html>\n"
    )
}

fn json(text: &Text) -> String {
    let failure = tose_api::Failure {
        success: false,
        error: one_line(text),
        code: text.code.unwrap_or("invalid_request").to_owned(),
        fields: Default::default(),
    };
    serde_json::to_string(&failure).expect("texts make JSON")
}

fn plain(text: &Text) -> String {
    format!("{}\n", one_line(text))
}

fn one_line(text: &Text) -> String {
    let advice = text
        .advice
        .map(|advice| format!(" {advice}"))
        .unwrap_or_default();
    format!("{}. {}{advice}", text.title, text.detail)
}

/// Escapes `text`; what stands between backticks becomes code.
fn mark_up(text: &str) -> String {
    let mut marked = String::with_capacity(text.len() + 16);
    for (index, piece) in text.split('`').enumerate() {
        if index % 2 == 0 {
            marked.push_str(&escape(piece));
        } else {
            marked.push_str("<code>");
            marked.push_str(&escape(piece));
            marked.push_str("</code>");
        }
    }
    marked
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The format with the highest quality; a named type beats a wildcard, then HTML wins.
fn preferred(accept: &str) -> Format {
    [
        (Format::Html, "text/html"),
        (Format::Json, "application/json"),
        (Format::Plain, "text/plain"),
    ]
    .into_iter()
    .rev()
    .max_by_key(|(_, media_type)| quality(accept, media_type))
    .map_or(Format::Html, |(format, _)| format)
}

/// In thousandths, and whether the type itself is named.
fn quality(accept: &str, media_type: &str) -> (u16, bool) {
    let wildcard = media_type
        .split_once('/')
        .map(|(group, _)| format!("{group}/*"))
        .unwrap_or_default();
    let mut best = (0, (0, false));
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().unwrap_or_default();
        let precision = match named {
            _ if named.eq_ignore_ascii_case(media_type) => 3,
            _ if named.eq_ignore_ascii_case(&wildcard) => 2,
            "*/*" => 1,
            _ => continue,
        };
        let weight = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(1000, thousandths);
        if precision > best.0 {
            best = (precision, (weight, precision == 3));
        }
    }
    best.1
}

/// A quality value, `0` to `1` with up to three digits; what is none counts as 0.
fn thousandths(weight: &str) -> u16 {
    match weight.split_once('.') {
        Some(("0", digits)) if digits.len() <= 3 => format!("{digits:0<3}").parse().unwrap_or(0),
        Some(("1", _)) => 1000,
        None if weight == "1" => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_decides_the_format() {
        let check =
            |accept: &str, expected: Format| assert_eq!(preferred(accept), expected, "{accept}");
        check("", Format::Html);
        check("*/*", Format::Html);
        check("image/png", Format::Html);
        check(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            Format::Html,
        );
        check("application/json", Format::Json);
        check("application/json, text/plain, */*", Format::Json);
        check("text/plain", Format::Plain);
        check("text/*;q=0.5, application/json;q=0.4", Format::Html);
        check("text/html;q=0.1, application/json;q=0.75", Format::Json);
        check("text/html;q=nonsense, text/plain;q=0.001", Format::Plain);
    }

    #[test]
    fn what_the_visitor_chose_is_escaped() {
        let host = HeaderValue::from_static("<script>alert(\"1\")</script>`'&");
        let response = render(&Failure::UnknownHost(Some(host)), None);
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let page = std::str::from_utf8(response.body()).unwrap();
        assert!(!page.contains("<script"), "{page}");
        assert!(
            page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"),
            "{page}"
        );
        assert!(page.contains("&#39;&amp;"), "{page}");
    }

    #[test]
    fn json_has_the_envelope_of_the_api() {
        let accept = HeaderValue::from_static("application/json");
        let response = render(&Failure::UnknownHost(None), Some(&accept));
        let failure: tose_api::Failure = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(failure.code, "unknown_host");
        assert_eq!(response.headers()["x-tose-error"], "unknown_host");
    }
}

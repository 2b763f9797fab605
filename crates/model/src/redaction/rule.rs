//! What a credential looks like to somebody who does not know it.
//!
//! Each rule goes over the text by itself and names the parts to be masked; it takes a time that grows with
//! the text alone.

use std::ops::Range;

type Spans = Vec<Range<usize>>;

/// What a name holds whose value is nobody's business, without its separators.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "credential",
    "cookie",
    "sessionid",
    "signature",
    "jwt",
];
/// Names that say so only as a whole or as the last of their words.
const WHOLE_NAMES: &[&str] = &["auth", "pass", "sig", "dsn"];
/// Headers whose value has several words.
const HEADERS: &[&str] = &["authorization", "cookie"];
/// What stands where a value would, and is none.
const NO_VALUES: &[&str] = &[
    "",
    "yes",
    "no",
    "true",
    "false",
    "null",
    "nil",
    "none",
    "undefined",
    "required",
    "invalid",
    "missing",
];
/// What tokens of well-known services begin with.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_live_",
    "sk_test_",
    "pk_live_",
    "rk_live_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "xoxs-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "npm_",
    "pypi-",
    "dop_v1_",
    "hf_",
    "whsec_",
    "shpat_",
    "tose_sk_",
    "ya29",
];
/// The fewest characters of such a token.
const MIN_TOKEN: usize = 16;
/// Addresses whose path is a secret from here on.
const SECRET_PATHS: &[&str] = &[
    "hooks.slack.com/services/",
    "/api/webhooks/",
    "/webhooks/deploy/",
    "api.telegram.org/bot",
];
/// From how many characters on letters and digits in a jumble are taken for a key.
const MIN_JUMBLE: usize = 32;

/// The parts of the text that look like credentials, in no order.
pub(super) fn find(text: &str) -> Spans {
    let mut spans = Vec::new();
    blocks(text, &mut spans);
    named(text, &mut spans);
    schemes(text, &mut spans);
    tokens(text, &mut spans);
    let mut hosts = Vec::new();
    for run in runs(text, is_of_address) {
        userinfo(text, run, &mut spans, &mut hosts);
    }
    emails(text, &hosts, &mut spans);
    for path in SECRET_PATHS {
        for (at, _) in text.match_indices(path) {
            let start = at + path.len();
            spans.push(start..start + length(&text[start..], is_of_address));
        }
    }
    spans
}

/// Keys and certificates in PEM, up to the end of the text where theirs is missing.
fn blocks(text: &str, spans: &mut Spans) {
    let mut from = 0;
    while let Some(at) = text[from..].find("-----BEGIN ") {
        let start = from + at;
        let end = text[start..].find("-----END ").map(|at| start + at + 9);
        let end = end.and_then(|name| text[name..].find("-----").map(|at| name + at + 5));
        from = end.unwrap_or(text.len());
        spans.push(start..from);
    }
}

/// Values with a name: `password=…`, `"api_key": "…"`, `Authorization: …`, `--token …`.
fn named(text: &str, spans: &mut Spans) {
    for run in runs(text, is_of_name) {
        let Some(kind) = kind(&text[run.clone()]) else {
            continue;
        };
        if let Some(value) = value_after(text, run, kind) {
            let shown = text[value.clone()].trim_end_matches([')', ']', '}', ',', ';', '.']);
            if !NO_VALUES.contains(&shown.to_ascii_lowercase().as_str()) {
                spans.push(value);
            }
        }
    }
}

/// What a name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One word.
    Word,
    /// The rest of the line.
    Header,
}

fn kind(name: &str) -> Option<Kind> {
    let lower = name.to_ascii_lowercase();
    let joined = lower.replace(['-', '_', '.'], "");
    if HEADERS.iter().any(|header| joined.ends_with(header)) {
        return Some(Kind::Header);
    }
    let last = lower.rsplit(['-', '_', '.']).next().unwrap_or_default();
    let is_key = last == "key" && last.len() < lower.len();
    let is_secret =
        NAMES.iter().any(|word| joined.contains(word)) || WHOLE_NAMES.contains(&last) || is_key;
    is_secret.then_some(Kind::Word)
}

/// Where the value of a name stands, if it has one in its line.
fn value_after(text: &str, name: Range<usize>, kind: Kind) -> Option<Range<usize>> {
    let rest = &text[name.end..];
    let after_quote = rest.trim_start_matches(['\\', '"', '\'', ']']);
    let separated = after_quote.trim_start_matches([' ', '\t']);
    let is_option = text[name.clone()].starts_with("--") && separated.len() < rest.len();
    let value = match separated.strip_prefix([':', '=']) {
        Some(value) => value.strip_prefix('>').unwrap_or(value),
        None if is_option => separated,
        None => return None,
    };
    let value = value.trim_start_matches([' ', '\t']);
    let bare = value.trim_start_matches('\\');
    let (quote, bare) = match bare.chars().next() {
        Some(quote @ ('"' | '\'' | '`')) => (Some(quote), &bare[1..]),
        _ => (None, value),
    };
    let length = match (quote, kind) {
        (Some(quote), _) => length(bare, |c| c != quote && c != '\n'),
        (None, Kind::Header) => length(bare, |c| !matches!(c, '\n' | '"' | '\'')),
        (None, Kind::Word) => length(bare, |c| !c.is_whitespace() && !matches!(c, '"' | '\'')),
    };
    let start = text.len() - bare.len();
    Some(start..start + length)
}

/// What follows `Bearer` and `Basic`.
fn schemes(text: &str, spans: &mut Spans) {
    for run in runs(text, |c| c.is_ascii_alphabetic()) {
        let word = &text[run.clone()];
        let is_basic = word.eq_ignore_ascii_case("basic");
        let Some(rest) = text[run.end..].strip_prefix(' ') else {
            continue;
        };
        if is_basic || word.eq_ignore_ascii_case("bearer") {
            let value =
                &rest[..length(rest, |c| c.is_ascii_alphanumeric() || "._~+/=-".contains(c))];
            let is_word = is_basic && value.bytes().all(|byte| byte.is_ascii_lowercase());
            if value.len() >= 8 && !is_word {
                spans.push(run.end + 1..run.end + 1 + value.len());
            }
        }
    }
}

/// Tokens by what they begin with, JWTs, and letters and digits in a jumble.
fn tokens(text: &str, spans: &mut Spans) {
    for run in runs(text, |c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        let word = &text[run.clone()];
        if let Some(at) = PREFIXES.iter().find_map(|prefix| token_in(word, prefix)) {
            spans.push(run.start + at..run.end);
        }
        if word.starts_with("eyJ") && text[run.end..].starts_with('.') {
            let is_of_jwt = |c: char| c.is_ascii_alphanumeric() || "._-=".contains(c);
            spans.push(run.start..run.end + length(&text[run.end..], is_of_jwt));
        }
        if is_jumble(word) {
            spans.push(run);
        }
    }
    for run in runs(text, |c| c.is_ascii_alphanumeric() || "+/=".contains(c)) {
        if is_jumble(&text[run.clone()]) {
            spans.push(run);
        }
    }
}

/// Where a token begins that has this prefix.
fn token_in(word: &str, prefix: &str) -> Option<usize> {
    let is_token = |at: &usize| {
        let (before, token) = word.split_at(*at);
        token.len() >= MIN_TOKEN
            && !before.ends_with(|c: char| c.is_ascii_alphanumeric())
            && token[prefix.len()..]
                .bytes()
                .any(|byte| byte.is_ascii_digit())
    };
    let mut found = word.match_indices(prefix).map(|(at, _)| at);
    found.find(is_token)
}

fn is_jumble(word: &str) -> bool {
    if word.len() < MIN_JUMBLE {
        return false;
    }
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = count(u8::is_ascii_digit);
    is_hex
        || (digits >= 2 && count(u8::is_ascii_uppercase) >= 2 && count(u8::is_ascii_lowercase) >= 2)
}

/// What stands before the `@` of an address: `user:password@host`, with a scheme or without. The place of
/// the `@` of one with a scheme is added to `hosts`: it begins no mail address.
fn userinfo(text: &str, run: Range<usize>, spans: &mut Spans, hosts: &mut Vec<usize>) {
    let word = &text[run.clone()];
    let (start, is_url) = match word.find("://") {
        Some(at) => (at + 3, true),
        None => (0, false),
    };
    let part = &word[start..];
    let Some(at) = part.rfind('@') else { return };
    let before = &part[..at];
    let colon = before.find(':');
    // The scope of a package in a path is no user: `https://host:4873/@scope/name`.
    let is_path = before.ends_with('/') || (before.contains('/') && colon.is_none());
    let from = match colon {
        _ if is_path || before.is_empty() => return,
        Some(colon) if !is_url => colon + 1,
        None if !is_url => return,
        _ => 0,
    };
    let start = run.start + start;
    spans.push(start + from..start + at);
    if is_url {
        hosts.push(start + at);
    }
}

/// `name@example.com`; versions such as `express@4.18.2` are none.
fn emails(text: &str, hosts: &[usize], spans: &mut Spans) {
    let signs = text.match_indices('@').map(|(at, _)| at);
    for at in signs.filter(|at| hosts.binary_search(at).is_err()) {
        let is_local = |c: char| c.is_alphanumeric() || "._%+-".contains(c);
        let local: usize = text[..at]
            .chars()
            .rev()
            .take_while(|c| is_local(*c))
            .map(char::len_utf8)
            .sum();
        let domain = &text[at + 1..];
        let domain = &domain[..length(domain, |c| c.is_alphanumeric() || c == '.' || c == '-')];
        let domain = domain.trim_end_matches(['.', '-']);
        let top = domain.rsplit_once('.').map_or("", |(_, top)| top);
        let is_top = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic);
        if local > 0 && is_top {
            spans.push(at - local..at + 1 + domain.len());
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn is_of_address(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// How many bytes the characters have that `text` begins with.
fn length(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|c: char| !is(c)).unwrap_or(text.len())
}

/// The longest parts that have these characters only.
fn runs(text: &str, is: impl Fn(char) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(&is)?;
        from = start + length(&text[start..], &is);
        Some(start..from)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Redactor, mask};
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(mask(text, find(text)), expected, "{text}");
    }

    #[test]
    fn values_with_a_telling_name_are_masked() {
        check("DB_PASSWORD=hunter2 PORT=1", "DB_PASSWORD=*** PORT=1");
        check(
            r#"{"apiKey": "a b", "n": 1}"#,
            r#"{"apiKey": "***", "n": 1}"#,
        );
        check(r#"{\"token\":\"a b\"}"#, r#"{\"token\":\"***"}"#);
        check("password => 'x y' end", "password => '***' end");
        check("run --token abc --port 1", "run --token *** --port 1");
        check("GET /?access_token=abc&a=1", "GET /?access_token=***");
        check(
            "Authorization: Digest a b c\nnext",
            "Authorization: ***\nnext",
        );
        check("set-cookie: a=b; Path=/", "set-cookie: ***");
        check(
            "headers: { 'x-api-key': 'k1' }",
            "headers: { 'x-api-key': '***' }",
        );
        check("STRIPE_KEY: abc", "STRIPE_KEY: ***");
        check("_auth=dXNlcg==", "_auth=***");
    }

    #[test]
    fn what_only_names_a_secret_stays() {
        for text in [
            "KeyError: 'DATABASE_PASSWORD'",
            "Access denied for user (using password: YES)",
            "password authentication failed for user postgres",
            "JWT_SECRET is not set",
            "SyntaxError: Unexpected token",
            "missing key: PORT",
            "Error: Cannot find module 'express'",
            "at /app/node_modules/.pnpm/express@4.18.2/index.js:3:1",
            "npm install @babel/core@7.1.0 from https://host:4873/@babel/core",
            "file:///app/node_modules/.pnpm/a@1.2.3/x.js",
            "listening on http://0.0.0.0:3000/path",
            "deployment 0198c0de-0000-7000-8000-000000000001",
            "Basic authentication is off",
            "größe: 12 € – done",
            "",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn tokens_are_known_by_their_looks() {
        check("with Bearer abcdefgh.1 sent", "with Bearer *** sent");
        check("basic dXNlcjpwYXNz", "basic ***");
        check("got ghp_0123456789abcdefghij!", "got ***!");
        check("key-sk_live_0123456789abcdef", "key-***");
        check("AKIAIOSFODNN7EXAMPLE", "***");
        check("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9.c2ln y", "x *** y");
        check("id 0123456789abcdef0123456789abcdef", "id ***");
        check("aws wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1", "aws ***");
        check(
            "to https://hooks.slack.com/services/T0/B0/x1 now",
            "to https://hooks.slack.com/services/*** now",
        );
    }

    #[test]
    fn addresses_lose_their_credentials() {
        check("postgres://app:a/b@c@db:5432/x", "postgres://***@db:5432/x");
        check("https://t0k3n@github.com/a/b", "https://***@github.com/a/b");
        check("app:pw@tcp(db:3306)/shop", "app:***@tcp(db:3306)/shop");
        check("mail to ada.l@example.co.uk, please", "mail to ***, please");
    }

    #[test]
    fn keys_in_pem_are_masked_with_all_their_lines() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nabc=\n-----END RSA PRIVATE KEY-----";
        check(&format!("a\n{key}\nb {key} c"), "a\n***\nb *** c");
        check("a\n-----BEGIN PRIVATE KEY-----\nMIIB\nrest", "a\n***");
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_a_rule(text in "\\PC*", glue in "[-:=@/\"'\\\\ a-zé\n]*") {
            let redactor = Redactor::new(std::iter::empty());
            redactor.apply(&text);
            redactor.apply(&format!("password{glue}://{text}@{glue}Bearer {text}"));
        }
    }
}

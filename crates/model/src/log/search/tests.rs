//! What searches find, and what they refuse.

use proptest::prelude::*;

use super::*;

fn finds(search: &str, line: &str) -> bool {
    let search = Search::parse(search).expect("a search");
    search.finds(line.as_bytes(), line.to_ascii_lowercase().as_bytes())
}

#[test]
fn words_and_phrases_are_found_whole() {
    let cases = [
        ("", "anything", true),
        ("timeout", "a Timeout: 3 s", true),
        ("timeout", "timeouts", false),
        ("time*", "timeouts", true),
        ("*out", "the timeout", true),
        ("*meou*", "timeouts", true),
        ("*meou", "timeouts", false),
        ("refused timeout", "timeout, refused", true),
        ("refused timeout", "refused", false),
        ("\"connection refused\"", "Connection refused (111)", true),
        ("\"connection refused\"", "connection was refused", false),
        ("connection-refused", "x connection-refused y", true),
        ("/api/orders", "GET /api/orders/7", true),
        ("/api/order", "GET /api/orders/7", false),
        ("-healthz", "GET /healthz", false),
        ("-healthz", "GET /", true),
        ("GET -\"/healthz\"", "GET /orders", true),
        ("- x", "a - x", true),
        ("-", "a - b", true),
        ("http://a.example", "to http://a.example/x", true),
        ("12:30:01", "at 12:30:01.5", true),
        ("std::io", "in std::io::Error", true),
        ("Error:", "Error: no", true),
        ("\"say \\\"hi\\\"\"", "they say \"hi\" to", true),
        ("xin chào", "Xin chào bạn", true),
        ("chào", "chàos", false),
    ];
    for (search, line, expected) in cases {
        assert_eq!(finds(search, line), expected, "{search} in {line}");
    }
}

#[test]
fn regular_expressions_match_a_part_of_the_line_as_it_stands() {
    let cases = [
        (r#"~"took [0-9]{4,} ms""#, "GET / took 1234 ms", true),
        (r#"~"took [0-9]{4,} ms""#, "GET / took 123 ms", false),
        (r#"~"^GET""#, "GET /", true),
        (r#"~"^GET""#, "a GET /", false),
        (r#"~"error""#, "ERROR", false),
        (r#"~"(?i)error""#, "ERROR", true),
        (r#"~"(a|b)+\.txt""#, "abba.txt", true),
        (r#"~"\d\s\"x\"""#, "7 \"x\"", true),
        (r#"-~"health(z|check)""#, "GET /healthcheck", false),
        (r#"GET ~"5\d\d$""#, "GET / 503", true),
        (r#"~"chào$""#, "xin chào", true),
    ];
    for (search, line, expected) in cases {
        assert_eq!(finds(search, line), expected, "{search} in {line}");
    }
    // What an expression needs lets blocks be passed over without it.
    let text = |search: &str| {
        let search = Search::parse(search).expect("a search");
        let needle = search.required_text().map(|text| text.needle().to_vec());
        needle.map(|text| String::from_utf8(text).expect("text"))
    };
    assert_eq!(
        text(r#"~"Took ([0-9]+) milliseconds""#).as_deref(),
        Some(" milliseconds")
    );
    assert_eq!(text(r#"~"a|b""#), None);
    assert_eq!(text(r#"~"(?i)error""#), None);
    assert_eq!(text(r#"-~"error""#), None);
    for refused in [r#"~"(""#, r#"~"a{1000}{1000}""#, r#"~"x"#] {
        assert!(Search::parse(refused).is_err(), "{refused}");
    }
}

#[test]
fn fields_of_json_and_logfmt_are_compared() {
    let json = r#"{"level":"Error","status":503,"user":{"id":7,"name":"An Bình"},"path":"/api/a b","tags":["x","y"],"a.b":1,"none":null}"#;
    let logfmt = r#"time=1 level=warn msg="not \"found\" here" took=1.5"#;
    let cases = [
        ("status:503", json, true),
        ("status:50", json, false),
        ("status:>=500", json, true),
        ("status:>503", json, false),
        ("status:<=503 status:<504", json, true),
        ("level:error", json, true),
        ("user.id:7", json, true),
        ("user.name:\"an Bình\"", json, true),
        ("user:*", json, true),
        ("user:7", json, false),
        ("a.b:1", json, true),
        ("path:/api/*", json, true),
        ("tags:y", json, true),
        ("tags:z", json, false),
        ("none:null none:*", json, true),
        ("missing:*", json, false),
        ("-missing:*", json, true),
        ("-status:503", json, false),
        ("level:warn", logfmt, true),
        ("msg:\"not \\\"found\\\" here\"", logfmt, true),
        ("took:>1", logfmt, true),
        ("level:warn", "level is warn", false),
    ];
    for (search, line, expected) in cases {
        assert_eq!(finds(search, line), expected, "{search} in {line}");
    }
}

#[test]
fn a_search_that_cannot_be_meant_is_told_why() {
    for (search, problem) in [
        ("\"open", "a quotation mark that is not closed"),
        ("*", "a term without text"),
        ("\"\"", "a term without text"),
        ("status:>abc", "\"abc\", which is no number"),
        (&"a ".repeat(33), "at most 32 terms"),
        (&"x".repeat(501), "at most 500 characters"),
    ] {
        let error = Search::parse(search).expect_err(search);
        assert!(error.contains(problem), "{error}");
    }
}

/// Searches and lines made of the same few pieces, so that some of them meet.
fn pieces(separators: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "error",
        "Err",
        "7",
        "a_b",
        "é",
        "\\n",
        "\"",
        "status",
        ":",
        "=",
        "*",
        "-",
        "/api",
        "{",
        "}",
        ",",
        "~\"7+ ?err\"",
        "~\"a_b[7é]*\"",
        "~\"(?i)ERR(or)?\"",
    ]);
    let separator = proptest::sample::select(separators.to_vec());
    proptest::collection::vec((piece, separator), 0..10)
        .prop_map(|pairs| pairs.into_iter().flat_map(|(a, b)| [a, b]).collect())
}

proptest! {
    #[test]
    fn what_is_found_has_the_required_words_and_text(
        search in pieces(&["", "", " "]),
        line in pieces(&["", " ", "\":\"", "="]),
    ) {
        let Ok(search) = Search::parse(&search) else { return Ok(()) };
        let lower = line.to_ascii_lowercase();
        if search.finds(line.as_bytes(), lower.as_bytes()) {
            let present: Vec<_> = words(lower.as_bytes()).collect();
            for word in search.required_words() {
                prop_assert!(present.contains(&&*word), "{:?} in {line}", String::from_utf8_lossy(&word));
            }
            if let Some(text) = search.required_text() {
                prop_assert!(text.find(lower.as_bytes()).is_some());
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_or_the_test_panic(search in ".{0,60}", line in ".{0,60}") {
        if let Ok(search) = Search::parse(&search) {
            search.finds(line.as_bytes(), line.to_ascii_lowercase().as_bytes());
        }
    }
}

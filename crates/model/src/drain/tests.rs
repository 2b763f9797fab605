//! Tests of what a batch looks like.

use serde_json::{Value, json};
use tose_api::Timestamp;

use super::*;

fn origin() -> Origin {
    Origin {
        workspace: "demo".parse().expect("a slug"),
        project: "shop".parse().expect("a slug"),
    }
}

fn line(seq: u64, source: LogSource, text: &[u8]) -> DrainLine {
    DrainLine {
        seq,
        level: None,
        line: LogLine {
            time: Timestamp::from_nanos(1_767_225_600_123_456_789),
            source,
            pod: "shop-1-a".into(),
            text: text.to_vec(),
        },
    }
}

fn lines() -> Vec<DrainLine> {
    vec![
        line(7, LogSource::Stdout, b"hello"),
        line(8, LogSource::Stderr, b"bad \xff\n\"x\""),
    ]
}

fn body(kind: DrainKind) -> Value {
    serde_json::from_slice(&encode(kind, &origin(), None, &lines())).expect("JSON")
}

#[test]
fn syslog_messages_are_counted_and_carry_level_origin_and_number() {
    let plain = encode(DrainKind::Syslog, &origin(), None, &lines());
    let first =
        "<14>1 2026-01-01T00:00:00.123456Z demo shop shop-1-a stdout [meta sequenceId=\"7\"] hello";
    let second =
        "<12>1 2026-01-01T00:00:00.123456Z demo shop shop-1-a stderr [meta sequenceId=\"8\"] bad ";
    let mut expected = format!("{} {first}", first.len()).into_bytes();
    expected.extend_from_slice(format!("{} {second}", second.len() + 5).as_bytes());
    expected.extend_from_slice(b"\xff\n\"x\"");
    assert_eq!(plain, expected);
    let element = Some("t0ken@41058 tag=\"a\"");
    let tested = encode(
        DrainKind::Syslog,
        &origin(),
        element,
        &[line(0, LogSource::System, b"")],
    );
    let text = String::from_utf8(tested).expect("text");
    assert!(text.ends_with(" system [t0ken@41058 tag=\"a\"] "), "{text}");
}

#[test]
fn the_level_that_a_line_names_goes_before_the_source_that_it_came_by() {
    for (named, source, priority, number) in [
        (Some(LogLevel::Error), LogSource::Stdout, "<11>", 17),
        (Some(LogLevel::Debug), LogSource::Stderr, "<15>", 5),
        (Some(LogLevel::Info), LogSource::Stderr, "<14>", 9),
        (None, LogSource::Stderr, "<12>", 13),
        (None, LogSource::System, "<14>", 9),
    ] {
        let mut line = line(1, source, b"x");
        line.level = named;
        let lines = [line];
        let message = encode(DrainKind::Syslog, &origin(), None, &lines);
        let message = String::from_utf8(message).expect("text");
        assert!(message.contains(priority), "{message}");
        let request = encode(DrainKind::Otlp, &origin(), None, &lines);
        let request: Value = serde_json::from_slice(&request).expect("JSON");
        let record = &request["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(record["severityNumber"], number);
    }
}

#[test]
fn sequence_ids_stay_in_their_range() {
    for (seq, id) in [
        (1, "1"),
        (2_147_483_647, "2147483647"),
        (2_147_483_648, "1"),
    ] {
        let lines = [line(seq, LogSource::Stdout, b"")];
        let text = encode(DrainKind::Syslog, &origin(), None, &lines);
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains(&format!("\"{id}\"")), "{text}");
    }
}

#[test]
fn elements_of_structured_data_are_told_from_what_would_break_out_of_one() {
    for good in [
        "t0ken@41058",
        "a",
        "x@1 k=\"v\"",
        "x@1 k=\"a b\\\"\\]\" l=\"\"",
    ] {
        assert!(is_element(good), "{good}");
    }
    for bad in [
        "",
        " ",
        "a]",
        "a\"",
        "a b",
        "a k=v",
        "a k=\"v",
        "a k=\"]\"",
        "a k=\"v\"x",
        "a k=\"v\" ",
        "meta",
        "meta x=\"1\"",
        "a k=\"\\n\"",
        "a\nb",
        "a k=\"\n\"",
        "a  k=\"v\"",
    ] {
        assert!(!is_element(bad), "{bad}");
    }
}

#[test]
fn plain_json_is_an_array_of_lines() {
    let expected = json!([
        {"seq": 7, "timestamp": "2026-01-01T00:00:00.123456789Z", "workspace": "demo", "project": "shop",
         "pod": "shop-1-a", "stream": "stdout", "level": "info", "message": "hello"},
        {"seq": 8, "timestamp": "2026-01-01T00:00:00.123456789Z", "workspace": "demo", "project": "shop",
         "pod": "shop-1-a", "stream": "stderr", "level": "warn", "message": "bad \u{fffd}\n\"x\""},
    ]);
    assert_eq!(body(DrainKind::Http), expected);
}

#[test]
fn loki_gets_a_stream_for_each_pod_and_source_with_nanoseconds_as_texts() {
    let labels = |stream: &str| json!({"project": "shop", "workspace": "demo", "pod": "shop-1-a", "stream": stream});
    let expected = json!({"streams": [
        {"stream": labels("stderr"), "values": [["1767225600123456789", "bad \u{fffd}\n\"x\""]]},
        {"stream": labels("stdout"), "values": [["1767225600123456789", "hello"]]},
    ]});
    assert_eq!(body(DrainKind::Loki), expected);
}

#[test]
fn otlp_names_the_service_and_each_lines_severity() {
    let request = body(DrainKind::Otlp);
    let logs = &request["resourceLogs"][0];
    let attributes = json!([
        {"key": "service.name", "value": {"stringValue": "shop"}},
        {"key": "service.namespace", "value": {"stringValue": "demo"}},
    ]);
    assert_eq!(logs["resource"]["attributes"], attributes);
    let expected = json!({
        "timeUnixNano": "1767225600123456789", "severityNumber": 9, "severityText": "INFO",
        "body": {"stringValue": "hello"},
        "attributes": [
            {"key": "tose.pod", "value": {"stringValue": "shop-1-a"}},
            {"key": "tose.stream", "value": {"stringValue": "stdout"}},
            {"key": "tose.seq", "value": {"intValue": "7"}},
        ],
    });
    let records = &logs["scopeLogs"][0]["logRecords"];
    assert_eq!(records[0], expected);
    assert_eq!(records[1]["severityNumber"], 13);
}

#[test]
fn pauses_double_up_to_five_minutes_and_are_up_to_a_quarter_shorter() {
    let seconds = |failures| pause_after(failures, 0).as_secs();
    let full: Vec<u64> = [1, 2, 3, 9, 10, 4_000_000_000].map(seconds).to_vec();
    assert_eq!(full, [1, 2, 4, 256, 300, 300]);
    assert_eq!(pause_after(10, 255).as_secs(), 225);
    assert!(pause_after(10, 128) < pause_after(10, 127));
}

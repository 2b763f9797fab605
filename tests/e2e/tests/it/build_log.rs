//! Build logs, read by a client that was not written for us.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tose_e2e::{Installation, Line, Source, read_socket};

fn messages(events: &[Value]) -> Vec<&str> {
    let texts = events.iter().filter_map(|event| event["message"].as_str());
    texts.collect()
}

#[tokio::test]
async fn the_ws_packages_own_example_reads_a_build_log_to_its_end() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    let url = site.api().socket_url(&project.path("/build-logs"));
    let events = read_socket(&url, Some(&site.api().key)).await;

    assert_eq!(events.first(), Some(&json!({"open": true})));
    assert_eq!(events.last(), Some(&json!({"close": 1000})));
    let is_text = |event: &Value| event["isBinary"] != json!(true);
    assert!(events.iter().all(is_text), "{events:#?}");
    let messages = messages(&events);
    let (end, lines) = messages.split_last().expect("there are messages");
    assert_eq!(*end, "[END]");
    let lines: Vec<Line> = lines.iter().map(|frame| Line::parse(frame)).collect();
    let position = |words: &str| {
        let found = lines.iter().position(|line| line.text.contains(words));
        found.unwrap_or_else(|| panic!("no {words:?} in {lines:#?}"))
    };
    assert_eq!(
        position(&format!("cloning {}", project.repository.url())),
        0
    );
    let steps = [
        "building commit",
        "FROM python:3.12-slim",
        "COPY . .",
        "live at ",
    ];
    let positions = steps.map(position);
    assert!(positions.is_sorted(), "{positions:?} in {lines:#?}");
    assert_eq!(positions[3], lines.len() - 1);
}

#[tokio::test]
async fn a_build_log_is_followed_while_the_build_runs() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one").gated()).await;
    project.deploy().await;
    let gate = site.at_the_gate().await;
    let url = site.api().socket_url(&project.path("/build-logs"));
    let key = site.api().key.clone();
    let reading = read_socket(&url, Some(&key));
    let opening = site.open_gate(&gate);
    let (events, ()) = tokio::join!(reading, opening);
    let messages = messages(&events);
    let has = |words: &str| messages.iter().any(|message| message.ends_with(words));
    assert!(has(" waiting at the gate"), "{messages:#?}");
    assert!(has(" through the gate"), "{messages:#?}");
    assert_eq!(messages.last(), Some(&"[END]"));
    assert_eq!(events.last(), Some(&json!({"close": 1000})));
}

#[tokio::test]
async fn a_key_opens_a_socket_from_header_or_query_and_is_written_down_nowhere() {
    let Some(site) = Installation::start_with("[log]\nlevel = \"debug\"").await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    let url = site.api().socket_url(&project.path("/build-logs"));
    let key = &site.api().key;
    let wrong = format!("tose_sk_{}", "0".repeat(40));

    let events = read_socket(&format!("{url}?api_key={key}"), None).await;
    assert_eq!(messages(&events).last(), Some(&"[END]"));
    assert_eq!(events.last(), Some(&json!({"close": 1000})));
    let refused = json!({"refused": 401});
    for (url, key) in [
        (url.clone(), None),
        (url.clone(), Some(wrong.as_str())),
        (format!("{url}?api_key={wrong}"), None),
    ] {
        let events = read_socket(&url, key).await;
        assert!(events.contains(&refused), "{events:?}");
        assert!(!events.contains(&json!({"open": true})), "{events:?}");
    }

    assert!(!site.output().contains(key.as_str()));
    assert_holds_not(&site.data_dir(), key);
}

fn assert_holds_not(folder: &Path, secret: &str) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            assert_holds_not(&path, secret);
        } else if path.is_file() {
            let bytes = fs::read(&path).expect("a file");
            let has = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!has, "{} holds the key", path.display());
        }
    }
}

//! `…/projects/:project_slug/logs`, `/logs/download` and `/logs/stats`.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use reqwest::Method;
use serde_json::{Value, json};
use tose_model::traffic::AccessRecord;
use tose_testkit::{Act, Program};

use crate::harness::{Client, Lab, eventually};
use crate::log_socket::read;

/// A project that has printed these lines: with `!` to standard error.
async fn printed(lab: &Lab, lines: &[&str]) -> Client {
    let owner = lab.owner("demo").await;
    let mut acts: Vec<_> = lines
        .iter()
        .map(|line| match line.strip_prefix('!') {
            Some(line) => Act::print_err(line),
            None => Act::print(line),
        })
        .collect();
    acts.push(Act::Serve { status: 200 });
    lab.driver.add_image("app:1", Program::new(acts));
    owner.project("shop", "app:1").await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    eventually("every line is stored", async || {
        let answer = owner.get("projects/shop/logs?limit=5000").await;
        let stored = answer.data()["lines"].as_array().map_or(0, Vec::len);
        if stored == lines.len() {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    })
    .await;
    owner
}

fn messages(lines: &Value) -> Vec<&str> {
    let lines = lines.as_array().expect("a list");
    lines
        .iter()
        .map(|line| line["message"].as_str().expect("a text"))
        .collect()
}

async fn find(owner: &Client, query: &str) -> Vec<String> {
    let answer = owner.get(&format!("projects/shop/logs?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let lines = &answer.data()["lines"];
    messages(lines).into_iter().map(str::to_owned).collect()
}

const LINES: [&str; 5] = [
    r#"{"level":"info","msg":"ready","port":8080}"#,
    "!Error: connection refused",
    "!    at connect (db.js:7:3)",
    "GET /healthz 200",
    r#"{"level":"warn","msg":"slow","status":503}"#,
];

#[tokio::test]
async fn lines_are_found_by_words_fields_level_source_and_pod() {
    let lab = Lab::start().await;
    let owner = printed(&lab, &LINES).await;
    let cases: [(&str, &[usize]); 11] = [
        ("", &[4, 3, 2, 1, 0]),
        ("direction=forward", &[0, 1, 2, 3, 4]),
        ("limit=2", &[4, 3]),
        ("search=refused", &[1]),
        ("search=%22connection%20refused%22", &[1]),
        ("search=-healthz%20-msg:*", &[2, 1]),
        ("search=status:%3E%3D500", &[4]),
        ("level=error", &[2, 1]),
        ("level=warn", &[4, 2, 1]),
        ("source=stderr&search=at", &[2]),
        ("search=connect*&level=error", &[2, 1]),
    ];
    for (query, expected) in cases {
        let expected: Vec<_> = expected
            .iter()
            .map(|index| LINES[*index].trim_start_matches('!'))
            .collect();
        assert_eq!(find(&owner, query).await, expected, "{query}");
    }
    let answer = owner.get("projects/shop/logs?search=slow").await;
    let line = &answer.data()["lines"][0];
    assert_eq!(
        (&line["level"], &line["stream"]),
        (&json!("warn"), &json!("stdout"))
    );
    let pod = line["pod"].as_str().expect("a name");
    assert_eq!(find(&owner, &format!("pod={pod}")).await.len(), 5);
    assert!(find(&owner, "pod=another").await.is_empty());
    let time = line["timestamp"].as_str().expect("a time");
    assert!(
        find(&owner, &format!("end={time}&search=slow"))
            .await
            .is_empty()
    );
    assert_eq!(
        find(&owner, &format!("start={time}&search=slow"))
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn pages_have_every_line_once_in_both_directions() {
    let lab = Lab::start().await;
    let lines: Vec<String> = (0..25).map(|number| format!("line {number}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let owner = printed(&lab, &lines).await;
    for direction in ["forward", "backward"] {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("projects/shop/logs?limit=7&direction={direction}{cursor}");
            let answer = owner.get(&path).await;
            let page = messages(&answer.data()["lines"]);
            assert!(page.len() <= 7);
            found.extend(page.into_iter().map(str::to_owned));
            match answer.data()["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        if direction == "backward" {
            found.reverse();
        }
        assert_eq!(found, lines, "{direction}");
    }
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_told_why() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    for (query, field) in [
        ("limit=0", Some("limit")),
        ("limit=5001", Some("limit")),
        ("search=%22open", Some("search")),
        (&format!("pod={}", "x".repeat(256)), Some("pod")),
        (
            "start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z",
            Some("end"),
        ),
        ("level=loud", None),
        ("direction=up", None),
        ("cursor=x", None),
        ("cursor=9007199254740992", Some("cursor")),
    ] {
        for route in ["logs", "logs/download"] {
            let answer = owner.get(&format!("projects/shop/{route}?{query}")).await;
            assert_eq!(answer.status, 400, "{query}: {answer:?}");
            if let Some(field) = field {
                assert!(answer.body["fields"][field].is_string(), "{answer:?}");
            }
        }
    }
    let answer = owner.get("projects/shop/logs").await;
    assert_eq!(*answer.data(), json!({"lines": [], "cursor": null}));
}

async fn download(lab: &Lab, query: &str, key: Option<&str>) -> (u16, String) {
    let url = format!(
        "http://{}/api/workspaces/demo/projects/shop/logs/download?{query}",
        lab.api_addr()
    );
    let mut request = reqwest::Client::new().request(Method::GET, url);
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.expect("a body");
    let mut text = String::new();
    if status == 200 {
        let read = MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text);
        read.expect("a whole file");
    }
    (status, text)
}

#[tokio::test]
async fn a_download_has_what_is_found_the_oldest_first() {
    let lab = Lab::start().await;
    let owner = printed(&lab, &LINES).await;
    lab.clock.advance(std::time::Duration::from_secs(60));
    let key = owner.key.as_deref().expect("a key");
    let (status, text) = download(&lab, "", Some(key)).await;
    assert_eq!(status, 200);
    let texts: Vec<_> = text
        .lines()
        .map(|line| line.splitn(3, ' ').nth(2).expect("time, pod, text"))
        .collect();
    let expected: Vec<_> = LINES
        .iter()
        .map(|line| line.trim_start_matches('!'))
        .collect();
    assert_eq!(texts, expected);
    // A browser's link carries the key in its address.
    let link = format!("api_key={key}&search=refused&format=json");
    let (status, text) = download(&lab, &link, None).await;
    assert_eq!(status, 200);
    let line: Value = serde_json::from_str(&text).expect("one line");
    assert_eq!(line["message"], "Error: connection refused");
    assert_eq!(line["level"], "error");
    assert_eq!(download(&lab, "", None).await.0, 401);
    assert_eq!(download(&lab, "search=nowhere", Some(key)).await.1, "");
}

#[tokio::test]
async fn stats_count_lines_bytes_and_errors_of_each_day() {
    let lab = Lab::start().await;
    let owner = printed(&lab, &LINES).await;
    let answer = owner.get("projects/shop/logs/stats").await;
    let stats = answer.data();
    let bytes: usize = LINES
        .iter()
        .map(|line| line.trim_start_matches('!').len())
        .sum();
    assert_eq!(stats["lines"], 5);
    assert_eq!(stats["bytes"], bytes);
    assert!(stats["stored_bytes"].as_u64().expect("a number") > 0);
    let days = json!([{"start": "2026-01-01T00:00:00Z", "lines": 5, "bytes": bytes, "errors": 2}]);
    assert_eq!(stats["days"], days);
}

#[tokio::test]
async fn a_live_log_can_be_narrowed_down() {
    let lab = Lab::start().await;
    let owner = printed(&lab, &LINES).await;
    let texts = async |query: &str| {
        let path = format!("live-logs?follow=false&{query}");
        let (lines, code) = read(&lab, &path, owner.key.as_deref())
            .await
            .expect("a log");
        assert_eq!(code, 1000);
        let text = |line: &String| line.split_once(' ').map(|(_, text)| text.to_owned());
        lines.iter().filter_map(text).collect::<Vec<_>>()
    };
    assert_eq!(texts("level=error").await, [&LINES[1][1..], &LINES[2][1..]]);
    assert_eq!(texts("level=error&tail=1").await, [&LINES[2][1..]]);
    assert_eq!(texts("search=healthz&source=stdout").await, [LINES[3]]);
    assert!(texts("search=nowhere").await.is_empty());
    let refused = read(&lab, "live-logs?search=%22open", owner.key.as_deref()).await;
    assert_eq!(refused, Err(400));
}

#[tokio::test]
async fn a_flood_is_capped_and_says_how_many_lines_are_left_out() {
    let lab = Lab::start_with(|config| config.limits.log_bytes_per_second = 1 << 10).await;
    let owner = lab.owner("demo").await;
    let acts = vec![Act::Count { lines: 2000 }, Act::Serve { status: 200 }];
    lab.driver.add_image("app:1", Program::new(acts));
    owner.project("shop", "app:1").await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    // What was left out is told when the output ends.
    owner.post("projects/shop/stop", json!({})).await;
    let note = eventually("the platform says so", async || {
        let found = find(&owner, "source=system&limit=5000").await;
        let note = found.iter().find(|text| text.contains("left out"));
        note.cloned().ok_or(format!("{found:?}"))
    })
    .await;
    let left_out: usize = note
        .split(' ')
        .next()
        .expect("a word")
        .parse()
        .expect("a number");
    let kept = find(&owner, "source=stdout&limit=5000&direction=forward").await;
    assert_eq!(kept.len() + left_out, 2000);
    let expected: Vec<_> = (0..kept.len())
        .map(|number| format!("line {number}"))
        .collect();
    assert_eq!(kept, expected);
    assert!((300..500).contains(&kept.len()), "{} lines", kept.len());
}

#[tokio::test]
async fn many_searches_at_once_are_all_answered() {
    let lab = Lab::start().await;
    let owner = printed(&lab, &LINES).await;
    let searches = (0..40).map(|_| find(&owner, "search=refused"));
    let found = futures_util::future::join_all(searches).await;
    assert!(found.iter().all(|lines| lines.len() == 1));
}

/// Who connects again asks for what came since the last line that was seen; of two replicas one may be late.
#[tokio::test]
async fn a_live_log_since_a_time_has_older_lines_that_came_later() {
    let lab = Lab::start().await;
    let owner = printed(&lab, &["first"]).await;
    let answer = owner.get("projects/shop/logs").await;
    let first = answer.data()["lines"][0]["timestamp"].clone();
    let first: tose_api::Timestamp = serde_json::from_value(first).expect("a time");
    let shop = owner.get("projects/shop").await;
    let record = AccessRecord {
        project_id: serde_json::from_value(shop.data()["id"].clone()).expect("an id"),
        ended_us_ago: 5_000_000,
        address: [203, 0, 113, 9].into(),
        method: "GET".to_owned(),
        host: "demo-shop.localhost".to_owned(),
        path: "/second".to_owned(),
        status: 200,
        sent_bytes: 5,
        took_us: 1_500,
        referer: None,
        user_agent: None,
    };
    lab.data_plane
        .records
        .lock()
        .expect("no panic")
        .push(record);
    let domains = owner.get("projects/shop/domains").await;
    let domain = domains.data()[0]["id"].as_str().expect("an id").to_owned();
    let settings = format!("projects/shop/domains/{domain}/settings");
    owner.put(&settings, json!({"access_log": true})).await;
    eventually("the second line is stored", async || {
        let found = find(&owner, "search=second").await;
        if found.is_empty() {
            Err("not yet".to_owned())
        } else {
            Ok(())
        }
    })
    .await;
    let path = format!("live-logs?follow=false&since={first}");
    let (lines, _) = read(&lab, &path, owner.key.as_deref())
        .await
        .expect("a log");
    assert!(
        lines[0].ends_with(" first") && lines[1].contains("/second"),
        "{lines:?}"
    );
}

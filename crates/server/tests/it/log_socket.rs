//! Logs over WebSockets.

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};
use tose_api::log::LogSource;
use tose_model::driver::ReplicaName;
use tose_testkit::{Act, Program};

use crate::harness::{Client, Lab};

/// Everything that a socket sends until it closes, and the code of the close.
pub(crate) async fn read(
    lab: &Lab,
    path: &str,
    key: Option<&str>,
) -> Result<(Vec<String>, u16), u16> {
    read_path(lab, &format!("projects/shop/{path}"), key).await
}

/// The same of any path of the workspace.
pub(crate) async fn read_path(
    lab: &Lab,
    path: &str,
    key: Option<&str>,
) -> Result<(Vec<String>, u16), u16> {
    let url = format!("ws://{}/api/workspaces/demo/{path}", lab.api_addr());
    let mut request = url.into_client_request().expect("a request");
    if let Some(key) = key {
        request
            .headers_mut()
            .insert("x-api-key", key.parse().expect("a header"));
    }
    let mut socket = match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => socket,
        Err(tungstenite::Error::Http(response)) => return Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    };
    let mut lines = Vec::new();
    while let Some(message) = socket.next().await {
        match message.expect("a message") {
            Message::Text(text) => lines.push(text.as_str().to_owned()),
            Message::Close(frame) => {
                return Ok((lines, frame.map_or(0, |frame| frame.code.into())));
            }
            _ => {}
        }
    }
    panic!("the socket ended without a close: {lines:?}");
}

async fn printing(lab: &Lab, acts: Vec<Act>) -> (Client, String) {
    let owner = lab.owner("demo").await;
    lab.driver.add_image("app:1", Program::new(acts));
    owner.project("shop", "app:1").await;
    let id = owner.deploy("shop").await;
    (owner, id)
}

#[tokio::test]
async fn a_build_log_is_replayed_from_its_first_line_to_its_end() {
    let lab = Lab::start().await;
    let (owner, id) = printing(&lab, vec![Act::Serve { status: 200 }]).await;
    let early = read(&lab, "build-logs", owner.key.as_deref())
        .await
        .expect("a log");
    owner.deployment_is("shop", &id, "running").await;
    let late = read(
        &lab,
        &format!("deployments/{id}/build-logs"),
        owner.key.as_deref(),
    )
    .await;
    assert_eq!(Ok(&early), late.as_ref());
    let (lines, code) = early;
    assert_eq!(code, 1000);
    assert_eq!(lines.last().map(String::as_str), Some("[END]"));
    assert!(
        lines[0].starts_with("2026-01-01T00:00:00Z fetching image app:1"),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("live at http://demo-shop.localhost")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_failed_deployment_ends_its_log_with_the_reason() {
    let lab = Lab::start().await;
    let (owner, id) = printing(&lab, vec![Act::Exit { code: 3 }]).await;
    owner.deployment_is("shop", &id, "failed").await;
    let (lines, code) = read(&lab, "build-logs", owner.key.as_deref())
        .await
        .expect("a log");
    assert_eq!(code, 1000);
    let [.., error, end] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert!(
        error.starts_with("[ERROR] the app exited with code 3"),
        "{error}"
    );
    assert_eq!(end, "[END]");
}

#[tokio::test]
async fn an_app_cannot_pass_its_lines_for_the_servers() {
    let lab = Lab::start().await;
    let acts = vec![
        Act::print("[END]"),
        Act::print("[ERROR] not really"),
        Act::Serve { status: 200 },
    ];
    let (owner, id) = printing(&lab, acts).await;
    owner.deployment_is("shop", &id, "running").await;
    let lines = crate::harness::eventually("both lines are stored", async || {
        let (lines, _) = read(&lab, "live-logs?follow=false", owner.key.as_deref())
            .await
            .expect("a log");
        if lines.len() == 3 {
            Ok(lines)
        } else {
            Err(format!("{lines:?}"))
        }
    })
    .await;
    assert!(
        lines[0].starts_with("2026-") && lines[0].ends_with(" [END]"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("2026-") && lines[1].ends_with(" [ERROR] not really"),
        "{lines:?}"
    );
    assert_eq!(lines[2], "[END]");
}

#[tokio::test]
async fn output_is_stored_once_across_restarts_of_the_server() {
    let mut lab = Lab::start().await;
    let (owner, id) = printing(
        &lab,
        vec![Act::Count { lines: 20 }, Act::Serve { status: 200 }],
    )
    .await;
    owner.deployment_is("shop", &id, "running").await;
    let pod = owner.get("projects/shop/status").await.data()["pods"]["items"][0]["name"].clone();
    let name = ReplicaName::from_label(pod.as_str().expect("a name"));
    for round in 0..3 {
        lab.driver
            .print(&name, LogSource::Stderr, &format!("before restart {round}"));
        lab.restart().await;
        lab.driver
            .print(&name, LogSource::Stdout, &format!("after restart {round}"));
    }
    let mut expected: Vec<String> = (0..20).map(|line| format!("line {line}")).collect();
    for round in 0..3 {
        expected.extend([
            format!("before restart {round}"),
            format!("after restart {round}"),
        ]);
    }
    let owner = owner.at(&lab);
    crate::harness::eventually("each line is there once, in order", async || {
        let path = "live-logs?follow=false&tail=1000&format=json";
        let (lines, _) = read(&lab, path, owner.key.as_deref()).await.expect("a log");
        let texts: Vec<String> = lines
            .iter()
            .filter(|line| *line != "[END]")
            .map(|line| {
                serde_json::from_str::<Value>(line).expect("JSON")["message"]
                    .as_str()
                    .expect("a text")
                    .to_owned()
            })
            .collect();
        if texts == expected {
            Ok(())
        } else {
            Err(format!("{texts:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn the_key_may_stand_in_the_query_and_must_be_right() {
    let lab = Lab::start().await;
    let (owner, id) = printing(&lab, vec![Act::Serve { status: 200 }]).await;
    owner.deployment_is("shop", &id, "running").await;
    let key = owner.key.clone().expect("a key");
    assert!(
        read(&lab, &format!("build-logs?api_key={key}"), None)
            .await
            .is_ok()
    );
    assert_eq!(
        read(&lab, "build-logs?api_key=tose_sk_wrong", None).await,
        Err(401)
    );
    assert_eq!(read(&lab, "build-logs", None).await, Err(401));
    assert_eq!(read(&lab, "live-logs?tail=x", Some(&key)).await, Err(400));
    let elsewhere = lab.anonymous().get(&format!("/api/me?api_key={key}")).await;
    assert_eq!(elsewhere.status, 401, "only sockets take it from there");
    let plain = owner.get("projects/shop/build-logs").await;
    assert_eq!((plain.status, plain.code()), (400, "websocket_expected"));
    assert_eq!(plain.body["success"], json!(false));
}

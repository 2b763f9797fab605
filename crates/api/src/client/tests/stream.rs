//! What goes over WebSockets.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::exec::{ExecControl, ExecEvent};

/// Takes one request, makes a WebSocket of it, and answers its head.
async fn accept_socket(listener: &TcpListener) -> (WebSocketStream<TcpStream>, String) {
    let (mut connection, head) = accept(listener).await;
    let nonce = head
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let accepted = derive_accept_key(nonce.expect("a nonce").as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accepted}\r\n\r\n"
    );
    connection
        .write_all(answer.as_bytes())
        .await
        .expect("the client reads");
    let socket = WebSocketStream::from_raw_socket(connection, Role::Server, None).await;
    (socket, head)
}

#[tokio::test]
async fn a_stream_carries_lines_up_to_its_end() {
    let (listener, client) = listen().await;
    let server = async {
        let (mut socket, head) = accept_socket(&listener).await;
        for frame in [
            "2026-01-01T00:00:00Z [END]",
            "[ERROR] skipped 3 lines",
            "[END]",
        ] {
            socket
                .send(Message::text(frame))
                .await
                .expect("the client reads");
        }
        socket.close(None).await.expect("the client reads");
        head
    };
    let (workspace, project) = (slug("demo"), slug("hello"));
    let since = Timestamp::from_nanos(0);
    let query = LogQuery {
        tail: Some(5),
        since: Some(since),
        follow: false,
        format: LogFormat::Json,
    };
    let client = async {
        let mut stream = client
            .stream_live_logs(&workspace, &project, query, &LogFilter::default())
            .await
            .expect("a stream");
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event.expect("an event"));
        }
        events
    };
    let (head, events) = tokio::join!(server, client);
    let path = "/api/workspaces/demo/projects/hello/live-logs";
    let parameters = "tail=5&since=1970-01-01T00%3A00%3A00Z&follow=false&format=json";
    assert!(
        head.starts_with(&format!("GET {path}?{parameters} HTTP/1.1\r\n")),
        "{head}"
    );
    assert!(
        !head.lines().next().unwrap_or_default().contains(KEY),
        "{head}"
    );
    let line = LogEvent::Line("2026-01-01T00:00:00Z [END]".to_owned());
    let error = LogEvent::Error("skipped 3 lines".to_owned());
    assert_eq!(events, [line, error, LogEvent::End]);
}

#[tokio::test]
async fn a_refused_stream_says_why() {
    let (listener, client) = listen().await;
    let body = r#"{"success":false,"error":"no such project","code":"not_found"}"#;
    let answer = http("404 Not Found", "", body);
    let (workspace, project) = (slug("demo"), slug("hello"));
    let id = "0198c0de-0000-7000-8000-000000000000"
        .parse()
        .expect("an id");
    let query = LogQuery {
        tail: None,
        since: None,
        follow: true,
        format: LogFormat::Text,
    };
    let call = client.stream_build_logs(&workspace, &project, id, query);
    let (head, result) = tokio::join!(serve(&listener, &answer), call);
    assert!(head.contains(
        "/deployments/0198c0de-0000-7000-8000-000000000000/build-logs?follow=true&format=text "
    ));
    assert_eq!(result.expect_err("a refusal").kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_command_gets_bytes_and_controls_and_answers_bytes_and_its_end() {
    let (listener, client) = listen().await;
    let server = async {
        let (mut socket, head) = accept_socket(&listener).await;
        let mut frames = Vec::new();
        while frames.len() < 3 {
            let frame = socket.next().await.expect("a frame");
            frames.push(frame.expect("a frame"));
        }
        for frame in [
            Message::binary(b"\xff\n".to_vec()),
            Message::text(r#"{"exit_code":3}"#),
        ] {
            socket.send(frame).await.expect("the client reads");
        }
        socket.close(None).await.expect("the client reads");
        (head, frames)
    };
    let (workspace, project) = (slug("demo"), slug("hello"));
    let query = ExecQuery {
        command: vec!["ls".to_owned(), "a &b".to_owned()],
        pod: Some("hello-1".to_owned()),
        tty: true,
        size: Some(TerminalSize { cols: 80, rows: 24 }),
    };
    let client = async {
        let ExecStream {
            mut input,
            mut output,
        } = client
            .stream_exec(&workspace, &project, &query)
            .await
            .expect("a stream");
        let size = ExecControl::Resize {
            cols: 100,
            rows: 30,
        };
        input.send(b"hi".to_vec()).await.expect("sent");
        input.control(size).await.expect("sent");
        input.control(ExecControl::Eof).await.expect("sent");
        let mut chunks = Vec::new();
        while let Some(chunk) = output.next().await {
            chunks.push(chunk.expect("a chunk"));
        }
        chunks
    };
    let ((head, frames), chunks) = tokio::join!(server, client);
    let parameters = "command=ls&command=a+%26b&pod=hello-1&tty=true&cols=80&rows=24";
    assert!(
        head.contains(&format!("/hello/exec?{parameters} HTTP")),
        "{head}"
    );
    let sent = [
        Message::binary(b"hi".to_vec()),
        Message::text(r#"{"resize":{"cols":100,"rows":30}}"#),
        Message::text(r#""eof""#),
    ];
    assert_eq!(frames, sent);
    let bytes = ExecChunk::Bytes(b"\xff\n".to_vec());
    assert_eq!(chunks, [bytes, ExecChunk::End(ExecEvent::ExitCode(3))]);
}

#[tokio::test]
async fn a_command_whose_end_is_not_understood_is_an_error_and_the_last_word() {
    let (listener, client) = listen().await;
    let server = async {
        let (mut socket, _) = accept_socket(&listener).await;
        let frame = Message::text(r#"{"other":1}"#);
        socket.send(frame).await.expect("the client reads");
        socket.close(None).await.ok();
    };
    let (workspace, project) = (slug("demo"), slug("hello"));
    let client = async {
        let query = ExecQuery::default();
        let stream = client.stream_exec(&workspace, &project, &query).await;
        let ExecStream {
            input: _input,
            mut output,
        } = stream.expect("a stream");
        let first = output.next().await.expect("an error");
        (first, output.next().await.is_none())
    };
    let (_, (first, is_over)) = tokio::join!(server, client);
    let error = first.expect_err("an error");
    assert_eq!(error.code(), "answer_not_understood");
    assert!(is_over);
}

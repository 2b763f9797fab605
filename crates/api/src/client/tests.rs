//! What the client sends, and what it makes of answers.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::{Kind, Timestamp};

mod stream;

const KEY: &str = "tose_sk_0123456789abcdef0123456789abcdef01234567";

fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

async fn listen() -> (TcpListener, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let client = client(&format!("http://{address}"));
    (listener, client)
}

fn client(server: &str) -> Client {
    let server = server.parse().expect("a server address");
    Client::new(server, KEY.parse().expect("a key"), "tests/1").expect("a client")
}

/// Takes one request and answers its head.
async fn accept(listener: &TcpListener) -> (TcpStream, String) {
    let (mut connection, _) = listener.accept().await.expect("a connection");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.expect("a request"));
    }
    (connection, String::from_utf8(head).expect("text"))
}

/// Answers one request with `answer` and gives its head back.
async fn serve(listener: &TcpListener, answer: &str) -> String {
    let (mut connection, head) = accept(listener).await;
    connection
        .write_all(answer.as_bytes())
        .await
        .expect("the client reads");
    connection.shutdown().await.expect("the client reads");
    head
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_call_sends_the_key_in_its_header_and_reads_the_envelope() {
    let (listener, client) = listen().await;
    let answer = http(
        "200 OK",
        "",
        r#"{"success":true,"data":{"version":"9.9.9"}}"#,
    );
    let (head, version) = tokio::join!(serve(&listener, &answer), client.get_version());
    assert_eq!(version.expect("an answer").version, "9.9.9");
    assert!(head.starts_with("GET /api/version HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("x-api-key: {KEY}\r\n")), "{head}");
    assert!(head.contains("user-agent: tests/1\r\n"), "{head}");
}

#[tokio::test]
async fn a_page_is_asked_for_by_number() {
    let (listener, client) = listen().await;
    let meta = r#"{"page":3,"limit":10,"total":21,"has_more":false}"#;
    let answer = http(
        "200 OK",
        "",
        &format!(r#"{{"success":true,"data":[],"meta":{meta}}}"#),
    );
    let (workspace, paging) = (
        slug("demo"),
        Paging::new(Some(3), Some(10)).expect("a page"),
    );
    let call = client.list_projects(&workspace, paging);
    let (head, page) = tokio::join!(serve(&listener, &answer), call);
    assert!(
        head.starts_with("GET /api/workspaces/demo/projects?page=3&limit=10 HTTP"),
        "{head}"
    );
    assert_eq!(page.expect("a page").meta.total, 21);
}

#[tokio::test]
async fn a_refusal_keeps_what_the_server_said() {
    let (listener, client) = listen().await;
    let body = r#"{"success":false,"error":"ram is too large","code":"invalid","fields":{"ram":"at most 8"}}"#;
    let answer = http("400 Bad Request", "x-request-id: r-1\r\n", body);
    let (_, result) = tokio::join!(serve(&listener, &answer), client.get_me());
    let error = result.expect_err("a refusal");
    assert_eq!((error.kind(), error.code()), (Kind::Invalid, "invalid"));
    assert_eq!(error.to_string(), "ram is too large");
    let refusal = error.refusal().expect("the server refused");
    assert_eq!(refusal.fields["ram"], "at most 8");
    assert_eq!(refusal.request_id.as_deref(), Some("r-1"));
}

#[tokio::test]
async fn answers_that_are_not_of_this_api_are_told_apart() {
    let cases = [
        (http("200 OK", "", "<html>"), "not_a_tose_server"),
        (http("502 Bad Gateway", "", "<html>"), "not_a_tose_server"),
        (http("404 Not Found", "", "{}"), "not_a_tose_server"),
        (
            http("301 Moved", "location: https://b.example\r\n", ""),
            "redirected",
        ),
        (
            http("200 OK", "", r#"{"success":true,"data":{"other":1}}"#),
            "answer_not_understood",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_owned(),
            "connection_broken",
        ),
    ];
    for (answer, code) in cases {
        let (listener, client) = listen().await;
        let (_, result) = tokio::join!(serve(&listener, &answer), client.get_version());
        assert_eq!(result.expect_err(&answer).code(), code, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_for_ever() {
    let (listener, client) = listen().await;
    let flood = async {
        let (mut connection, _) = accept(&listener).await;
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        connection
            .write_all(head.as_bytes())
            .await
            .expect("the client reads");
        let chunk = vec![b' '; 1 << 20];
        while connection.write_all(&chunk).await.is_ok() {}
    };
    let (_, result) = tokio::join!(flood, client.get_me());
    assert_eq!(result.expect_err("too long").code(), "answer_too_long");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let (listener, client) = listen().await;
    drop(listener);
    let error = client.get_me().await.expect_err("nobody listens");
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::Unavailable, "unreachable")
    );
    assert!(
        error
            .to_string()
            .starts_with("cannot reach http://127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn a_source_tree_is_sent_as_a_gzipped_archive() {
    let (listener, client) = listen().await;
    let server = async {
        let (mut connection, head) = accept(&listener).await;
        let mut body = [0; 7];
        connection.read_exact(&mut body).await.expect("a body");
        let answer = http(
            "409 Conflict",
            "",
            r#"{"success":false,"error":"no","code":"taken"}"#,
        );
        connection
            .write_all(answer.as_bytes())
            .await
            .expect("the client reads");
        (head, body)
    };
    let (workspace, project) = (slug("demo"), slug("hello"));
    let call = client.upload(&workspace, &project, b"the end".to_vec());
    let ((head, body), result) = tokio::join!(server, call);
    let path = "/api/workspaces/demo/projects/hello/deployments/upload";
    assert!(
        head.starts_with(&format!("POST {path} HTTP/1.1\r\n")),
        "{head}"
    );
    assert!(
        head.contains("content-type: application/gzip\r\n"),
        "{head}"
    );
    assert!(head.contains("content-length: 7\r\n"), "{head}");
    assert_eq!(&body, b"the end");
    assert_eq!(result.expect_err("a refusal").kind(), Kind::Conflict);
}

#[tokio::test]
async fn only_what_is_asked_for_stands_in_a_query() {
    let answer = http("404 Not Found", "", "{}");
    let (workspace, project) = (slug("demo"), slug("hello"));
    let (listener, client) = listen().await;
    let query = MetricsQuery {
        start: Some(Timestamp::from_nanos(0)),
        end: None,
        step: Some(60),
    };
    let call = client.get_metrics(&workspace, &project, query);
    let (head, _) = tokio::join!(serve(&listener, &answer), call);
    let parameters = "start=1970-01-01T00%3A00%3A00Z&step=60";
    assert!(
        head.contains(&format!("/hello/metrics?{parameters} HTTP")),
        "{head}"
    );

    let id = "0198c0de-0000-7000-8000-000000000000"
        .parse()
        .expect("an id");
    let call = client.get_deployment_log(&workspace, &project, id, Some(7), None);
    let (head, _) = tokio::join!(serve(&listener, &answer), call);
    assert!(head.contains("/logs?after=7 HTTP"), "{head}");
}

#[tokio::test]
async fn a_file_has_the_servers_name_where_that_is_a_plain_one() {
    let (workspace, database) = (slug("demo"), slug("orders"));
    let id = "0198c0de-0000-7000-8000-000000000000"
        .parse()
        .expect("an id");
    for (header, name) in [
        (
            "attachment; filename=\"orders-1.dump\"",
            Some("orders-1.dump"),
        ),
        ("attachment; filename=\"../.profile\"", None),
        ("attachment; filename=\".profile\"", None),
        ("attachment; filename=\"\"", None),
        ("attachment", None),
    ] {
        let (listener, client) = listen().await;
        let header = format!("content-disposition: {header}\r\n");
        let answer = http("200 OK", &header, "the dump");
        let call = client.download_backup(&workspace, &database, id);
        let (head, file) = tokio::join!(serve(&listener, &answer), call);
        let path = format!("/api/workspaces/demo/databases/orders/backups/{id}/download");
        assert!(head.starts_with(&format!("GET {path} HTTP")), "{head}");
        assert_eq!(file.expect("a file").file_name(), name, "{header}");
    }
}

#[test]
fn server_addresses_are_checked_and_normal() {
    for (text, normal) in [
        ("http://localhost:8700", "http://localhost:8700"),
        ("https://tose.example.com/", "https://tose.example.com"),
        ("https://Example.com:443/tose//", "https://example.com/tose"),
    ] {
        let server: ServerUrl = text.parse().expect(text);
        assert_eq!(server.to_string(), normal);
    }
    for text in [
        "",
        "localhost:8700",
        "ftp://a",
        "https://u:p@a",
        "https://a?b",
        "https://a#b",
        "http://",
    ] {
        let error = text.parse::<ServerUrl>().expect_err(text);
        assert!(!error.to_string().contains("u:p"), "{error}");
    }
}

#[test]
fn paths_stay_below_the_api_whatever_a_part_holds() {
    let server: ServerUrl = "https://a.example/tose/".parse().expect("an address");
    let url = server.api(&["env", "a/b?c#d", "ö"]);
    assert_eq!(
        url.as_str(),
        "https://a.example/tose/api/env/a%2Fb%3Fc%23d/%C3%B6"
    );
}

#[test]
fn only_this_machine_may_be_reached_without_encryption_unnoticed() {
    for (text, is_readable) in [
        ("http://127.0.0.1:8700", false),
        ("http://[::1]:8700", false),
        ("http://localhost", false),
        ("https://tose.example.com", false),
        ("http://tose.example.com", true),
        ("http://127.0.0.1.example.com", true),
        ("http://10.0.0.5:8700", true),
    ] {
        let server: ServerUrl = text.parse().expect(text);
        assert_eq!(server.is_readable_on_the_way(), is_readable, "{text}");
    }
}

#[test]
fn a_key_is_checked_and_never_shown() {
    let key: ApiKey = KEY.parse().expect("a key");
    assert_eq!(key.expose(), KEY);
    let client = client("http://localhost:8700");
    assert!(!format!("{key:?} {client:?}").contains("0123456789"));
    for text in [
        "",
        "tose_sk_",
        &KEY[..47],
        &KEY.to_uppercase(),
        &KEY.replace('0', "g"),
    ] {
        assert_eq!(text.parse::<ApiKey>(), Err(InvalidApiKey));
    }
}

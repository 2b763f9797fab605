//! Plain HTTP calls of the benches, outside of what is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A server and what its calls say about who calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) addr: SocketAddr,
    /// The header that names the caller, `Name: value`; none when empty.
    pub(crate) header: String,
}

impl Caller {
    /// One call; the JSON of its answer, which has to be a 2xx.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let mut head = "Content-Type: application/json\r\n".to_owned();
        if !self.header.is_empty() {
            head = format!("{head}{}\r\n", self.header);
        }
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = exchange(self.addr, method, path, "localhost", &head, &body)?;
        ensure!(is_success(&answer), "{method} {path}: {answer}");
        let (_, body) = answer
            .split_once("\r\n\r\n")
            .context("an answer without a body")?;
        serde_json::from_str(body).with_context(|| format!("no JSON: {body}"))
    }
}

/// Whether an answer begins with a 2xx.
pub(crate) fn is_success(answer: &str) -> bool {
    let status = answer.split(' ').nth(1);
    status.is_some_and(|status| status.starts_with('2'))
}

/// Reads an answer that has a length from a kept connection; its first line.
pub(crate) fn read_answer(connection: &mut BufReader<TcpStream>) -> Result<String> {
    let mut status = String::new();
    connection.read_line(&mut status)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = connection.take(length);
    std::io::copy(&mut body, &mut std::io::sink())?;
    Ok(status)
}

/// One request on a connection of its own; the whole answer. HTTP/1.0, so that it comes unchunked.
pub(crate) fn exchange(
    addr: SocketAddr,
    method: &str,
    path: &str,
    host: &str,
    head: &str,
    body: &str,
) -> Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    let length = body.len();
    // In one piece: a second one would wait for the first one's acknowledgement.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n{head}\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

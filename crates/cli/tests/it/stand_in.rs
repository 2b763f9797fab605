//! A server that says what a test tells it to say, and remembers what it was asked.
//!
//! It knows nothing of the API: the requests and answers stand in the tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde::Serialize;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, WebSocket};
use tose_api::{Failure, Meta, Success};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    /// With a mark in place of what is no text.
    pub(crate) body: String,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: Vec<u8>,
    nonce: Option<String>,
}

/// What is said.
pub(crate) enum Answer {
    /// A status, header lines, and a body.
    Http(u16, &'static str, String),
    /// Frames of a WebSocket, which is closed after them.
    Frames(Vec<String>),
    /// What is said and heard over a WebSocket, which is closed after it.
    Talk(fn(&mut WebSocket<TcpStream>)),
    /// The same frame until the other end has gone.
    Endless(String),
}

/// The envelope around `data`.
pub(crate) fn success(data: impl Serialize) -> Answer {
    let body = serde_json::to_string(&Success::new(data)).expect("JSON");
    Answer::Http(200, "", body)
}

/// The envelope around the only page of a list.
pub(crate) fn page<T: Serialize>(items: Vec<T>) -> Answer {
    let total = items.len() as u64;
    let meta = Meta {
        page: 1,
        limit: 20,
        total,
        has_more: false,
    };
    let body = serde_json::to_string(&Success::page(items, meta)).expect("JSON");
    Answer::Http(200, "", body)
}

/// The envelope around a failure.
pub(crate) fn failure(status: u16, code: &str, error: &str) -> Answer {
    let failure = Failure {
        success: false,
        error: error.to_owned(),
        code: code.to_owned(),
        fields: Default::default(),
    };
    Answer::Http(
        status,
        "x-request-id: req-1\r\n",
        serde_json::to_string(&failure).expect("JSON"),
    )
}

/// Frames of a WebSocket.
pub(crate) fn frames(frames: &[&str]) -> Answer {
    Answer::Frames(frames.iter().map(|&frame| frame.to_owned()).collect())
}

/// A running stand-in.
pub(crate) struct StandIn {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts one; `respond` gets the method, the path, and how many requests came before.
    pub(crate) fn start<R>(respond: R) -> Self
    where
        R: Fn(&str, &str, usize) -> Answer + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (requests, is_over) = (
            Arc::<Mutex<Vec<Request>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (seen, stop) = (Arc::clone(&requests), Arc::clone(&is_over));
        let respond = Arc::new(respond);
        let thread = thread::spawn(move || {
            for connection in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (seen, respond) = (Arc::clone(&seen), Arc::clone(&respond));
                let connection = connection.expect("a connection");
                thread::spawn(move || serve(connection, &seen, respond.as_ref()));
            }
        });
        Self {
            url,
            requests,
            is_over,
            thread: Some(thread),
        }
    }

    /// One that expects no request.
    pub(crate) fn unused() -> Self {
        Self::start(|_, _, _| failure(500, "internal", "nothing was to be asked"))
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    /// What was asked so far, as `METHOD PATH` lines with the bodies behind them.
    pub(crate) fn transcript(&self) -> String {
        let line = |request: &Request| {
            format!("{} {} {}", request.method, request.path, request.body)
                .trim()
                .to_owned()
        };
        self.requests()
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread up, which waits for a connection.
        TcpStream::connect(self.url.trim_start_matches("http://")).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(
    mut connection: TcpStream,
    seen: &Mutex<Vec<Request>>,
    respond: &dyn Fn(&str, &str, usize) -> Answer,
) {
    let Some(request) = read(&connection) else {
        return;
    };
    let count = {
        let mut seen = seen.lock().expect("no panic");
        seen.push(request.clone());
        seen.len() - 1
    };
    match respond(&request.method, &request.path, count) {
        Answer::Http(status, headers, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} S\r\ncontent-length: {length}\r\n{headers}");
            write!(connection, "{head}connection: close\r\n\r\n{body}").ok();
        }
        Answer::Frames(frames) => {
            let mut socket = upgrade(connection, &request);
            for frame in frames {
                socket.send(Message::text(frame)).ok();
            }
            socket.close(None).ok();
            while socket.read().is_ok() {}
        }
        Answer::Talk(talk) => {
            let mut socket = upgrade(connection, &request);
            talk(&mut socket);
            socket.close(None).ok();
            while socket.read().is_ok() {}
        }
        Answer::Endless(frame) => {
            let mut socket = upgrade(connection, &request);
            while socket.send(Message::text(frame.as_str())).is_ok() {}
        }
    }
}

fn read(connection: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request {
        method,
        path,
        key: None,
        body: String::new(),
        content_type: None,
        bytes: Vec::new(),
        nonce: None,
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "x-api-key" => request.key = Some(value.to_owned()),
            "content-type" => request.content_type = Some(value.to_owned()),
            "sec-websocket-key" => request.nonce = Some(value.to_owned()),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    reader.take(length).read_to_end(&mut request.bytes).ok()?;
    request.body = String::from_utf8_lossy(&request.bytes).into_owned();
    Some(request)
}

fn upgrade(mut connection: TcpStream, request: &Request) -> WebSocket<TcpStream> {
    let nonce = request.nonce.as_deref().expect("a WebSocket was asked for");
    let accepted = derive_accept_key(nonce.as_bytes());
    let head = "HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
    write!(connection, "{head}sec-websocket-accept: {accepted}\r\n\r\n").ok();
    WebSocket::from_raw_socket(connection, Role::Server, None)
}

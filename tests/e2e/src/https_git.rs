//! A Git server of a test's own over HTTPS: `git http-backend` behind TLS, on the loopback address. Below
//! `/api/` and `/login/` it notes what it is told, and answers what a test says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::program::{program, run};

/// Serves every repository below a folder to anybody, until the test ends.
pub struct HttpsGit {
    addr: SocketAddr,
    certificate: PathBuf,
    calls: Arc<Mutex<Calls>>,
}

/// What was called below `/api/`.
#[derive(Default)]
struct Calls {
    seen: Vec<ApiCall>,
    refuses: bool,
    /// What is answered with JSON, by its path.
    answers: BTreeMap<String, Value>,
}

/// A call below `/api/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCall {
    /// The path.
    pub path: String,
    /// What stood in `Authorization` or `PRIVATE-TOKEN`, the header's name before it.
    pub token: String,
    /// The body.
    pub body: Value,
}

/// What is read of a request.
struct Request {
    method: String,
    path: String,
    query: String,
    content_type: String,
    encoding: String,
    authorization: String,
    private_token: String,
    body: Vec<u8>,
}

/// The token that opens repositories whose name begins with `private`.
pub const TOKEN: &str = "e2e-token/with+odd=characters";
/// `x-access-token`, a colon, and that token, in Base64.
const AUTHORIZATION: &str = "Basic eC1hY2Nlc3MtdG9rZW46ZTJlLXRva2VuL3dpdGgrb2RkPWNoYXJhY3RlcnM=";

impl HttpsGit {
    /// Starts it for the repositories below `root`; its certificate goes into `folder`.
    pub async fn start(folder: &Path, root: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        make_certificate(&certificate, &key).await;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&certificate).expect("a certificate")],
                PrivateKeyDer::from_pem_file(&key).expect("a key"),
            )
            .expect("they belong together");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let (config, root) = (Arc::new(config), root.to_owned());
        let calls = Arc::<Mutex<Calls>>::default();
        let noted = Arc::clone(&calls);
        // It ends with the test's process: nothing waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, root) = (Arc::clone(&config), root.clone());
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || answer(stream, config, &root, &noted));
            }
        });
        Self {
            addr,
            certificate,
            calls,
        }
    }

    /// The address of the repository `name` below the root.
    pub fn url(&self, name: &str) -> String {
        format!("https://localhost:{}/{name}", self.addr.port())
    }

    /// What was called below `/api/` since the last look.
    pub fn take_calls(&self) -> Vec<ApiCall> {
        let mut calls = self.calls.lock().expect("no panic");
        std::mem::take(&mut calls.seen)
    }

    /// Answers this to calls of `path` from now on.
    pub fn answer(&self, path: &str, body: Value) {
        let mut calls = self.calls.lock().expect("no panic");
        calls.answers.insert(path.to_owned(), body);
    }

    /// Answers 401 below `/api/` from now on.
    pub fn refuse_calls(&self) {
        self.calls.lock().expect("no panic").refuses = true;
    }

    /// Writes a file of authorities to trust: this server's alone.
    pub fn write_authorities(&self, path: &Path) {
        std::fs::copy(&self.certificate, path).expect("a copy");
    }
}

pub(crate) async fn make_certificate(certificate: &Path, key: &Path) {
    make_certificate_for("localhost", certificate, key).await;
}

/// A certificate for one name that signs itself, and its key.
pub async fn make_certificate_for(host: &str, certificate: &Path, key: &Path) {
    let mut command = program("openssl");
    command
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=test"])
        .args(["-addext", &format!("subjectAltName=DNS:{host}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(certificate);
    run(command).await.ok();
}

/// Answers one request; a client that breaks off is no failure of the server.
fn answer(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    root: &Path,
    calls: &Mutex<Calls>,
) -> Option<()> {
    let connection = ServerConnection::new(config).ok()?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let request = read_request(&mut reader)?;
    let is_private = request.path.contains("/private");
    let is_call = request.path.starts_with("/api/") || request.path.starts_with("/login/");
    let response = if is_call {
        note_call(&request, calls)
    } else if is_private && request.authorization != AUTHORIZATION {
        b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\
          WWW-Authenticate: Basic realm=\"git\"\r\n\r\n"
            .to_vec()
    } else {
        backend(&request, root)
    };
    let mut stream = reader.into_inner();
    stream.write_all(&response).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

fn note_call(request: &Request, calls: &Mutex<Calls>) -> Vec<u8> {
    let mut calls = calls.lock().expect("no panic");
    let token = match request.private_token.as_str() {
        "" => format!("Authorization: {}", request.authorization),
        token => format!("PRIVATE-TOKEN: {token}"),
    };
    calls.seen.push(ApiCall {
        path: request.path.clone(),
        token,
        body: serde_json::from_slice(&request.body).unwrap_or_default(),
    });
    let status = if calls.refuses {
        "401 Unauthorized"
    } else {
        "201 Created"
    };
    let body = calls.answers.get(&request.path);
    let body = body.map(Value::to_string).unwrap_or_default();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        content_type: String::new(),
        encoding: String::new(),
        authorization: String::new(),
        private_token: String::new(),
        body: Vec::new(),
    };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "content-type" => request.content_type = value.to_owned(),
            "content-encoding" => request.encoding = value.to_owned(),
            "private-token" => request.private_token = value.to_owned(),
            "authorization" => request.authorization = value.to_owned(),
            _ => {}
        }
    }
    reader.take(length).read_to_end(&mut request.body).ok()?;
    Some(request)
}

/// What Git's own program answers, as HTTP.
#[expect(
    clippy::disallowed_methods,
    reason = "the server side is Git's own program"
)]
fn backend(request: &Request, root: &Path) -> Vec<u8> {
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", &request.content_type)
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", &request.encoding)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(root.join("http-backend.log")).expect("a file"))
        .spawn()
        .expect("git runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    // Git may answer without reading everything.
    let _ = stdin.write_all(&request.body);
    drop(stdin);
    let output = child.wait_with_output().expect("it ends").stdout;
    let status = output
        .strip_prefix(b"Status: ")
        .and_then(|rest| rest.get(..3))
        .unwrap_or(b"200");
    let mut response = b"HTTP/1.1 ".to_vec();
    response.extend_from_slice(status);
    response.extend_from_slice(b" Git\r\nConnection: close\r\n");
    response.extend_from_slice(&output);
    response
}

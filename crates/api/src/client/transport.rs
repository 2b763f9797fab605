//! Requests out, envelopes in.

use std::time::Duration;

use reqwest::header::{
    CONNECTION, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, LOCATION, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::socket::{Socket, client_end};
use super::{ApiKey, Error, Page, Paging, Refusal, Result, ServerUrl};
use crate::{Failure, Kind, Success};

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the first byte of a request to the last of its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for a source tree that is sent; the server gives it 15 minutes.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(20 * 60);
/// The same for a file that is fetched.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a `GET` is sent again when no connection came about.
const CONNECT_RETRIES: u32 = 2;
/// Before each of these.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The longest answer: 500 variables of 64 KiB each, and as much again for their quoting.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// One server, one key, and the connections between.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    server: ServerUrl,
    key: ApiKey,
}

impl Transport {
    pub(super) fn new(server: ServerUrl, key: ApiKey, user_agent: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(user_agent)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // A redirect would carry the key to another address.
            .redirect(Policy::none())
            // A WebSocket begins as an HTTP/1.1 request.
            .http1_only()
            .build()
            .map_err(Error::Setup)?;
        Ok(Self { http, server, key })
    }

    pub(super) fn server(&self) -> &ServerUrl {
        &self.server
    }

    pub(super) fn url(&self, path: &[&str]) -> Url {
        self.server.api(path)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        self.send(Method::GET, url, None).await
    }

    pub(super) async fn get_page<T: DeserializeOwned>(
        &self,
        mut url: Url,
        paging: Paging,
    ) -> Result<Page<T>> {
        let page = paging.offset() / u64::from(paging.limit()) + 1;
        url.query_pairs_mut()
            .append_pair("page", &page.to_string())
            .append_pair("limit", &paging.limit().to_string());
        let request = self.request(Method::GET, url, None);
        let answer = self.exchange(request, CONNECT_RETRIES).await?;
        let success: Success<Vec<T>> = self.parse(&answer)?;
        let Some(meta) = success.meta else {
            return Err(self.not_understood(serde::de::Error::missing_field("meta")));
        };
        Ok(Page {
            items: success.data,
            meta,
        })
    }

    /// Sends `body` (JSON) and answers the envelope's data.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<T> {
        let retries = if method == Method::GET {
            CONNECT_RETRIES
        } else {
            0
        };
        self.data(self.request(method, url, body), retries).await
    }

    /// Sends `body` (JSON) as a `POST` whose answer may take as long as `limit`.
    pub(super) async fn post_within<T: DeserializeOwned>(
        &self,
        limit: Duration,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<T> {
        let request = self.request(Method::POST, url, body).timeout(limit);
        self.data(request, 0).await
    }

    /// Sends a gzipped tar archive.
    pub(super) async fn upload<T: DeserializeOwned>(
        &self,
        url: Url,
        archive: Vec<u8>,
    ) -> Result<T> {
        let request = self
            .request(Method::POST, url, None)
            .header(CONTENT_TYPE, "application/gzip")
            .timeout(UPLOAD_TIMEOUT)
            .body(archive);
        self.data(request, 0).await
    }

    /// Begins to fetch a file.
    pub(super) async fn download(&self, url: Url) -> Result<Download> {
        let request = self
            .request(Method::GET, url, None)
            .timeout(DOWNLOAD_TIMEOUT);
        let response = self.dispatch(request, CONNECT_RETRIES).await?;
        if !response.status().is_success() {
            let answer = self.read(response).await?;
            return Err(self.refusal(&answer));
        }
        Ok(Download {
            transport: self.clone(),
            response,
        })
    }

    /// Opens a WebSocket. The HTTP client makes the connection, so that certificates, proxies and
    /// refusals are treated as for every other request.
    pub(super) async fn open_socket(&self, url: Url) -> Result<Socket> {
        let nonce = generate_key();
        let request = self
            .request(Method::GET, url, None)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &nonce);
        let response = self.dispatch(request, CONNECT_RETRIES).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let answer = self.read(response).await?;
            return Err(self.refusal(&answer));
        }
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|value| value != derive_accept_key(nonce.as_bytes()).as_str()) {
            return Err(self.foreign(response.status()));
        }
        let connection = response
            .upgrade()
            .await
            .map_err(|error| self.failed(error))?;
        Ok(client_end(connection).await)
    }

    /// Sends the request and answers the envelope's data.
    async fn data<T: DeserializeOwned>(&self, request: RequestBuilder, retries: u32) -> Result<T> {
        let answer = self.exchange(request, retries).await?;
        let success: Success<T> = self.parse(&answer)?;
        Ok(success.data)
    }

    async fn exchange(&self, request: RequestBuilder, retries: u32) -> Result<Answer> {
        let response = self.dispatch(request, retries).await?;
        let answer = self.read(response).await?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(self.refusal(&answer))
        }
    }

    fn request(&self, method: Method, url: Url, body: Option<Vec<u8>>) -> RequestBuilder {
        let request = self
            .http
            .request(method, url)
            .header("x-api-key", self.key.header());
        match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
            None => request,
        }
    }

    async fn dispatch(&self, request: RequestBuilder, retries: u32) -> Result<Response> {
        for _ in 0..retries {
            let attempt = request
                .try_clone()
                .expect("what is sent again is held in memory");
            match attempt.send().await {
                Err(error) if error.is_connect() => tokio::time::sleep(RETRY_PAUSE).await,
                result => return result.map_err(|error| self.failed(error)),
            }
        }
        request.send().await.map_err(|error| self.failed(error))
    }

    async fn read(&self, mut response: Response) -> Result<Answer> {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let limit_bytes = MAX_ANSWER_BYTES;
                return Err(Error::TooLong {
                    server: self.server.to_string(),
                    limit_bytes,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> Result<Success<T>> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            let is_envelope = serde_json::from_slice::<Success<serde_json::Value>>(&answer.body);
            match is_envelope {
                Ok(_) => self.not_understood(error),
                Err(_) => self.foreign(answer.status),
            }
        })
    }

    /// The error that an answer without success stands for.
    fn refusal(&self, answer: &Answer) -> Error {
        if let Ok(failure) = serde_json::from_slice::<Failure>(&answer.body) {
            return Error::Refused(Box::new(Refusal {
                kind: Kind::from_status(answer.status.as_u16()),
                message: failure.error,
                code: failure.code,
                fields: failure.fields,
                request_id: answer.header("x-request-id"),
            }));
        }
        if answer.status.is_redirection()
            && let Some(location) = answer.header(LOCATION.as_str())
        {
            return Error::Redirected {
                server: self.server.to_string(),
                location,
            };
        }
        self.foreign(answer.status)
    }

    fn foreign(&self, status: StatusCode) -> Error {
        Error::Foreign {
            server: self.server.to_string(),
            status: status.as_u16(),
        }
    }

    fn not_understood(&self, source: serde_json::Error) -> Error {
        Error::NotUnderstood {
            server: self.server.to_string(),
            source,
        }
    }

    fn failed(&self, error: reqwest::Error) -> Error {
        let (server, source) = (self.server.to_string(), error.without_url());
        if source.is_connect() {
            Error::Unreachable { server, source }
        } else if source.is_timeout() {
            Error::TimedOut { server }
        } else {
            Error::BrokenOff {
                server,
                source: source.into(),
            }
        }
    }
}

/// A file that is fetched.
pub struct Download {
    transport: Transport,
    response: Response,
}

impl Download {
    /// What the server calls the file, where that is a plain name.
    pub fn file_name(&self) -> Option<&str> {
        let header = self.response.headers().get(CONTENT_DISPOSITION)?;
        let (_, rest) = header.to_str().ok()?.split_once("filename=\"")?;
        let (name, _) = rest.split_once('"')?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        // It is to name a file beside the caller, and no hidden one.
        let is_usable = !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain);
        is_usable.then_some(name)
    }

    /// The next bytes; `None` at the end of the file.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match self.response.chunk().await {
            Ok(chunk) => Ok(chunk.map(|chunk| chunk.to_vec())),
            Err(error) => Err(self.transport.failed(error)),
        }
    }
}

/// An answer that was read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }
}

/// The body of a request.
pub(super) fn json(body: &impl Serialize) -> Option<Vec<u8>> {
    Some(serde_json::to_vec(body).expect("request types hold only what JSON can say"))
}

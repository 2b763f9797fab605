//! The API as a stranger's client sees it: JSON in, JSON out, a key in a header.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use tose_api::client::Client;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The holder of one key.
#[derive(Debug, Clone)]
pub struct Api {
    /// The workspace that the key belongs to.
    pub workspace: String,
    /// The key.
    pub key: String,
    /// Where the server is, such as `http://127.0.0.1:8700`.
    pub base_url: String,
    http: reqwest::Client,
}

/// What the server said.
#[derive(Debug)]
pub struct Answer {
    /// What was asked.
    pub request: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// The body; null when it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The envelope's data; fails the test when the server refused.
    pub fn data(mut self) -> Value {
        let is_success = self.status.is_success() && self.body["success"] == true;
        assert!(
            is_success,
            "{} -> {} {}",
            self.request, self.status, self.body
        );
        self.body["data"].take()
    }
}

impl Api {
    pub(crate) fn new(base_url: &str, workspace: &str, key: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .expect("the client's settings are constant");
        Self {
            workspace: workspace.to_owned(),
            key: key.to_owned(),
            base_url: base_url.to_owned(),
            http,
        }
    }

    /// The same key over connections of its own: those of this one belong to the test's runtime.
    pub(crate) fn reconnected(&self) -> Self {
        Self::new(&self.base_url, &self.workspace, &self.key)
    }

    /// Calls a path such as `/api/me`.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = format!("{method} {path}");
        let url = format!("{}{path}", self.base_url);
        let mut call = self
            .http
            .request(method, url)
            .header("x-api-key", &self.key);
        if let Some(body) = body {
            call = call.json(body);
        }
        let response = call.send().await;
        let response = response.unwrap_or_else(|error| panic!("{request}: {error:?}"));
        let status = response.status();
        let body = response.bytes().await;
        let body = body.unwrap_or_else(|error| panic!("{request}: {error:?}"));
        Answer {
            request,
            status,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    /// Sends an event as a Git server does, without the key; the data of the answer.
    pub async fn send_event(&self, path: &str, headers: &[(&str, &str)], event: &Value) -> Value {
        let mut call = self.http.post(format!("{}{path}", self.base_url));
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        let response = call.json(event).send().await;
        let response = response.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let answer = Answer {
            request: format!("POST {path}"),
            status: response.status(),
            body: response.json().await.unwrap_or(Value::Null),
        };
        answer.data()
    }

    /// A page as a browser without a key gets it.
    pub async fn page(&self, method: Method, path: &str) -> String {
        let call = self
            .http
            .request(method, format!("{}{path}", self.base_url));
        let response = call.send().await;
        let response = response.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let status = response.status();
        let text = response.text().await.expect("a text");
        assert!(status.is_success(), "{path} -> {status} {text}");
        text
    }

    /// Calls a path below the workspace, such as `/projects`.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let path = format!("/api/workspaces/{}{path}", self.workspace);
        self.send(method, &path, body).await
    }

    /// `GET` below the workspace; the data.
    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.data()
    }

    /// `POST` below the workspace; the data.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, path, Some(body)).await.data()
    }

    /// `PUT` below the workspace; the data.
    pub async fn put(&self, path: &str, body: &Value) -> Value {
        self.call(Method::PUT, path, Some(body)).await.data()
    }

    /// `POST` of bytes below the workspace; the data.
    pub async fn post_bytes(&self, path: &str, kind: &str, bytes: Vec<u8>) -> Value {
        let url = format!("{}/api/workspaces/{}{path}", self.base_url, self.workspace);
        let call = self
            .http
            .post(url)
            .header("x-api-key", &self.key)
            .header("content-type", kind)
            .body(bytes);
        let response = call.send().await.expect("an answer");
        let status = response.status();
        let answer = Answer {
            request: format!("POST {path}"),
            status,
            body: response.json().await.expect("JSON"),
        };
        answer.data()
    }

    /// `DELETE` below the workspace; the data.
    pub async fn delete(&self, path: &str) -> Value {
        self.call(Method::DELETE, path, None).await.data()
    }

    /// The address of a WebSocket below the workspace.
    pub fn socket_url(&self, path: &str) -> String {
        let host = self.base_url.trim_start_matches("http://");
        format!("ws://{host}/api/workspaces/{}{path}", self.workspace)
    }

    /// The typed client of the same key, for streams.
    pub fn typed(&self) -> Client {
        let server = self.base_url.parse().expect("an address");
        let key = self.key.parse().expect("a key");
        Client::new(server, key, "tose-e2e").expect("a client")
    }
}

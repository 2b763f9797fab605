//! Calls to the APIs of Git servers.
//!
//! Guarantees: a call takes 10 s at most; of what is told only the answer's status is read, of what is asked
//! 8 MiB at most; no redirect is followed, so that a token goes to the host that the call names and to no
//! other.

use std::time::Duration;

use serde_json::Value;
use tose_model::commit_status::StatusCall;
use tose_model::error::Error;
use tose_model::secret::{ExposeSecret, SecretString};

use crate::service_client;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of an answer, in bytes.
const MAX_ANSWER: usize = 8 << 20;

/// What a Git server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It did as asked.
    Done,
    /// It did not, with this status of HTTP.
    Refused(u16),
    /// It did not answer in time, or not at all.
    Silent,
}

impl Answer {
    /// Whether another attempt may end better.
    pub(crate) const fn is_worth_another(self) -> bool {
        matches!(self, Self::Silent | Self::Refused(408 | 425 | 429 | 500..))
    }

    /// What is said of it, if it is no success. Fixed words: an answer's own text could be anything.
    pub(crate) fn problem(self) -> Option<String> {
        let said = match self {
            Self::Done => return None,
            Self::Silent => "the Git server could not be reached".to_owned(),
            Self::Refused(401) => "the Git server refused the access token (401)".to_owned(),
            Self::Refused(status @ (403 | 404)) => format!(
                "the access token may not set commit statuses in this repository ({status})"
            ),
            Self::Refused(status) => format!("the Git server answered {status}"),
        };
        Some(said)
    }
}

/// Something to be asked of a Git server.
pub(crate) struct Question<'a> {
    /// Where.
    pub(crate) url: String,
    /// What opens it.
    pub(crate) token: Option<&'a SecretString>,
    /// What goes along: such a question is a POST, any other a GET.
    pub(crate) body: Option<Value>,
}

/// Calls Git servers.
pub(crate) struct GitApi {
    client: reqwest::Client,
}

impl GitApi {
    /// # Errors
    /// When the machine's certificates cannot be used.
    pub(crate) fn new() -> tose_model::error::Result<Self> {
        let client = service_client::builder(TIMEOUT)
            .build()
            .map_err(|error| Error::internal("the client for Git servers cannot be made", error))?;
        Ok(Self { client })
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// What came in place of a success.
    pub(crate) async fn ask(&self, question: Question<'_>) -> Result<Value, Answer> {
        let request = match &question.body {
            Some(body) => self.client.post(&question.url).json(body),
            None => self.client.get(&question.url),
        };
        let mut request = request.header("Accept", "application/json");
        if let Some(token) = question.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let silent = |error: reqwest::Error| {
            tracing::debug!(error = %error.without_url(), "a Git server did not answer");
            Answer::Silent
        };
        let mut answer = request.send().await.map_err(silent)?;
        if !answer.status().is_success() {
            return Err(refusal(&answer));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(silent)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(Answer::Silent);
            }
        }
        serde_json::from_slice(&bytes).map_err(|_| Answer::Silent)
    }

    /// Makes one call.
    pub(crate) async fn post(&self, call: &StatusCall) -> Answer {
        let (name, token) = &call.token;
        let request = self
            .client
            .post(&call.url)
            .header("Accept", "application/json")
            .header(*name, token.expose_secret())
            .json(&call.body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Answer::Done,
            Ok(answer) => refusal(&answer),
            Err(error) => {
                tracing::debug!(error = %error.without_url(), "a Git server was not told");
                Answer::Silent
            }
        }
    }
}

/// What an answer without success means. GitHub says 403 also to who asks too often.
fn refusal(answer: &reqwest::Response) -> Answer {
    let header = |name: &str| answer.headers().get(name).map(|value| value.as_bytes());
    let is_too_often =
        header("retry-after").is_some() || header("x-ratelimit-remaining") == Some(b"0");
    match answer.status().as_u16() {
        403 if is_too_often => Answer::Refused(429),
        status => Answer::Refused(status),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tose_model::secret::SecretString;

    use super::*;

    /// Answers one request with `head`; what it was.
    async fn exchange(head: &str) -> (Answer, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        let call = StatusCall {
            url: format!("http://{addr}/api/v1/repos/you/app/statuses/abc"),
            token: ("Authorization", SecretString::from("token t0ken")),
            body: json!({"state": "pending"}),
        };
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut seen = Vec::new();
            while !seen.ends_with(b"{\"state\":\"pending\"}") {
                assert!(stream.read_buf(&mut seen).await.expect("bytes") > 0);
            }
            let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("written");
            String::from_utf8(seen).expect("text")
        };
        let api = GitApi::new().expect("a client");
        tokio::join!(api.post(&call), serve)
    }

    #[tokio::test]
    async fn a_call_carries_its_token_in_a_header_and_its_body_as_json() {
        let (answer, seen) = exchange("201 Created").await;
        assert_eq!(answer, Answer::Done);
        let seen = seen.to_lowercase();
        assert!(seen.starts_with("post /api/v1/repos/you/app/statuses/abc http/1.1\r\n"));
        assert!(
            seen.contains("\r\nauthorization: token t0ken\r\n"),
            "{seen}"
        );
        assert!(
            seen.contains("\r\ncontent-type: application/json\r\n"),
            "{seen}"
        );
    }

    #[tokio::test]
    async fn no_redirect_is_followed_and_refusals_are_told_apart() {
        let moved = "307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/elsewhere";
        for (head, status, again) in [
            (moved, 307, false),
            ("401 Unauthorized", 401, false),
            ("404 Not Found", 404, false),
            ("429 Too Many Requests", 429, true),
            ("403 Forbidden", 403, false),
            ("403 Forbidden\r\nx-ratelimit-remaining: 0", 429, true),
            ("403 Forbidden\r\nRetry-After: 60", 429, true),
            ("503 Service Unavailable", 503, true),
        ] {
            let (answer, _) = exchange(head).await;
            assert_eq!(answer, Answer::Refused(status));
            assert_eq!(answer.is_worth_another(), again, "{head}");
            let problem = answer.problem().expect("a problem");
            assert!(problem.contains(&status.to_string()), "{problem}");
        }
        assert!(Answer::Silent.is_worth_another());
    }
}

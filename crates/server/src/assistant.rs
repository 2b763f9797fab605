//! The language model that operators can have asked about failures.
//!
//! Guarantees: a question takes as long as the operator allows, and no redirect is followed; of the answer
//! 1 MiB at most is read and one text is taken, which nothing acts on. Neither question nor answer is logged.
//! Not here: what may be said to a model (`tose_model::assistant`), and who may ask (`app/analysis.rs`).

use serde::Deserialize;
use serde_json::json;
use tose_model::assistant::{Question, plain_answer};
use tose_model::secret::{ExposeSecret, SecretString};

use crate::config::AiConfig;
use crate::secrets::{VaultError, read_secret_file};
use crate::service_client;

/// The most that is read of an answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Why the model cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssistantError {
    /// The file with its key.
    #[error("[ai] api_key_file cannot be used")]
    File(#[from] VaultError),
    /// The machine's certificates.
    #[error("the client for [ai] cannot be made")]
    Client(#[from] reqwest::Error),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// It could not be reached, or not in time.
    #[error("it did not answer")]
    Silent(#[source] reqwest::Error),
    /// It answered with this status of HTTP.
    #[error("it answered {0}")]
    Refused(u16),
    /// Its answer is none.
    #[error("its answer has no text, or is too long")]
    Unreadable,
}

/// A language model behind an API like that of OpenAI.
pub(crate) struct Assistant {
    config: AiConfig,
    key: Option<SecretString>,
    client: reqwest::Client,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

impl Assistant {
    /// Reads the key.
    ///
    /// # Errors
    /// When its file is missing or can be read by others, or no client can be made.
    pub(crate) fn open(config: &AiConfig) -> Result<Self, AssistantError> {
        let key = config.api_key_file.as_deref();
        let client = service_client::builder(config.timeout).build()?;
        Ok(Self {
            key: key.map(read_secret_file).transpose()?,
            config: config.clone(),
            client,
        })
    }

    /// The model's name.
    pub(crate) fn model(&self) -> &str {
        &self.config.model
    }

    /// Asks once.
    ///
    /// # Errors
    /// What came in place of an answer.
    pub(crate) async fn ask(&self, question: &Question) -> Result<String, NoAnswer> {
        let body = json!({
            "model": self.config.model,
            "messages": [
                {"role": "system", "content": question.system},
                {"role": "user", "content": question.user},
            ],
            "stream": false,
        });
        let url = format!("{}/chat/completions", self.config.endpoint);
        let mut request = self.client.post(url).json(&body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose_secret());
        }
        let silent = |error: reqwest::Error| NoAnswer::Silent(error.without_url());
        let mut answer = request.send().await.map_err(silent)?;
        if !answer.status().is_success() {
            return Err(NoAnswer::Refused(answer.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(silent)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(NoAnswer::Unreadable);
            }
        }
        let completion: Completion =
            serde_json::from_slice(&bytes).map_err(|_| NoAnswer::Unreadable)?;
        let first = completion.choices.into_iter().next();
        first
            .and_then(|choice| plain_answer(&choice.message.content))
            .ok_or(NoAnswer::Unreadable)
    }
}

//! The HTTP client for services that the operator names: Git servers, payment services, language models, metrics.
//!
//! Guarantees: no redirect is followed, so that a secret goes nowhere else, and no proxy of the environment is asked.
//! Not here: addresses that users give (`outgoing.rs`).

use std::time::Duration;

use reqwest::redirect::Policy;

/// A client whose calls take so long at most, from the connection to the end of the answer.
pub(crate) fn builder(timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(timeout)
        .user_agent(concat!("tose/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
}

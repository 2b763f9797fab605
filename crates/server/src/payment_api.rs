//! Calls to payment services: pages to pay on are asked for, and what arrived is looked up.
//!
//! Guarantees: a call takes 10 s at most, and 4 MiB of its answer are read; no redirect is followed, so that a
//! secret goes to the configured host and to no other; neither what is sent nor what comes is logged.
//! What is looked up has the ids that notices have, so that crediting once per id credits once.
//! Not here: what is sent and how answers are read (`tose_model::payment`), and when.

use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::CONTENT_TYPE;
use tose_model::error::{Error, UNAVAILABLE};
use tose_model::payment::payos::{self, MadeLink, NewLink};
use tose_model::payment::stripe::{self, MadeSession, NewSession};
use tose_model::payment::vnpay::{self, NewPayment, Query};
use tose_model::payment::{Notice, PaymentError, Received, sepay};
use tose_model::secret::ExposeSecret;

use crate::config::{Payments, PayosConfig, SepayConfig, StripeConfig, VnpayConfig};
use crate::service_client;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of an answer, in bytes.
const MAX_ANSWER: usize = 4 << 20;

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The service is not set up, or not what this call needs of it.
    #[error("this payment service is not set up")]
    NotConfigured,
    /// It could not be reached, or not in time, or said too much.
    #[error("the payment service did not answer")]
    Silent,
    /// It answered with this status of HTTP.
    #[error("the payment service answered {0}")]
    Status(u16),
    /// It answered, and not with what was asked for.
    #[error("the payment service's answer cannot be used")]
    Answer(#[from] PaymentError),
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotConfigured => Self::NotFound("payment service"),
            error => Self::Unavailable {
                code: UNAVAILABLE,
                message: error.to_string(),
                source: Some(Box::new(error)),
            },
        }
    }
}

type Result<T> = std::result::Result<T, CallError>;

/// Calls the services that are set up.
pub(crate) struct PaymentApi {
    client: reqwest::Client,
    payments: Payments,
}

impl PaymentApi {
    /// # Errors
    /// When the machine's certificates cannot be used.
    pub(crate) fn new(payments: &Payments) -> tose_model::error::Result<Self> {
        let client = service_client::builder(TIMEOUT).build().map_err(|error| {
            Error::internal("the client for payment services cannot be made", error)
        })?;
        Ok(Self {
            client,
            payments: payments.clone(),
        })
    }

    /// What arrived on the account that SePay watches: transfers with this id and above, this many at most.
    ///
    /// # Errors
    /// What came in place of an answer.
    pub(crate) async fn list_sepay_transfers(
        &self,
        since_id: u64,
        limit: u32,
    ) -> Result<Vec<Notice>> {
        let config = self.sepay()?;
        let token = config.api_token.as_ref().ok_or(CallError::NotConfigured)?;
        let url = format!(
            "{}/userapi/transactions/list?since_id={since_id}&limit={limit}",
            config.base_url
        );
        let request = self.client.get(url).bearer_auth(token.expose_secret());
        Ok(sepay::read_list(&answer(request).await?)?)
    }

    /// Has PayOS make a link.
    ///
    /// # Errors
    /// What came in place of an answer.
    pub(crate) async fn create_payos_link(&self, link: &NewLink<'_>) -> Result<MadeLink> {
        let config = self.payos()?;
        let url = format!("{}/v2/payment-requests", config.base_url);
        let request = self
            .client
            .post(url)
            .json(&link.body(&config.checksum_key)?);
        Ok(payos::read_made_link(
            &answer(as_client(request, config)).await?,
        )?)
    }

    /// What was paid to a link of PayOS.
    ///
    /// # Errors
    /// What came in place of an answer.
    pub(crate) async fn list_payos_transfers(&self, order_code: u64) -> Result<Vec<Notice>> {
        let config = self.payos()?;
        let url = format!("{}/v2/payment-requests/{order_code}", config.base_url);
        let request = as_client(self.client.get(url), config);
        Ok(payos::read_link(&answer(request).await?)?)
    }

    /// The address of a page of VNPay. Nobody is called: the page is made when it is opened.
    ///
    /// # Errors
    /// When VNPay is not set up, or the amount is out of range.
    pub(crate) fn vnpay_page(&self, payment: &NewPayment<'_>) -> Result<String> {
        let config = self.vnpay()?;
        let url = vnpay::payment_url(&config.pay_url, config.merchant(), payment)?;
        Ok(url)
    }

    /// How a payment on a page of VNPay fares.
    ///
    /// # Errors
    /// What came in place of an answer.
    pub(crate) async fn get_vnpay_payment(&self, query: &Query<'_>) -> Result<Received> {
        let config = self.vnpay()?;
        let body = query.body(config.merchant())?;
        let request = self.client.post(&config.api_url).json(&body);
        let received = vnpay::read_query(config.merchant(), &answer(request).await?)?;
        Ok(received)
    }

    /// Has Stripe make a page to pay on; asked twice for one top-up, it makes one.
    ///
    /// # Errors
    /// What came in place of an answer.
    pub(crate) async fn create_stripe_session(
        &self,
        session: &NewSession<'_>,
    ) -> Result<MadeSession> {
        let config = self.stripe()?;
        let request = self
            .client
            .post(format!("{}/v1/checkout/sessions", config.base_url))
            .bearer_auth(config.secret_key.expose_secret())
            .header("Idempotency-Key", session.idempotency_key())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(session.form());
        Ok(stripe::read_made_session(&answer(request).await?)?)
    }

    /// How a page of Stripe fares.
    ///
    /// # Errors
    /// What came in place of an answer.
    pub(crate) async fn get_stripe_session(&self, id: &str) -> Result<Received> {
        let config = self.stripe()?;
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !id.bytes().all(is_id) {
            return Err(PaymentError::Malformed("this is no id of a session").into());
        }
        let url = format!("{}/v1/checkout/sessions/{id}", config.base_url);
        let request = self.client.get(url);
        let request = request.bearer_auth(config.secret_key.expose_secret());
        Ok(stripe::read_session(&answer(request).await?)?)
    }

    fn sepay(&self) -> Result<&SepayConfig> {
        self.payments.sepay.as_ref().ok_or(CallError::NotConfigured)
    }

    fn payos(&self) -> Result<&PayosConfig> {
        self.payments.payos.as_ref().ok_or(CallError::NotConfigured)
    }

    fn vnpay(&self) -> Result<&VnpayConfig> {
        self.payments.vnpay.as_ref().ok_or(CallError::NotConfigured)
    }

    fn stripe(&self) -> Result<&StripeConfig> {
        let stripe = self.payments.stripe.as_ref();
        stripe.ok_or(CallError::NotConfigured)
    }
}

fn as_client(request: RequestBuilder, config: &PayosConfig) -> RequestBuilder {
    request
        .header("x-client-id", &config.client_id)
        .header("x-api-key", config.api_key.expose_secret())
}

/// Sends a request; the body of what comes back.
async fn answer(request: RequestBuilder) -> Result<Vec<u8>> {
    let silent = |error: reqwest::Error| {
        tracing::debug!(error = %error.without_url(), "a payment service did not answer");
        CallError::Silent
    };
    let mut answer = request.send().await.map_err(silent)?;
    if !answer.status().is_success() {
        return Err(CallError::Status(answer.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(silent)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            return Err(CallError::Silent);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;

//! `…/wallet/topup`, what payment providers call, and what operators do about money.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use tose_api::wallet::{
    CreateTopup, CreateUsdTopup, GrantCredit, NoteRefund, PaymentStatus, ResolvePayment,
    TopupProvider,
};
use tose_model::Error;
use tose_model::access::{Access, Caller};
use tose_model::payment::vnpay::Answer;
use tose_model::payment::{PaymentError, payos, sepay, stripe, vnpay};

use crate::app::Platform;
use crate::app::payment::Outcome;
use crate::http::body::{Body, Page, read};
use crate::http::reply::{Reply, created, ok, page};

/// The largest notice, in bytes.
pub(crate) const MAX_NOTICE: usize = 1 << 20;

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<CreateTopup>,
) -> Reply {
    created(platform.create_topup(&access, input).await?)
}

pub(crate) async fn create_usd(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<CreateUsdTopup>,
) -> Reply {
    created(platform.create_usd_topup(&access, input).await?)
}

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Page(paging): Page,
) -> Reply {
    page(platform.list_topups(&access, paging).await?)
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): Path<(String, String)>,
) -> Reply {
    ok(platform.get_topup(&access, &id).await?)
}

/// A notice of SePay.
pub(crate) async fn sepay(
    State(platform): State<Arc<Platform>>,
    headers: HeaderMap,
    request: Request,
) -> Reply {
    let body = read(request).await?;
    let config = platform.config.payments.sepay.as_ref();
    let config = config.ok_or(PaymentError::NoSecret).map_err(Error::from)?;
    let from = sepay::Headers {
        signature: text(&headers, "x-sepay-signature"),
        timestamp: text(&headers, "x-sepay-timestamp"),
        authorization: text(&headers, AUTHORIZATION.as_str()),
    };
    let received = sepay::verify(config.keys(), from, &body, platform.now());
    let received = received.map_err(Error::from)?;
    platform
        .settle_notice(TopupProvider::Sepay, received)
        .await?;
    Ok(json(sepay::ANSWER))
}

/// A notice of PayOS.
pub(crate) async fn payos(State(platform): State<Arc<Platform>>, request: Request) -> Reply {
    let body = read(request).await?;
    let config = platform.config.payments.payos.as_ref();
    let config = config.ok_or(PaymentError::NoSecret).map_err(Error::from)?;
    let received = payos::verify(&config.checksum_key, &body).map_err(Error::from)?;
    platform
        .settle_notice(TopupProvider::Payos, received)
        .await?;
    Ok(json(sepay::ANSWER))
}

/// A notice of Stripe.
pub(crate) async fn stripe(
    State(platform): State<Arc<Platform>>,
    headers: HeaderMap,
    request: Request,
) -> Reply {
    let body = read(request).await?;
    let config = platform.config.payments.stripe.as_ref();
    let config = config.ok_or(PaymentError::NoSecret).map_err(Error::from)?;
    let signature = text(&headers, "stripe-signature").unwrap_or_default();
    let received = stripe::verify(&config.webhook_secret, signature, &body, platform.now());
    let received = received.map_err(Error::from)?;
    platform
        .settle_notice(TopupProvider::Stripe, received)
        .await?;
    Ok(json(sepay::ANSWER))
}

/// A notice of VNPay, which wants its own codes in the answer, always with 200.
pub(crate) async fn vnpay(
    State(platform): State<Arc<Platform>>,
    RawQuery(query): RawQuery,
) -> Reply {
    let Some(config) = platform.config.payments.vnpay.as_ref() else {
        return Ok(json(Answer::BadSignature.body()));
    };
    let query = query.unwrap_or_default();
    let answer = match vnpay::verify(config.merchant(), &query) {
        Err(PaymentError::BadSignature) => Answer::BadSignature,
        Err(error) => {
            tracing::info!(%error, "a notice of VNPay is not understood");
            Answer::Failed
        }
        Ok(received) => match platform.settle_notice(TopupProvider::Vnpay, received).await {
            Ok(Outcome::Credited | Outcome::Nothing) => Answer::Confirmed,
            Ok(Outcome::Known) => Answer::AlreadyConfirmed,
            Ok(Outcome::Unmatched) => Answer::OrderNotFound,
            Ok(Outcome::WrongAmount) => Answer::WrongAmount,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a payment could not be taken down"
                );
                Answer::Failed
            }
        },
    };
    Ok(json(answer.body()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn json(body: &'static str) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

pub(crate) async fn credit(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
    Path(slug): Path<String>,
    Body(input): Body<GrantCredit>,
) -> Reply {
    created(platform.grant_credit(&caller, &slug, input).await?)
}

pub(crate) async fn refund(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
    Path(slug): Path<String>,
    Body(input): Body<NoteRefund>,
) -> Reply {
    created(platform.note_refund(&caller, &slug, input).await?)
}

/// `?status=`
#[derive(Deserialize)]
pub(crate) struct PaymentsQuery {
    status: Option<PaymentStatus>,
}

pub(crate) async fn payments(
    State(platform): State<Arc<Platform>>,
    Page(paging): Page,
    query: Result<Query<PaymentsQuery>, QueryRejection>,
) -> Reply {
    let Query(query) = query
        .map_err(|_| Error::invalid_field("status", "must be credited, review or resolved"))?;
    page(platform.list_payments(query.status, paging).await?)
}

pub(crate) async fn resolve(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(input): Body<ResolvePayment>,
) -> Reply {
    ok(platform.resolve_payment(&caller, &id, input).await?)
}

//! `…/wallet`, and what is public of prices.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use tose_api::Timestamp;
use tose_api::wallet::{EstimateRequest, SetBudget, SetThreshold};
use tose_api::workspace::Role;
use tose_model::Error;
use tose_model::access::{Access, Caller, Credential, authorize};

use crate::app::Platform;
use crate::app::usage::to_csv;
use crate::http::body::{Body, Page};
use crate::http::reply::{Reply, list, ok, page};

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    ok(platform.get_wallet(&access).await?)
}

/// The wallet of the workspace that the key belongs to.
pub(crate) async fn get_own(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
) -> Reply {
    let membership = match &caller.credential {
        Credential::ApiKey { membership, .. } => membership.clone(),
        Credential::Session { .. } => {
            return Err(Error::invalid(
                "a login has no workspace of its own: ask for /api/workspaces/SLUG/wallet",
            )
            .into());
        }
    };
    let access = authorize(caller, Some(membership), Role::Member)?;
    ok(platform.get_wallet(&access).await?)
}

pub(crate) async fn transactions(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Page(paging): Page,
) -> Reply {
    page(platform.list_transactions(&access, paging).await?)
}

/// `?start=&end=&format=`
#[derive(Deserialize)]
pub(crate) struct UsageQuery {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    format: Option<String>,
}

pub(crate) async fn usage(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    query: Result<Query<UsageQuery>, QueryRejection>,
) -> Reply {
    let Query(query) = query.map_err(|_| {
        Error::invalid(
            "the query cannot be read: start and end are times such as 2026-01-31T08:00:00Z",
        )
    })?;
    let usage = platform.get_usage(&access, query.start, query.end).await?;
    match query.format.as_deref() {
        None | Some("json") => ok(usage),
        Some("csv") => {
            let headers = [
                (CONTENT_TYPE, "text/csv; charset=utf-8"),
                (CONTENT_DISPOSITION, "attachment; filename=\"usage.csv\""),
            ];
            Ok((headers, to_csv(&usage)).into_response())
        }
        Some(_) => Err(Error::invalid_field("format", "must be json or csv").into()),
    }
}

pub(crate) async fn set_threshold(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<SetThreshold>,
) -> Reply {
    ok(platform.set_threshold(&access, input).await?)
}

pub(crate) async fn set_budget(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<SetBudget>,
) -> Reply {
    ok(platform.set_budget(&access, input).await?)
}

pub(crate) async fn invoices(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    list(platform.list_invoices(&access).await?)
}

pub(crate) async fn invoice(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, month)): Path<(String, String)>,
) -> Reply {
    let pdf = platform.print_invoice(&access, &month).await?;
    let name = format!(
        "attachment; filename=\"{}-{month}.pdf\"",
        access.workspace()
    );
    let headers = [
        (CONTENT_TYPE, "application/pdf".to_owned()),
        (CONTENT_DISPOSITION, name),
    ];
    Ok((headers, pdf).into_response())
}

pub(crate) async fn pricing(State(platform): State<Arc<Platform>>) -> Reply {
    ok(platform.pricing())
}

pub(crate) async fn estimate(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<EstimateRequest>,
) -> Reply {
    ok(platform.estimate(&access, input).await?)
}

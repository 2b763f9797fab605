//! `…/github/installations`, and where GitHub sends people back to.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse};
use http::header::CONTENT_SECURITY_POLICY;
use serde::Deserialize;
use tose_api::github::ConnectGithub;
use tose_model::Error;
use tose_model::access::Access;

use crate::app::Platform;
use crate::app::github::{GithubCallback, GithubOffer};
use crate::http::body::{OptionalBody, Page};
use crate::http::docs::escape;
use crate::http::guard::Peer;
use crate::http::reply::{Reply, created, list as reply_list, ok, page};

pub(crate) async fn connect(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    OptionalBody(input): OptionalBody<ConnectGithub>,
) -> Reply {
    created(platform.connect_github(&access, input).await?)
}

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    reply_list(platform.list_github_installations(&access).await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): Path<(String, String)>,
) -> Reply {
    ok(platform.delete_github_installation(&access, &id).await?)
}

pub(crate) async fn repositories(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): Path<(String, String)>,
    Page(paging): Page,
) -> Reply {
    page(
        platform
            .list_github_repositories(&access, &id, paging)
            .await?,
    )
}

/// What GitHub adds to the callback's address.
#[derive(Deserialize)]
pub(crate) struct FromGithub {
    state: Option<String>,
    code: Option<String>,
    installation_id: Option<String>,
}

/// Where GitHub sends a browser back to. It changes nothing: the state is the proof, and a button the consent.
pub(crate) async fn callback(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    Query(query): Query<FromGithub>,
) -> Reply {
    let input = GithubCallback {
        state: query.state,
        code: query.code,
        installation_id: query.installation_id.and_then(|id| id.parse().ok()),
    };
    let offer = count(&platform, &peer, platform.check_github(input).await)?;
    shown(&offer_page(&offer))
}

/// What the page's button brings.
#[derive(Deserialize)]
pub(crate) struct Consent {
    token: Option<String>,
}

pub(crate) async fn accept(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    Query(query): Query<Consent>,
) -> Reply {
    let outcome = platform.accept_github(query.token.as_deref(), peer.ip);
    let (workspace, account) = count(&platform, &peer, outcome.await)?;
    shown(&format!(
        "<h1>Connected</h1><p>The workspace <b>{}</b> can deploy repositories of <b>{}</b>. This page can be closed.</p>",
        escape(&workspace),
        escape(&account)
    ))
}

/// Counts a refused token among the failures of its sender.
fn count<T>(
    platform: &Platform,
    peer: &Peer,
    outcome: tose_model::error::Result<T>,
) -> tose_model::error::Result<T> {
    if let (Err(Error::Invalid { .. }), Some(ip)) = (&outcome, peer.ip) {
        platform.limits.failures.count(&ip)?;
    }
    outcome
}

fn offer_page(offer: &GithubOffer) -> String {
    use tose_model::secret::ExposeSecret;
    // Ids and tokens are digits: they need no escaping.
    format!(
        "<h1>Connect GitHub?</h1>\
         <p><b>{}</b> asked to let the workspace <b>{}</b> read the repositories of <b>{}</b> on GitHub that you can read \
         there ({} now), set commit statuses in them, and deploy what is pushed to them.</p>\
         <p>Everybody in that workspace can then deploy them. Go on only if you know this workspace.</p>\
         <form method=\"post\" action=\"/api/github/callback?token={}\"><button>Connect</button></form>",
        escape(&offer.asked_by),
        escape(&offer.workspace),
        escape(&offer.found.account),
        offer.found.repositories.len(),
        offer.token.expose_secret()
    )
}

/// A page that runs nothing, loads nothing, and sends its form here alone.
fn shown(body: &str) -> Reply {
    const POLICY: &str =
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>TOSE</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:4em auto;padding:0 1em}}</style>\
         <body>{body}</body></html>"
    );
    Ok(([(CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response())
}

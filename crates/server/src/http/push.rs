//! `/api/webhooks/…`: push events of Git servers, and what became of a project's.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::{Extension, RequestExt};
use bytes::Bytes;
use http::HeaderMap;
use tose_api::git::GitProvider;
use tose_model::Error;
use tose_model::access::Access;
use tose_model::secret::SecretString;

use crate::app::Platform;
use crate::app::push::{Proof, PushEvent};
use crate::http::body::Page;
use crate::http::error::{ApiError, Transport};
use crate::http::guard::Peer;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, accepted, created, ok, page};

/// The largest event, in bytes: what GitHub sends at most.
pub(crate) const MAX_EVENT: usize = 25 << 20;
/// The longest id of an event that is kept.
const MAX_DELIVERY: usize = 200;

pub(crate) async fn github(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Reply {
    let headers = request.headers();
    let proof = signature(headers, &["x-hub-signature-256"]);
    let kind = text(headers, &["x-github-event"]);
    let delivery = text(headers, &["x-github-delivery"]);
    let head = Head {
        provider: GitProvider::Github,
        kind,
        delivery,
        proof,
    };
    receive(&platform, &peer, head, request).await
}

pub(crate) async fn gitlab(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Reply {
    let headers = request.headers();
    let proof = text(headers, &["x-gitlab-token"]);
    let kind = text(headers, &["x-gitlab-event"]);
    let delivery = text(headers, &["idempotency-key", "x-gitlab-event-uuid"]);
    let head = Head {
        provider: GitProvider::Gitlab,
        kind,
        delivery,
        proof: proof.map(|token| Proof::Token(SecretString::from(token))),
    };
    receive(&platform, &peer, head, request).await
}

pub(crate) async fn gitea(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Reply {
    let headers = request.headers();
    let proof = signature(
        headers,
        &[
            "x-forgejo-signature",
            "x-gitea-signature",
            "x-hub-signature-256",
        ],
    );
    let kind = text(headers, &["x-forgejo-event", "x-gitea-event"]);
    let delivery = text(headers, &["x-forgejo-delivery", "x-gitea-delivery"]);
    let head = Head {
        provider: GitProvider::Gitea,
        kind,
        delivery,
        proof,
    };
    receive(&platform, &peer, head, request).await
}

/// What an event's headers say.
struct Head {
    provider: GitProvider,
    kind: Option<String>,
    delivery: Option<String>,
    proof: Option<Proof>,
}

async fn receive(platform: &Platform, peer: &Peer, head: Head, request: Request) -> Reply {
    // Before a byte of the body is read: these may be large, and come from anybody.
    let refused = || {
        Error::unauthenticated(
            "the event is not signed; enter the secret of GET …/git/webhook at the Git server",
        )
    };
    let Some(proof) = head.proof else {
        return Err(count_failure(platform, peer, refused()));
    };
    let _place = platform.limits.push_event().await;
    let event = PushEvent {
        provider: head.provider,
        kind: head.kind.unwrap_or_default(),
        delivery: head.delivery.filter(|id| id.len() <= MAX_DELIVERY),
        proof,
        body: read(request).await?,
        ip: peer.ip,
    };
    match platform.receive_push(event).await {
        Err(error @ Error::Unauthenticated { .. }) => Err(count_failure(platform, peer, error)),
        outcome => accepted(outcome?),
    }
}

/// The error, or that there were too many of them from this address.
fn count_failure(platform: &Platform, peer: &Peer, error: Error) -> ApiError {
    let counted = peer.ip.map(|ip| platform.limits.failures.count(&ip));
    match counted {
        Some(Err(limited)) => limited.into(),
        _ => error.into(),
    }
}

async fn read(request: Request) -> Result<Bytes, ApiError> {
    request.extract::<Bytes, _>().await.map_err(|rejection| {
        if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            Transport::TooLarge.into()
        } else {
            Transport::TooSlow.into()
        }
    })
}

fn text(headers: &HeaderMap, names: &[&str]) -> Option<String> {
    let values = names
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok());
    values
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .next()
}

/// A signature in hex digits, with or without the name of its kind in front.
fn signature(headers: &HeaderMap, names: &[&str]) -> Option<Proof> {
    let text = text(headers, names)?;
    let digits = text.strip_prefix("sha256=").unwrap_or(&text);
    hex::decode(digits).ok().map(Proof::Signature)
}

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Page(paging): Page,
) -> Reply {
    page(
        platform
            .list_push_deliveries(&access, &project, paging)
            .await?,
    )
}

pub(crate) async fn webhook(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.get_git_webhook(&access, &project).await?)
}

pub(crate) async fn renew_webhook(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    created(platform.renew_git_webhook(&access, &project).await?)
}

pub(crate) async fn create_deploy_key(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    created(platform.create_deploy_key(&access, &project).await?)
}

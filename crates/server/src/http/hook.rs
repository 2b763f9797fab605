//! `…/projects/:project_slug/webhooks/deploy`: an address for CI systems.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_model::Error;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::guard::Peer;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, accepted, created, ok};

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.get_deploy_hook(&access, &project).await?)
}

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    created(platform.create_deploy_hook(&access, &project).await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.delete_deploy_hook(&access, &project).await?)
}

pub(crate) async fn call(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    Path((workspace, project, token)): Path<(String, String, String)>,
) -> Reply {
    let outcome = platform
        .call_deploy_hook(&workspace, &project, &token, peer.ip)
        .await;
    if let (Err(Error::NotFound(_)), Some(ip)) = (&outcome, peer.ip) {
        platform.limits.failures.count(&ip)?;
    }
    accepted(outcome?)
}

//! `…/projects/:project_slug/domains`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::domain::{AddDomain, SetCertificate};
use tose_api::domain_settings::DomainSettings;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::Body;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, created, list as reply_list, ok};

/// The slugs of workspace and project, and the domain's id.
type DomainPath = Path<(String, String, String)>;

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    reply_list(platform.list_domains(&access, &project).await?)
}

pub(crate) async fn add(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<AddDomain>,
) -> Reply {
    created(platform.add_domain(&access, &project, input).await?)
}

pub(crate) async fn verify(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DomainPath,
) -> Reply {
    ok(platform.verify_domain(&access, &project, &id).await?)
}

pub(crate) async fn set_certificate(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DomainPath,
    Body(input): Body<SetCertificate>,
) -> Reply {
    ok(platform
        .set_certificate(&access, &project, &id, input)
        .await?)
}

pub(crate) async fn delete_certificate(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DomainPath,
) -> Reply {
    ok(platform.delete_certificate(&access, &project, &id).await?)
}

pub(crate) async fn set_settings(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DomainPath,
    Body(input): Body<DomainSettings>,
) -> Reply {
    ok(platform
        .set_domain_settings(&access, &project, &id, input)
        .await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, id)): DomainPath,
) -> Reply {
    ok(platform.delete_domain(&access, &project, &id).await?)
}

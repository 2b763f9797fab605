//! `/api/templates` and `/api/workspaces/:slug/templates`. Most of an instance's routes are those of
//! projects.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::env_var::SetEnvVar;
use tose_api::template::{CreateInstance, DeployInstance};
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::{Body, BodyList, OptionalBody, Page};
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, created, list as whole, ok, page};

pub(crate) async fn catalogue(State(platform): State<Arc<Platform>>) -> Reply {
    whole(platform.list_templates())
}

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Page(paging): Page,
) -> Reply {
    page(platform.list_instances(&access, paging).await?)
}

pub(crate) async fn create(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<CreateInstance>,
) -> Reply {
    created(platform.create_instance(&access, input).await?)
}

pub(crate) async fn deploy(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, template)): ProjectPath,
    OptionalBody(input): OptionalBody<DeployInstance>,
) -> Reply {
    created(platform.deploy_instance(&access, &template, input).await?)
}

pub(crate) async fn set_env(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, template)): ProjectPath,
    BodyList(input): BodyList<SetEnvVar>,
) -> Reply {
    ok(platform.set_env_list(&access, &template, input).await?)
}

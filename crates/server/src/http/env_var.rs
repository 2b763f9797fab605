//! `…/projects/:project_slug/env`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use tose_api::env_var::{ChangeEnvVar, SetEnvVar, SetEnvVars};
use tose_model::Error;
use tose_model::access::Access;

use crate::app::Platform;
use crate::app::env_var::Reveal;
use crate::http::body::Body;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, created, list as reply_list, ok};

/// The slugs of workspace and project, and the variable's name.
type EnvPath = Path<(String, String, String)>;

#[derive(Deserialize)]
pub(crate) struct RevealQuery {
    #[serde(default)]
    reveal: bool,
}

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    reply_list(platform.list_env_vars(&access, &project).await?)
}

pub(crate) async fn set(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<SetEnvVar>,
) -> Reply {
    created(platform.set_env_var(&access, &project, input).await?)
}

pub(crate) async fn change(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, key)): EnvPath,
    Body(input): Body<ChangeEnvVar>,
) -> Reply {
    ok(platform
        .change_env_var(&access, &project, &key, input)
        .await?)
}

pub(crate) async fn set_bulk(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
    Body(input): Body<SetEnvVars>,
) -> Reply {
    ok(platform.set_env_vars(&access, &project, input).await?)
}

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, key)): EnvPath,
    query: Result<Query<RevealQuery>, QueryRejection>,
) -> Reply {
    let Query(query) =
        query.map_err(|_| Error::invalid_field("reveal", "must be true or false"))?;
    let reveal = if query.reveal {
        Reveal::Yes
    } else {
        Reveal::No
    };
    ok(platform
        .get_env_var(&access, &project, &key, reveal)
        .await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, key)): EnvPath,
) -> Reply {
    ok(platform.delete_env_var(&access, &project, &key).await?)
}

//! `…/projects/:project_slug/schedules`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::schedule::SetSchedule;
use tose_model::access::Access;

use crate::app::Platform;
use crate::http::body::Body;
use crate::http::project::ProjectPath;
use crate::http::reply::{Reply, ok};

/// The slugs of workspace and project, and the schedule's name.
type SchedulePath = Path<(String, String, String)>;

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project)): ProjectPath,
) -> Reply {
    ok(platform.list_schedules(&access, &project).await?)
}

pub(crate) async fn set(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, name)): SchedulePath,
    Body(input): Body<SetSchedule>,
) -> Reply {
    ok(platform
        .set_schedule(&access, &project, &name, input)
        .await?)
}

pub(crate) async fn delete(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, project, name)): SchedulePath,
) -> Reply {
    ok(platform.delete_schedule(&access, &project, &name).await?)
}

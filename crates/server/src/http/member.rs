//! Who belongs to a workspace: members, invitations, API keys; and what they did.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use tose_api::member::{AddMember, ChangeRole, CreateApiKey, Invite};
use tose_model::access::{Access, Caller};

use crate::app::Platform;
use crate::http::body::{Body, Page};
use crate::http::reply::{Reply, created, list as reply_list, ok, page};

/// The workspace's slug and an id.
type IdPath = Path<(String, String)>;

pub(crate) async fn list(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    reply_list(platform.list_members(&access).await?)
}

pub(crate) async fn add(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<AddMember>,
) -> Reply {
    created(platform.add_member(&access, input).await?)
}

pub(crate) async fn change_role(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, user)): IdPath,
    Body(input): Body<ChangeRole>,
) -> Reply {
    ok(platform.change_role(&access, &user, input).await?)
}

pub(crate) async fn remove(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, user)): IdPath,
) -> Reply {
    ok(platform.remove_member(&access, &user).await?)
}

pub(crate) async fn list_invitations(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    reply_list(platform.list_invitations(&access).await?)
}

pub(crate) async fn invite(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<Invite>,
) -> Reply {
    created(platform.create_invitation(&access, input).await?)
}

pub(crate) async fn delete_invitation(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): IdPath,
) -> Reply {
    ok(platform.delete_invitation(&access, &id).await?)
}

pub(crate) async fn accept_invitation(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
    Path(token): Path<String>,
) -> Reply {
    ok(platform.accept_invitation(&caller, &token).await?)
}

pub(crate) async fn list_keys(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    reply_list(platform.list_api_keys(&access).await?)
}

pub(crate) async fn create_key(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<CreateApiKey>,
) -> Reply {
    created(platform.create_api_key(&access, input).await?)
}

pub(crate) async fn delete_key(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, id)): IdPath,
) -> Reply {
    ok(platform.delete_api_key(&access, &id).await?)
}

pub(crate) async fn events(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Page(paging): Page,
) -> Reply {
    page(platform.list_events(&access, paging).await?)
}

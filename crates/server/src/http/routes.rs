//! Every route, with its handler and who may call it. There is no other list.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, post, put};
use tose_api::workspace::Role;

use crate::app::Platform;
use crate::http::error::{ApiError, Transport};
use crate::http::guard::{self, Guard, KeyPlace, Needs};
use crate::http::{accept, deployment, env_var, git, log_socket, project, system, workspace};

/// The largest body that a call may have, in bytes.
const MAX_BODY: usize = 1 << 20;

/// One line of the list.
struct Route {
    /// As the list shows it; the handler knows its method itself.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "read by the test that writes the list down")
    )]
    method: &'static str,
    path: String,
    needs: Needs,
    key_place: KeyPlace,
    handler: MethodRouter<Arc<Platform>>,
}

const W: &str = "/api/workspaces/{slug}";
const P: &str = "/api/workspaces/{slug}/projects/{project_slug}";

const ANYBODY: Needs = Needs::Nothing;
const KEY: Needs = Needs::Key;
const MEMBER: Needs = Needs::Role(Role::Member);
const ADMIN: Needs = Needs::Role(Role::Admin);
const OWNER: Needs = Needs::Role(Role::Owner);

#[rustfmt::skip]
fn routes() -> Vec<Route> {
    let w = |path: &str| format!("{W}{path}");
    let p = |path: &str| format!("{P}{path}");
    vec![
        route("GET", "/healthz", ANYBODY, get(system::healthz)),
        route("GET", "/readyz", ANYBODY, get(system::readyz)),
        route("GET", "/api/version", ANYBODY, get(system::version)),
        route("GET", "/api/me", KEY, get(system::me)),

        route("GET", "/api/workspaces", KEY, get(workspace::list)),
        route("POST", "/api/workspaces", KEY, post(workspace::create)),
        route("GET", w(""), MEMBER, get(workspace::get)),
        route("PUT", w(""), ADMIN, put(workspace::update)),
        route("DELETE", w(""), OWNER, delete(workspace::delete)),

        route("GET", w("/projects"), MEMBER, get(project::list)),
        route("POST", w("/projects"), ADMIN, post(project::create)),
        route("GET", p(""), MEMBER, get(project::get)),
        route("PUT", p(""), ADMIN, put(project::update)),
        route("DELETE", p(""), ADMIN, delete(project::delete)),
        route("GET", p("/status"), MEMBER, get(project::status)),
        route("POST", p("/start"), MEMBER, post(project::start)),
        route("POST", p("/stop"), ADMIN, post(project::stop)),
        route("POST", p("/restart"), MEMBER, post(project::restart)),
        route("GET", p("/domains"), MEMBER, get(project::domains)),

        route("GET", p("/git"), MEMBER, get(git::get)),
        route("POST", p("/git"), ADMIN, post(git::connect)),
        route("PUT", p("/git"), ADMIN, put(git::update)),
        route("DELETE", p("/git"), ADMIN, delete(git::disconnect)),
        route("GET", p("/git-connection"), MEMBER, get(git::get)),
        route("POST", p("/git-connection"), ADMIN, post(git::connect)),
        route("PUT", p("/git-connection"), ADMIN, put(git::update)),
        route("DELETE", p("/git-connection"), ADMIN, delete(git::disconnect)),

        route("GET", p("/env"), MEMBER, get(env_var::list)),
        route("POST", p("/env"), ADMIN, post(env_var::set)),
        route("PUT", p("/env/bulk"), ADMIN, put(env_var::set_bulk)),
        route("POST", p("/env/bulk"), ADMIN, post(env_var::set_bulk)),
        route("GET", p("/env/{key}"), MEMBER, get(env_var::get)),
        route("DELETE", p("/env/{key}"), ADMIN, delete(env_var::delete)),
        route("GET", p("/env-vars"), MEMBER, get(env_var::list)),
        route("POST", p("/env-vars"), ADMIN, post(env_var::set)),
        route("PUT", p("/env-vars/bulk"), ADMIN, put(env_var::set_bulk)),
        route("POST", p("/env-vars/bulk"), ADMIN, post(env_var::set_bulk)),
        route("GET", p("/env-vars/{key}"), MEMBER, get(env_var::get)),
        route("DELETE", p("/env-vars/{key}"), ADMIN, delete(env_var::delete)),

        route("GET", p("/deployments"), MEMBER, get(deployment::list)),
        route("POST", p("/deployments"), MEMBER, post(deployment::create)),
        route("POST", p("/deployments/redeploy"), MEMBER, post(deployment::redeploy)),
        route("POST", p("/redeploy"), MEMBER, post(deployment::redeploy)),
        route("GET", p("/deployments/{id}"), MEMBER, get(deployment::get)),
        route("POST", p("/deployments/{id}/stop"), MEMBER, post(deployment::stop)),

        socket(p("/live-logs"), MEMBER, get(log_socket::live)),
        socket(p("/build-logs"), MEMBER, get(log_socket::newest_build)),
        socket(p("/deployments/{id}/build-logs"), MEMBER, get(log_socket::build)),
    ]
}

fn route(
    method: &'static str,
    path: impl Into<String>,
    needs: Needs,
    handler: MethodRouter<Arc<Platform>>,
) -> Route {
    Route {
        method,
        path: path.into(),
        needs,
        key_place: KeyPlace::Header,
        handler,
    }
}

fn socket(path: String, needs: Needs, handler: MethodRouter<Arc<Platform>>) -> Route {
    Route {
        method: "WS",
        path,
        needs,
        key_place: KeyPlace::HeaderOrQuery,
        handler,
    }
}

/// The whole API.
pub(crate) fn router(platform: &Arc<Platform>) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let guard = Guard {
            platform: Arc::clone(platform),
            needs: route.needs,
            key_place: route.key_place,
        };
        let handler = route.handler.layer(from_fn_with_state(guard, guard::check));
        router = router.route(&route.path, handler);
    }
    router
        .fallback(async || ApiError::from(Transport::UnknownRoute))
        .method_not_allowed_fallback(async || ApiError::from(Transport::WrongMethod))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(Arc::clone(platform), accept::frame))
        .layer(from_fn(accept::catch_panic))
        .with_state(Arc::clone(platform))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_as_written_down() {
        let lines: Vec<String> = routes()
            .iter()
            .map(|route| {
                let needs = match route.needs {
                    Needs::Nothing => "anybody",
                    Needs::Key => "key",
                    Needs::Role(role) => role.as_str(),
                };
                format!("{:6} {} ({needs})", route.method, route.path)
            })
            .collect();
        insta::assert_snapshot!("routes", lines.join("\n"));
    }

    #[test]
    fn only_sockets_take_the_key_from_the_query() {
        for route in routes() {
            let is_socket = route.method == "WS";
            assert_eq!(
                route.key_place == KeyPlace::HeaderOrQuery,
                is_socket,
                "{}",
                route.path
            );
        }
    }
}

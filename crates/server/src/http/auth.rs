//! `/api/auth` and `/api/me`: people who log in.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::SET_COOKIE;
use tose_api::account::{
    ChangePassword, ConfirmTotp, DisableTotp, ForgotPassword, Login, Register, ResetPassword,
    UpdateMe,
};
use tose_model::Error;
use tose_model::access::Caller;
use tose_model::secret::ExposeSecret;

use crate::app::{LoggedIn, Platform, SESSION_LIFETIME};
use crate::http::body::Body;
use crate::http::error::ApiError;
use crate::http::guard::{Peer, SESSION_COOKIE};
use crate::http::reply::{Reply, accepted, created, ok};

pub(crate) async fn register(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    Body(input): Body<Register>,
) -> Reply {
    let made = platform.register(input).await;
    let logged_in = counted(&platform, peer.ip, made)?;
    with_cookie(created(&logged_in.view)?, &logged_in)
}

pub(crate) async fn login(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    Body(input): Body<Login>,
) -> Reply {
    let made = platform.login(input).await;
    let logged_in = counted(&platform, peer.ip, made)?;
    with_cookie(ok(&logged_in.view)?, &logged_in)
}

pub(crate) async fn logout(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
) -> Reply {
    let mut response = ok(platform.logout(&caller).await?)?;
    set_cookie(&mut response, &format!("{SESSION_COOKIE}=; Max-Age=0"))?;
    Ok(response)
}

pub(crate) async fn forgot_password(
    State(platform): State<Arc<Platform>>,
    Body(input): Body<ForgotPassword>,
) -> Reply {
    accepted(platform.forgot_password(input).await?)
}

pub(crate) async fn reset_password(
    State(platform): State<Arc<Platform>>,
    Extension(peer): Extension<Peer>,
    Body(input): Body<ResetPassword>,
) -> Reply {
    let outcome = platform.use_password_reset(input).await;
    ok(counted(&platform, peer.ip, outcome)?)
}

pub(crate) async fn me(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
) -> Reply {
    ok(platform.me(&caller, peer.csrf_token).await?)
}

pub(crate) async fn update_me(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    Body(input): Body<UpdateMe>,
) -> Reply {
    ok(platform.update_me(&caller, input, peer.csrf_token).await?)
}

pub(crate) async fn change_password(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
    Body(input): Body<ChangePassword>,
) -> Reply {
    ok(platform.change_password(&caller, input).await?)
}

pub(crate) async fn start_totp(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
) -> Reply {
    ok(platform.start_totp(&caller).await?)
}

pub(crate) async fn confirm_totp(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
    Body(input): Body<ConfirmTotp>,
) -> Reply {
    ok(platform.confirm_totp(&caller, input).await?)
}

pub(crate) async fn disable_totp(
    State(platform): State<Arc<Platform>>,
    Extension(caller): Extension<Caller>,
    Body(input): Body<DisableTotp>,
) -> Reply {
    ok(platform.disable_totp(&caller, input).await?)
}

/// Counts what was refused against the address that it came from: guessing gets slow.
fn counted<T>(
    platform: &Platform,
    ip: Option<IpAddr>,
    outcome: Result<T, Error>,
) -> Result<T, Error> {
    if let (Err(Error::Unauthenticated { .. }), Some(ip)) = (&outcome, ip) {
        platform.limits.failures.count(&ip)?;
    }
    outcome
}

fn with_cookie(mut response: Response, logged_in: &LoggedIn) -> Reply {
    let cookie = format!(
        "{SESSION_COOKIE}={}; Max-Age={}",
        logged_in.token.expose_secret(),
        SESSION_LIFETIME.as_secs()
    );
    set_cookie(&mut response, &cookie)?;
    Ok(response.into_response())
}

/// The prefix `__Host-` makes browsers insist on these attributes.
fn set_cookie(response: &mut Response, cookie: &str) -> Result<(), ApiError> {
    let cookie = format!("{cookie}; Path=/; Secure; HttpOnly; SameSite=Lax");
    let mut value = HeaderValue::from_str(&cookie)
        .map_err(|error| Error::internal("a cookie could not be written", error))?;
    value.set_sensitive(true);
    response.headers_mut().append(SET_COOKIE, value);
    Ok(())
}

//! Who may enter: runs before each handler, with the access that the route list names.
//!
//! A caller shows an API key, or the cookie of a login. A browser sends a cookie whoever made the
//! page, so with one every call that changes something also needs `X-CSRF-Token`, and none may
//! come from another origin.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method};
use subtle::ConstantTimeEq;
use tose_api::workspace::Role;
use tose_model::Error;
use tose_model::access::{Access, Among, Caller, Credential, authorize};
use uuid::Uuid;

use crate::app::{Platform, Presented};
use crate::http::error::ApiError;
use crate::http::idempotency;
use crate::secrets;

/// The cookie that carries a login's token.
pub(crate) const SESSION_COOKIE: &str = "__Host-tose_session";
const X_CSRF_TOKEN: &str = "x-csrf-token";
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: anybody may call it.
    Nothing,
    /// A valid key or login.
    Caller,
    /// A login: a key that leaked must not be able to take the account.
    Login,
    /// A member of the workspace in the path with this role or above.
    Role(Role),
    /// An account that may do what concerns the whole installation.
    Operator,
}

/// Where the key may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    /// In a header.
    Header,
    /// In a header, or as `?api_key=`: browsers cannot set headers on a WebSocket.
    HeaderOrQuery,
    /// The same for a file that is downloaded, for which browsers set none either.
    HeaderOrQueryOfDownload,
    /// In a header, or as the password of `Authorization: Basic`, which is what Git sends.
    HeaderOrPassword,
}

/// What the guard of one route knows.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) platform: Arc<Platform>,
    pub(crate) needs: Needs,
    pub(crate) key_place: KeyPlace,
}

/// What handlers may want to know of who calls, besides their access.
#[derive(Clone)]
pub(crate) struct Peer {
    /// Where the call came from, as far as it can be believed.
    pub(crate) ip: Option<IpAddr>,
    /// The token that a login's page has to send along.
    pub(crate) csrf_token: Option<String>,
}

/// Lets a request through with a [`Peer`], and a [`Caller`] or an [`Access`] beside it, or answers
/// why not.
pub(crate) async fn check(
    State(guard): State<Guard>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let platform = &guard.platform;
    let ip = find_ip(platform, &request);
    // The body is no part of the decision, and a reference to it could not be held while waiting.
    let asked = Asked::new(&request, guard.key_place, ip);
    let admitted = match admit(&guard, &params, asked).await {
        Ok(admitted) => admitted,
        Err(error) => {
            let is_unknown = matches!(error, Error::Unauthenticated { .. });
            let mut response = ApiError::from(error).into_response();
            if is_unknown && guard.key_place == KeyPlace::HeaderOrPassword {
                // Git sends a password when it is asked for one.
                const ASK: HeaderValue = HeaderValue::from_static("Basic realm=\"TOSE\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, ASK);
            }
            return response;
        }
    };
    request.extensions_mut().insert(Peer {
        ip,
        csrf_token: admitted.csrf_token,
    });
    let replay_key = request.headers().get(IDEMPOTENCY_KEY).cloned();
    let (owner, mut who) = match admitted.who {
        None => return next.run(request).await,
        Some(who) => (who.owner(), who),
    };
    let is_replayable = request.method() == Method::POST && guard.key_place == KeyPlace::Header;
    let Some(key) = replay_key.filter(|_| is_replayable) else {
        who.attach(&mut request);
        return next.run(request).await;
    };
    idempotency::run(platform, &owner, &key, request, move |mut request, name| {
        who.set_idempotency(name);
        who.attach(&mut request);
        next.run(request)
    })
    .await
}

struct Admitted {
    who: Option<Who>,
    csrf_token: Option<String>,
}

enum Who {
    Caller(Caller),
    Access(Box<Access>),
}

impl Who {
    fn attach(self, request: &mut Request) {
        match self {
            Self::Caller(caller) => {
                request.extensions_mut().insert(caller);
            }
            Self::Access(access) => {
                request.extensions_mut().insert(*access);
            }
        }
    }

    /// Whose idempotency keys these are.
    fn owner(&self) -> String {
        match self {
            Self::Caller(caller) => caller.user_id.to_string(),
            Self::Access(access) => access
                .actor()
                .user_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
        }
    }

    fn set_idempotency(&mut self, name: String) {
        match self {
            Self::Caller(caller) => caller.idempotency = Some(name),
            Self::Access(access) => access.set_idempotency(name),
        }
    }
}

/// What the decision is made from.
struct Asked {
    key: Option<String>,
    session: Option<String>,
    csrf_token: Option<String>,
    is_same_origin: Option<bool>,
    is_safe: bool,
    is_socket: bool,
    origin: Option<String>,
    ip: Option<IpAddr>,
}

impl Asked {
    fn new(request: &Request, place: KeyPlace, ip: Option<IpAddr>) -> Self {
        let headers = request.headers();
        Self {
            key: find_key(request, place),
            session: find_session(headers),
            csrf_token: text(headers, X_CSRF_TOKEN).map(str::to_owned),
            is_same_origin: text(headers, ORIGIN.as_str()).map(|origin| {
                let host = text(headers, HOST.as_str()).unwrap_or_default();
                origin
                    .split_once("://")
                    .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
            }),
            is_safe: matches!(*request.method(), Method::GET | Method::HEAD),
            is_socket: place == KeyPlace::HeaderOrQuery,
            origin: text(headers, ORIGIN.as_str()).map(str::to_owned),
            ip,
        }
    }

    fn presented(&self) -> Option<Presented> {
        match (&self.key, &self.session) {
            (Some(key), _) => Some(Presented::Key(key.clone())),
            (None, Some(token)) => Some(Presented::Session(token.clone())),
            (None, None) => None,
        }
    }
}

/// Among what a path names something, by how its part is called in the list of routes.
fn named_among(params: &RawPathParams) -> Among {
    let has = |name| params.iter().any(|(param, _)| param == name);
    if has("database") {
        Among::Databases
    } else if has("template_slug") {
        Among::Templates
    } else {
        Among::Projects
    }
}

async fn admit(guard: &Guard, params: &RawPathParams, asked: Asked) -> Result<Admitted, Error> {
    let limits = &guard.platform.limits;
    if guard.needs == Needs::Nothing {
        if let Some(ip) = asked.ip {
            limits.strangers.count(&ip)?;
        }
        return Ok(Admitted {
            who: None,
            csrf_token: None,
        });
    }
    let presented = asked.presented().ok_or(Error::unauthenticated(
        "an API key is needed; send it in the header X-API-Key",
    ))?;
    let found = match guard.platform.authenticate(&presented, asked.ip).await {
        Ok(found) => found,
        Err(error) => {
            if let Some(ip) = asked.ip {
                limits.failures.count(&ip)?;
            }
            return Err(error);
        }
    };
    let caller = found.caller;
    limits.calls.count(&credential_id(&caller))?;
    let csrf_token = match &presented {
        Presented::Session(token) => Some(check_page(guard, &asked, token)?),
        Presented::Key(_) => None,
    };
    let who = match guard.needs {
        Needs::Nothing | Needs::Caller => Who::Caller(caller),
        Needs::Login if csrf_token.is_some() => Who::Caller(caller),
        Needs::Login => {
            return Err(Error::Forbidden(
                "an API key cannot do this; log in with POST /api/auth/login".to_owned(),
            ));
        }
        Needs::Operator if found.is_operator => Who::Caller(caller),
        Needs::Operator => {
            return Err(Error::Forbidden(
                "this is for the operators of the server".to_owned(),
            ));
        }
        Needs::Role(role) => {
            let slug = params
                .iter()
                .find(|(name, _)| *name == "slug")
                .map_or("", |(_, value)| value);
            let membership = guard.platform.find_membership(&caller, slug).await?;
            let access = authorize(caller, membership, role)?;
            Who::Access(Box::new(access.within(named_among(params))))
        }
    };
    Ok(Admitted {
        who: Some(who),
        csrf_token,
    })
}

fn credential_id(caller: &Caller) -> Uuid {
    match &caller.credential {
        Credential::ApiKey { id, .. } => *id.as_uuid(),
        Credential::Session { id } => *id.as_uuid(),
    }
}

/// Whether a call that came with a cookie was made by our own page; answers that page's token.
fn check_page(guard: &Guard, asked: &Asked, session: &str) -> Result<String, Error> {
    let expected = secrets::csrf_token(session);
    let is_ours = asked.is_same_origin == Some(true)
        || asked
            .origin
            .as_deref()
            .is_some_and(|origin| origin == guard.platform.config.public_url.trim_end_matches('/'));
    if asked.is_same_origin.is_some() && !is_ours {
        return Err(Error::Forbidden(
            "this call came from a page of another site".to_owned(),
        ));
    }
    if asked.is_socket && !is_ours {
        return Err(Error::Forbidden(
            "a WebSocket with a cookie needs the header Origin of this site".to_owned(),
        ));
    }
    if asked.is_safe {
        return Ok(expected);
    }
    let is_right = asked
        .csrf_token
        .as_deref()
        .is_some_and(|token| bool::from(token.as_bytes().ct_eq(expected.as_bytes())));
    if is_right {
        Ok(expected)
    } else {
        Err(Error::Forbidden(
            "with a cookie this call needs the header X-CSRF-Token; GET /api/me answers it"
                .to_owned(),
        ))
    }
}

/// The peer's address; behind a proxy that is trusted, the one that it says.
fn find_ip(platform: &Platform, request: &Request) -> Option<IpAddr> {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip())?;
    let is_trusted = |ip: &IpAddr| {
        platform
            .config
            .trusted_proxies
            .iter()
            .any(|network| network.contains(ip))
    };
    if !is_trusted(&peer) {
        return Some(peer);
    }
    // From the right: each proxy adds whom it saw. The first that is no proxy of ours is the client.
    let forwarded = text(request.headers(), "x-forwarded-for").unwrap_or_default();
    let client = forwarded
        .rsplit(',')
        .map_while(|part| part.trim().parse::<IpAddr>().ok())
        .find(|ip| !is_trusted(ip));
    Some(client.unwrap_or(peer))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn find_session(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == SESSION_COOKIE).then(|| value.to_owned())
        })
}

/// The password of `Authorization: Basic`, whatever the user name.
fn password(headers: &HeaderMap) -> Option<String> {
    let (scheme, encoded) = text(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let (_, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some(password.to_owned())
}

fn find_key(request: &Request, place: KeyPlace) -> Option<String> {
    let headers = request.headers();
    if let Some(key) = text(headers, "x-api-key") {
        return Some(key.trim().to_owned());
    }
    if let Some(key) = text(headers, AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    }) {
        return Some(key.to_owned());
    }
    if place == KeyPlace::HeaderOrPassword {
        return password(headers);
    }
    if place == KeyPlace::Header {
        return None;
    }
    // A key is hex digits and letters: it needs no decoding.
    let query = request.uri().query()?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("api_key="))
        .map(str::to_owned)
}

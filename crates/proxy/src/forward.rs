//! A request's way to a replica and the response's way back.
//!
//! Guarantees: a request goes to a replica of its host's table entry or gets a page of ours. It is
//! sent a second time only if nothing of it was sent, or if it is idempotent, has no body and met
//! a resting connection that ended without a byte of a response. A tunnel opens only after the
//! app's 101 to an upgrade that the visitor asked for.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    TRANSFER_ENCODING,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;
use tose_api::domain_settings::UpstreamProtocol;

use crate::access_log::Draft;
use crate::body::{RequestBody, ResponseBody};
use crate::connection::{Phase, Visitor};
use crate::limits::MAX_ATTEMPTS;
use crate::origin::Origin;
use crate::page::{self, Failure};
use crate::rules::{self, Permit, Ruling};
use crate::table::{Lease, Target};
use crate::tunnel::{self, Tunnel};
use crate::upstream::{Channel, Lost};
use crate::worker::Worker;
use crate::{compress, headers, host, sticky, websocket};

/// Where certificate authorities look for the answer to HTTP-01 (RFC 8555, section 8.3).
const ACME_PATH: &str = "/.well-known/acme-challenge/";

/// Answers one request.
pub(crate) async fn answer(
    worker: Rc<Worker>,
    visitor: Rc<Visitor>,
    mut request: Request<Incoming>,
) -> Response<ResponseBody> {
    visitor.enter(Phase::Waiting);
    visitor.tally().begin(Instant::now());
    worker.count_request();
    let accept = request.headers().get(ACCEPT).cloned();
    let exchange = Exchange {
        worker: &worker,
        visitor: &visitor,
        on_upgrade: RefCell::new(websocket::on_upgrade(&mut request)),
        host: RefCell::new(None),
        draft: RefCell::new(None),
    };
    let forwarded = exchange.forward(request).await;
    let mut response = forwarded.unwrap_or_else(|failure| {
        page::render(&failure, accept.as_ref()).map(|text| ResponseBody::page(text, &visitor))
    });
    if worker.is_draining()
        && !visitor.is_stream()
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    exchange.finish(&mut response);
    visitor.tally().answer(response.status().as_u16());
    visitor.enter(Phase::Streaming);
    response
}

/// What a request that is being forwarded belongs to.
struct Exchange<'a> {
    worker: &'a Rc<Worker>,
    visitor: &'a Rc<Visitor>,
    /// The visitor's end of a tunnel, where it is no connection of its own.
    on_upgrade: RefCell<Option<OnUpgrade>>,
    /// What the request's host leads to, once that is known, and whether it came by HTTPS; only where
    /// the host has rules.
    host: RefCell<Option<(Arc<Target>, bool)>>,
    draft: RefCell<Option<Box<Draft>>>,
}

/// Where a request goes once the rules of its host let it.
struct Way {
    target: Arc<Target>,
    permit: Option<Permit>,
    max_body_bytes: Option<u64>,
    takes_gzip: bool,
    /// The replica that the visitor's cookie names, where visitors stay with one.
    sticky: Option<Option<String>>,
}

/// A response head with what it came over.
struct Answered {
    response: Response<Incoming>,
    channel: Channel,
    lease: Lease,
}

impl Exchange<'_> {
    async fn forward(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, Failure> {
        let (mut head, incoming) = request.into_parts();
        let refused = |why| Failure::Refused(StatusCode::BAD_REQUEST, why);
        if self.on_upgrade.borrow().is_some() {
            websocket::ask_in_http1(&mut head, self.worker.request_ids());
        }
        if head.method == Method::CONNECT {
            let why = "this is no proxy for other hosts";
            return Err(Failure::Refused(StatusCode::METHOD_NOT_ALLOWED, why));
        }
        if !headers::has_plain_framing(&head.headers) {
            let why = "the only transfer coding is chunked";
            return Err(Failure::Refused(StatusCode::NOT_IMPLEMENTED, why));
        }
        host::settle(&mut head).map_err(refused)?;
        if let Some(text) = self.challenge_answer(&head) {
            return Ok(Response::new(ResponseBody::page(text, self.visitor)));
        }
        let host = self.find_host(head.headers.get(HOST))?;
        let served = self.follow_path(&host, head.uri.path());
        self.attribute(served.as_ref().unwrap_or(&host));
        let trusted = self.worker.trusted_proxies();
        let origin = Origin::of(self.visitor, &head.headers, trusted);
        if let Some(port) = host.https_port
            && !origin.is_secure
        {
            return Err(https_location(&head, port));
        }
        let way = self.apply_rules(host, served, &mut head, &origin)?;
        if !way.target.has_replicas() {
            return Err(Failure::NoReplica(way.target));
        }
        let body = RequestBody::new(incoming, self.visitor, way.max_body_bytes);
        let upgrade =
            headers::prepare_request(&mut head.headers, &origin, self.worker.request_ids());
        if body.size_hint().exact().is_none() {
            head.headers
                .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let request = Request::from_parts(head, body);
        let answered = self.send(&way, request, upgrade.is_some()).await?;
        self.respond(answered, way, upgrade, origin.is_secure)
    }

    fn find_host(&self, host: Option<&HeaderValue>) -> Result<Arc<Target>, Failure> {
        host.and_then(|host| host.to_str().ok())
            .and_then(|host| host::with_name(host, |name| self.worker.find(name)))
            .ok_or_else(|| Failure::UnknownHost(host.cloned()))
    }

    /// From here on the request counts for this target's project.
    fn attribute(&self, target: &Target) {
        let counters = target.meter.of_worker(self.worker.index());
        self.visitor.tally().attribute(counters);
    }

    /// What the host's rules make of a request; `served` is who answers it, if that is there.
    fn apply_rules(
        &self,
        host: Arc<Target>,
        served: Option<Arc<Target>>,
        head: &mut Parts,
        origin: &Origin,
    ) -> Result<Way, Failure> {
        let Some(ruled) = &host.ruled else {
            return Ok(Way::plain(host));
        };
        let rules = ruled.rules();
        *self.host.borrow_mut() = Some((Arc::clone(&host), origin.is_secure));
        if rules.access_log {
            let draft = Draft::new(self.worker, host.project_id, head, origin);
            *self.draft.borrow_mut() = Some(Box::new(draft));
        }
        let barred = |ruling| Failure::Ruled(Arc::clone(&host), ruling);
        ruled.check_address(origin.ip).map_err(barred)?;
        if let Some(name) = &rules.redirect_to {
            return Err(location(
                head,
                name.as_str(),
                origin.is_secure,
                host::port(&head.headers),
            ));
        }
        let permit = ruled.admit(origin.ip, &head.headers).map_err(barred)?;
        if !rules.users.is_empty() {
            // It was for this proxy, and is no business of the app's.
            head.headers.remove(AUTHORIZATION);
        }
        let length = head.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if let (Some(most), Some(length)) = (rules.max_body_bytes, length)
            && length > most
        {
            return Err(barred(Ruling::TooLarge));
        }
        let takes_gzip = rules.compression && compress::is_wanted(&head.method, &head.headers);
        let sticky = rules.sticky.then(|| sticky::cookie(&head.headers));
        let max_body_bytes = rules.max_body_bytes;
        let target = served.ok_or_else(|| Failure::NoReplica(Arc::clone(&host)))?;
        if let Some(rule) = ruled.path_rule(head.uri.path())
            && rule.strip_prefix
        {
            rules::strip_prefix(head, &rule.prefix);
        }
        Ok(Way {
            target,
            permit,
            max_body_bytes,
            takes_gzip,
            sticky,
        })
    }

    /// Who answers a path: another project, if the host's rules say so and it is there, or the host's own.
    fn follow_path(&self, host: &Arc<Target>, path: &str) -> Option<Arc<Target>> {
        let rule = host.ruled.as_ref().and_then(|ruled| ruled.path_rule(path));
        let Some(rule) = rule else {
            return Some(Arc::clone(host));
        };
        let found = self.worker.find(rule.host.as_str());
        found.filter(|target| target.project_id == rule.project_id)
    }

    /// What proves to a certificate authority that this is where the host leads.
    fn challenge_answer(&self, head: &Parts) -> Option<Bytes> {
        let token = head.uri.path().strip_prefix(ACME_PATH)?;
        if self.visitor.is_secure() || head.method != Method::GET {
            return None;
        }
        self.worker
            .certificates()
            .find_token(token)
            .map(Bytes::from)
    }

    /// Sends the request to one replica after another until one takes it.
    async fn send(
        &self,
        way: &Way,
        mut request: Request<RequestBody>,
        is_upgrade: bool,
    ) -> Result<Answered, Failure> {
        let target = &way.target;
        let failed = || Failure::UpstreamFailed(Arc::clone(target));
        // An upgrade is one of HTTP/1.1.
        let protocol = match target.upstream() {
            UpstreamProtocol::H2c if !is_upgrade => UpstreamProtocol::H2c,
            _ => UpstreamProtocol::Http1,
        };
        let pools = self.worker.pools();
        let is_repeatable = request.method().is_idempotent() && request.body().is_end_stream();
        let mut tried = Vec::new();
        for _ in 0..MAX_ATTEMPTS {
            let cookie = way.sticky.as_ref().and_then(Option::as_deref);
            let lease = self
                .worker
                .pick(target, cookie, &tried)
                .ok_or_else(failed)?;
            let replica = lease.replica();
            let (mut channel, copy) = match pools.take(replica, protocol).await {
                Some(channel) => (channel, is_repeatable.then(|| copy_of(&request))),
                None => match pools.connect(replica, protocol, self.worker.limits()).await {
                    Ok(channel) => (channel, None),
                    Err(error) => {
                        tracing::debug!(addr = %replica.addr, %error, "cannot connect to a replica");
                        replica.note_unreachable(self.worker.now_ms());
                        tried.push(replica.id);
                        continue;
                    }
                },
            };
            let was_resting = copy.is_some();
            match channel.exchange(request, self.visitor).await {
                Ok(response) => {
                    replica.note_answer();
                    return Ok(Answered {
                        response,
                        channel,
                        lease,
                    });
                }
                Err(_) if self.visitor.has_broken_body() => {
                    return Err(self.broken_body());
                }
                Err(Lost::Timeout) => {
                    replica.note_lost_answer(self.worker.now_ms());
                    let limit = self.worker.limits().response_head;
                    return Err(Failure::UpstreamTimeout(Arc::clone(target), limit));
                }
                Err(Lost::Unsent(unsent)) => request = *unsent,
                Err(Lost::Silent) if was_resting => request = copy.ok_or_else(failed)?,
                Err(Lost::Silent | Lost::Garbled) => {
                    replica.note_lost_answer(self.worker.now_ms());
                    return Err(failed());
                }
            }
            // What ended one resting connection has probably ended its neighbours.
            pools.forget(replica);
        }
        Err(failed())
    }

    fn broken_body(&self) -> Failure {
        match &*self.host.borrow() {
            Some((host, _)) if self.visitor.has_large_body() => {
                Failure::Ruled(Arc::clone(host), Ruling::TooLarge)
            }
            _ => Failure::Refused(StatusCode::BAD_REQUEST, "its body is broken"),
        }
    }

    fn respond(
        &self,
        answered: Answered,
        way: Way,
        upgrade: Option<HeaderValue>,
        is_secure: bool,
    ) -> Result<Response<ResponseBody>, Failure> {
        let Answered {
            response,
            channel,
            mut lease,
        } = answered;
        lease.keep(way.permit);
        let failed = || Failure::UpstreamFailed(Arc::clone(&way.target));
        let (mut head, incoming) = response.into_parts();
        head.version = Version::HTTP_11;
        if !headers::has_plain_framing(&head.headers) {
            return Err(failed());
        }
        if let Some(given) = &way.sticky
            && given.as_deref() != Some(&*lease.replica().cookie)
        {
            let cookie = sticky::set(lease.replica(), is_secure);
            head.headers.append(SET_COOKIE, cookie);
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let Some((protocol, (stream, early))) = upgrade.zip(channel.into_tunnel()) else {
                return Err(failed());
            };
            let tunnel = Tunnel::new(stream, early, lease);
            headers::prepare_response(&mut head.headers);
            head.extensions.clear();
            match self.on_upgrade.borrow_mut().take() {
                None => {
                    headers::ask_upgrade(&mut head.headers, protocol);
                    self.visitor.set_tunnel(tunnel);
                }
                Some(on_upgrade) => {
                    websocket::accept_in_http2(&mut head);
                    tunnel::open_on_stream(Rc::clone(self.visitor), on_upgrade, tunnel);
                }
            }
            let body = ResponseBody::empty(self.visitor);
            return Ok(Response::from_parts(head, body));
        }
        if self.on_upgrade.borrow().is_some() && head.status.is_success() {
            // To the visitor a success would be the tunnel.
            return Err(failed());
        }
        headers::prepare_response(&mut head.headers);
        let gzip = if way.takes_gzip && !incoming.is_end_stream() {
            compress::begin(&mut head)
        } else {
            None
        };
        let body =
            ResponseBody::upstream(incoming, channel, lease, self.worker, self.visitor, gzip);
        Ok(Response::from_parts(head, body))
    }

    /// What the host's rules add to every answer.
    fn finish(&self, response: &mut Response<ResponseBody>) {
        if let Some((host, is_secure)) = &*self.host.borrow()
            && *is_secure
            && let Some(hsts) = host.ruled.as_ref().and_then(|ruled| ruled.hsts())
        {
            let headers = response.headers_mut();
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        if let Some(mut draft) = self.draft.borrow_mut().take() {
            draft.answer(response.status().as_u16());
            response.body_mut().log(draft);
        }
    }
}

impl Way {
    /// To a host without rules.
    fn plain(target: Arc<Target>) -> Self {
        Self {
            target,
            permit: None,
            max_body_bytes: None,
            takes_gzip: false,
            sticky: None,
        }
    }
}

/// The same place by HTTPS.
fn https_location(head: &Parts, port: u16) -> Failure {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let port = Some(port).filter(|port| *port != 443);
    let moved = |name: &str| Some(location(head, name, true, port));
    host.and_then(|host| host::with_name(host, moved))
        .unwrap_or(Failure::Refused(
            StatusCode::BAD_REQUEST,
            "the request's target is not valid",
        ))
}

/// The same path at another host.
fn location(head: &Parts, name: &str, is_secure: bool, port: Option<u16>) -> Failure {
    let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let scheme = if is_secure { "https" } else { "http" };
    let text = match port {
        Some(port) => format!("{scheme}://{name}:{port}{path}"),
        None => format!("{scheme}://{name}{path}"),
    };
    match HeaderValue::try_from(text) {
        Ok(location) => Failure::Moved(location),
        Err(_) => Failure::Refused(StatusCode::BAD_REQUEST, "the request's target is not valid"),
    }
}

/// The same request again; only for those without a body.
fn copy_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

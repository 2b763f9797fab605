//! A request's way to a replica and the response's way back.
//!
//! Guarantees: a request goes to a replica of its host's table entry or gets a page of ours. It is
//! sent a second time only if nothing of it was sent, or if it is idempotent, has no body and met
//! a resting connection that ended without a byte of a response. A tunnel opens only after the
//! app's 101 to an upgrade that the visitor asked for.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, LOCATION, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use crate::body::{RequestBody, ResponseBody};
use crate::connection::{Phase, Visitor};
use crate::limits::{AVOID, MAX_ATTEMPTS};
use crate::page::{self, Failure};
use crate::table::{Lease, Replica, Target};
use crate::tunnel::Tunnel;
use crate::upstream::{Lost, Upstream};
use crate::worker::Worker;
use crate::{headers, host};

/// Where certificate authorities look for the answer to HTTP-01 (RFC 8555, section 8.3).
const ACME_PATH: &str = "/.well-known/acme-challenge/";

/// Answers one request.
pub(crate) async fn answer(
    worker: Rc<Worker>,
    visitor: Rc<Visitor>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    visitor.enter(Phase::Waiting);
    visitor.tally().begin(Instant::now());
    worker.count_request();
    let accept = request.headers().get(ACCEPT).cloned();
    let forwarded = Exchange {
        worker: &worker,
        visitor: &visitor,
    }
    .forward(request)
    .await;
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
    visitor.tally().answer(response.status().as_u16());
    visitor.enter(Phase::Streaming);
    response
}

/// What a request that is being forwarded belongs to.
struct Exchange<'a> {
    worker: &'a Rc<Worker>,
    visitor: &'a Rc<Visitor>,
}

/// A response head with what it came over.
struct Answered {
    response: Response<Incoming>,
    upstream: Box<Upstream>,
    lease: Lease,
}

impl Exchange<'_> {
    async fn forward(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, Failure> {
        let (mut head, body) = request.into_parts();
        let body = RequestBody::new(body, self.visitor);
        let refused = |why| Failure::Refused(StatusCode::BAD_REQUEST, why);
        if head.method == Method::CONNECT {
            return Err(Failure::Refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "this is no proxy for other hosts",
            ));
        }
        if !headers::has_plain_framing(&head.headers) {
            return Err(Failure::Refused(
                StatusCode::NOT_IMPLEMENTED,
                "the only transfer coding is chunked",
            ));
        }
        host::settle(&mut head).map_err(refused)?;
        if let Some(text) = self.challenge_answer(&head) {
            return Ok(Response::new(ResponseBody::page(text, self.visitor)));
        }
        let target = self.target(head.headers.get(HOST))?;
        if let Some(port) = target.https_port
            && !self.visitor.is_secure()
        {
            return self.to_https(&head, port);
        }
        if !target.has_replicas() {
            return Err(Failure::NoReplica(target));
        }

        let upgrade = headers::prepare_request(
            &mut head.headers,
            self.visitor.ip_value(),
            self.visitor.is_secure(),
            self.worker.request_ids(),
        );
        if body.size_hint().exact().is_none() {
            head.headers
                .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let answered = self.send(&target, Request::from_parts(head, body)).await?;
        self.respond(answered, &target, upgrade)
    }

    fn target(&self, host: Option<&HeaderValue>) -> Result<Arc<Target>, Failure> {
        let target = host
            .and_then(|host| host.to_str().ok())
            .and_then(|host| host::with_name(host, |name| self.worker.find(name)))
            .ok_or_else(|| Failure::UnknownHost(host.cloned()))?;
        let counters = target.meter.of_worker(self.worker.index());
        self.visitor.tally().attribute(counters);
        Ok(target)
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

    /// Sends the visitor to the same place by HTTPS; 308 keeps the method and the body.
    fn to_https(&self, head: &Parts, port: u16) -> Result<Response<ResponseBody>, Failure> {
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let location = host.and_then(|host| {
            let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
            host::with_name(host, |name| {
                HeaderValue::try_from(match port {
                    443 => format!("https://{name}{path}"),
                    port => format!("https://{name}:{port}{path}"),
                })
                .ok()
            })
        });
        let location = location.ok_or(Failure::Refused(
            StatusCode::BAD_REQUEST,
            "the request's target is not valid",
        ))?;
        let mut response = Response::new(ResponseBody::empty(self.visitor));
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        response.headers_mut().insert(LOCATION, location);
        Ok(response)
    }

    /// Sends the request to one replica after another until one takes it.
    async fn send(
        &self,
        target: &Arc<Target>,
        mut request: Request<RequestBody>,
    ) -> Result<Answered, Failure> {
        let failed = || Failure::UpstreamFailed(Arc::clone(target));
        let pools = self.worker.pools();
        let is_repeatable = request.method().is_idempotent() && request.body().is_end_stream();
        let mut tried = Vec::new();
        for _ in 0..MAX_ATTEMPTS {
            let lease = self.worker.pick(target, &tried).ok_or_else(failed)?;
            let replica = lease.replica();
            let (mut upstream, copy) = match pools.take(replica).await {
                Some(upstream) => (upstream, is_repeatable.then(|| copy_of(&request))),
                None => match Upstream::connect(replica.addr, self.worker.limits()).await {
                    Ok(upstream) => (upstream, None),
                    Err(error) => {
                        self.note_unreachable(replica, &error);
                        tried.push(replica.id);
                        continue;
                    }
                },
            };
            match upstream.exchange(request, self.visitor).await {
                Ok(response) => {
                    return Ok(Answered {
                        response,
                        upstream,
                        lease,
                    });
                }
                Err(_) if self.visitor.has_broken_body() => {
                    return Err(Failure::Refused(
                        StatusCode::BAD_REQUEST,
                        "its body is broken",
                    ));
                }
                Err(Lost::Timeout) => {
                    let limit = self.worker.limits().response_head;
                    return Err(Failure::UpstreamTimeout(Arc::clone(target), limit));
                }
                Err(Lost::Unsent(unsent)) => request = *unsent,
                Err(Lost::Silent) => request = copy.ok_or_else(failed)?,
                Err(Lost::Garbled) => return Err(failed()),
            }
            // What ended one resting connection has probably ended its neighbours.
            pools.forget(replica);
        }
        Err(failed())
    }

    fn respond(
        &self,
        answered: Answered,
        target: &Arc<Target>,
        upgrade: Option<HeaderValue>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let Answered {
            response,
            upstream,
            lease,
        } = answered;
        let (mut head, incoming) = response.into_parts();
        head.version = Version::HTTP_11;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let Some(protocol) = upgrade else {
                return Err(Failure::UpstreamFailed(Arc::clone(target)));
            };
            headers::prepare_response(&mut head.headers);
            headers::ask_upgrade(&mut head.headers, protocol);
            head.extensions.clear();
            let (stream, early) = upstream.into_tunnel();
            self.visitor.set_tunnel(Tunnel::new(stream, early, lease));
            return Ok(Response::from_parts(
                head,
                ResponseBody::empty(self.visitor),
            ));
        }
        if !headers::has_plain_framing(&head.headers) {
            return Err(Failure::UpstreamFailed(Arc::clone(target)));
        }
        headers::prepare_response(&mut head.headers);
        let body = ResponseBody::upstream(incoming, upstream, lease, self.worker, self.visitor);
        Ok(Response::from_parts(head, body))
    }

    fn note_unreachable(&self, replica: &Replica, error: &io::Error) {
        tracing::debug!(addr = %replica.addr, %error, "cannot connect to a replica");
        let avoid_ms = u64::try_from(AVOID.as_millis()).unwrap_or(u64::MAX);
        replica.avoid_until(self.worker.now_ms().saturating_add(avoid_ms));
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

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;

use super::Context;
use super::body::read;
use super::exchange::Exchange;
use super::headers::{self, SESSION};
use super::outlet::{Body, Opening, Outlet, streamed, whole};
use crate::call::Visit;
use crate::enforcer::Seat;
use crate::envelope::{Kind, Message};
use crate::era::Era;
use crate::peer::Peer;
use crate::reply::{self, code};
use crate::server_name::ServerName;
use crate::transport_id::TransportId;
use crate::upstream::ChildKey;

const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A refusal of the transport itself: an HTTP status and a JSON-RPC error.
struct Fault {
    status: StatusCode,
    code: i64,
    text: String,
}

impl Fault {
    fn new(status: StatusCode, code: i64, text: impl Into<String>) -> Self {
        Self {
            status,
            code,
            text: text.into(),
        }
    }

    fn answer(&self, message: Option<&Message>) -> Response<Body> {
        let id = message.and_then(Message::id);
        json(self.status, reply::error(id, self.code, &self.text))
    }
}

/// Takes one MCP message.
pub(super) async fn post(
    context: Arc<Context>,
    peer: Arc<Peer>,
    server: &str,
    request: Parts,
    body: Incoming,
) -> Response<Body> {
    let started = Instant::now();
    let Some(server) = known(&context, server) else {
        return unknown_server();
    };
    let (streams, accepted) = headers::accepts(&request.headers);
    if !accepted {
        return empty(StatusCode::NOT_ACCEPTABLE);
    }
    if !headers::is_json(&request.headers) {
        return empty(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let body = match read(body, &context.limits).await {
        Ok(body) => body,
        Err(status) => {
            let text = "the body is too large, too slow or broken off";
            return Fault::new(status, code::INVALID_REQUEST, text).answer(None);
        }
    };
    let message = match Message::from_client(body.into()) {
        Ok(message) => Arc::new(message),
        Err(error) => {
            let fault = Fault::new(StatusCode::BAD_REQUEST, error.code(), error.to_string());
            return fault.answer(None);
        }
    };
    let spoken = match spoken(&context, &peer, &server, &request, &message) {
        Ok(spoken) => spoken,
        Err(fault) => return fault.answer(Some(&message)),
    };
    let visit = Visit::new(server, spoken.era, spoken.transport, Arc::clone(&message));
    if message.id().is_none() {
        return match told(&context, &peer, &visit, spoken.bound).await {
            Ok(status) => empty(status),
            Err(fault) => fault.answer(None),
        };
    }
    let (outlet, opening) = Outlet::new(streams, context.limits.call);
    let exchange = Exchange {
        context: Arc::clone(&context),
        peer,
        visit,
        bound: spoken.bound,
        outlet,
        started,
    };
    context.tasks.spawn(exchange.run());
    match opening.await {
        Ok(Opening::Whole {
            status,
            body,
            session,
        }) => with_session(json(status, body), session),
        Ok(Opening::Stream { events, session }) => {
            let mut response = Response::new(streamed(events));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(BUFFERING, HeaderValue::from_static("no"));
            with_session(response, session)
        }
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Ends a transport session.
pub(super) async fn delete(
    context: Arc<Context>,
    peer: Arc<Peer>,
    server: &str,
    request: &Parts,
) -> Response<Body> {
    let Some(server) = known(&context, server) else {
        return unknown_server();
    };
    let session = headers::single(&request.headers, &SESSION, "Mcp-Session-Id");
    let Ok(Some(session)) = session else {
        return empty(StatusCode::BAD_REQUEST);
    };
    match TransportId::parse(session) {
        Some(id) if context.sessions.close(&id, &peer, &server) => {
            context.upstreams.close(&id).await;
            empty(StatusCode::NO_CONTENT)
        }
        _ => unknown_session().answer(None),
    }
}

struct Spoken {
    era: Era,
    transport: Option<TransportId>,
    bound: Option<Seat>,
}

fn spoken(
    context: &Context,
    peer: &Peer,
    server: &ServerName,
    request: &Parts,
    message: &Message,
) -> Result<Spoken, Fault> {
    let bad = StatusCode::BAD_REQUEST;
    let era = headers::judge(&request.headers, message)
        .map_err(|fault| Fault::new(bad, fault.code(), fault.to_string()))?;
    if era == Era::Stateless || message.method() == Some("initialize") {
        return Ok(Spoken {
            era,
            transport: None,
            bound: None,
        });
    }
    let session = headers::single(&request.headers, &SESSION, "Mcp-Session-Id")
        .map_err(|fault| Fault::new(bad, code::INVALID_REQUEST, fault.to_string()))?
        .ok_or_else(|| {
            let text = "Mcp-Session-Id is missing: initialize first";
            Fault::new(bad, code::INVALID_REQUEST, text)
        })?;
    let id = TransportId::parse(session).ok_or_else(unknown_session)?;
    let seat = context
        .sessions
        .find(&id, peer, server)
        .ok_or_else(unknown_session)?;
    Ok(Spoken {
        era,
        transport: Some(id),
        bound: Some(seat),
    })
}

/// Passes on what wants no answer.
async fn told(
    context: &Context,
    peer: &Peer,
    visit: &Visit,
    bound: Option<Seat>,
) -> Result<StatusCode, Fault> {
    let message = visit.message();
    let seat = match context.enforcer.admit(peer, visit).await {
        Ok(seat) if bound.is_none_or(|bound| bound == seat) => seat,
        Ok(_) => {
            let text = "the MCP session was opened in another session: initialize again";
            return Err(Fault::new(StatusCode::FORBIDDEN, code::DENIED, text));
        }
        Err(refusal) => {
            let text = refusal.to_string();
            return Err(Fault::new(StatusCode::FORBIDDEN, code::DENIED, text));
        }
    };
    let key = ChildKey {
        seat,
        server: visit.server().clone(),
        transport: visit.transport().cloned(),
    };
    let passed = match message.kind() {
        Kind::Response { id: Some(id), .. } => context.upstreams.answer(&key, id, message).await,
        Kind::Response { id: None, .. } => Ok(false),
        _ => context.upstreams.notify(&key, message).await.map(|()| true),
    };
    match passed {
        Ok(true) => Ok(StatusCode::ACCEPTED),
        Ok(false) => {
            let text = "the server did not ask this";
            let bad = StatusCode::BAD_REQUEST;
            Err(Fault::new(bad, code::INVALID_REQUEST, text))
        }
        Err(error) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Fault::new(status, code::UNAVAILABLE, error.to_string()))
        }
    }
}

fn known(context: &Context, server: &str) -> Option<ServerName> {
    let server = server.parse().ok()?;
    context.upstreams.knows(&server).then_some(server)
}

fn unknown_server() -> Response<Body> {
    empty(StatusCode::NOT_FOUND)
}

fn unknown_session() -> Fault {
    let text = "no such MCP session: initialize again";
    Fault::new(StatusCode::NOT_FOUND, code::UNKNOWN_SESSION, text)
}

fn with_session(mut response: Response<Body>, session: Option<TransportId>) -> Response<Body> {
    let value = session.and_then(|id| HeaderValue::try_from(id.to_string()).ok());
    if let Some(value) = value {
        response.headers_mut().insert(SESSION, value);
    }
    response
}

pub(super) fn json(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    let value = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::{Instant as Deadline, interval_at, sleep_until, timeout};

use super::Context;
use super::outlet::Outlet;
use crate::call::{Call, Visit};
use crate::enforcer::{Outcome, Refusal, Seat, Status, Verdict};
use crate::envelope::{Kind, Message};
use crate::era::Era;
use crate::listing::{Listing, ListingKind};
use crate::method::{Method, MethodClass};
use crate::peer::Peer;
use crate::reply::{self, code};
use crate::transport_id::TransportId;
use crate::upstream::{ChildKey, Delivery, Ending, UpstreamError};

/// One request from its reading to its answer. Runs as a task of its own: a client that goes away
/// cannot cut it off between decision and outcome.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) context: Arc<Context>,
    pub(super) peer: Arc<Peer>,
    pub(super) visit: Visit,
    /// The seat that the transport session was opened from.
    pub(super) bound: Option<Seat>,
    pub(super) outlet: Outlet,
    pub(super) started: Instant,
}

/// How forwarding ended.
#[derive(Debug)]
enum End {
    Response(Message),
    /// The session of the transport and that of the authority are not the same.
    Unbound,
    Unavailable(UpstreamError),
    Over(Ending),
    TimedOut,
    Withdrawn,
    /// The client went away before anything was forwarded.
    Unsent,
    /// The client went away afterwards.
    Left,
}

impl Exchange {
    pub(super) async fn run(self) {
        match self.visit.class() {
            MethodClass::Decided(method) => self.decided(method).await,
            _ => self.admitted().await,
        }
    }

    async fn decided(mut self, method: Method) {
        let call = match Call::new(self.visit.clone(), method) {
            Ok(call) => call,
            Err(error) => {
                let body = self.error(error.code(), &error.to_string());
                return self.outlet.finish(StatusCode::BAD_REQUEST, body).await;
            }
        };
        let enforcer = Arc::clone(&self.context.enforcer);
        let permit = match enforcer.decide(&self.peer, &call).await {
            Verdict::Forward(permit) => permit,
            Verdict::Deny(refusal) => return self.deny(&refusal).await,
            Verdict::Pending(pending) => {
                let body = reply::pending(self.visit.message().id(), &pending);
                return self.outlet.finish(StatusCode::OK, body).await;
            }
        };
        let end = self.forward(permit.seat(), None).await;
        let outcome = end.outcome(self.started);
        let enrolled = enforcer.outcome(permit, outcome).await;
        match enrolled {
            Ok(()) => self.answer(end).await,
            Err(refusal) => {
                tracing::error!(%refusal, "an outcome was not enrolled");
                let text = "the outcome could not be enrolled: the answer is withheld";
                let body = self.error(code::WITHHELD, text);
                self.outlet.finish(StatusCode::OK, body).await;
            }
        }
    }

    async fn admitted(mut self) {
        let enforcer = Arc::clone(&self.context.enforcer);
        let seat = match enforcer.admit(&self.peer, &self.visit).await {
            Ok(seat) => seat,
            Err(refusal) => return self.deny(&refusal).await,
        };
        if self.visit.message().method() == Some("initialize") {
            return self.initialize(seat).await;
        }
        let end = self.forward(seat, None).await;
        match (end, self.visit.class()) {
            (End::Response(response), MethodClass::Listing(kind)) if is_result(&response) => {
                self.list(kind, response).await;
            }
            (end, _) => self.answer(end).await,
        }
    }

    async fn initialize(mut self, seat: Seat) {
        let Ok(transport) = TransportId::random() else {
            let body = self.error(code::UNAVAILABLE, "no randomness for a session id");
            return self
                .outlet
                .finish(StatusCode::INTERNAL_SERVER_ERROR, body)
                .await;
        };
        let server = self.visit.server();
        let most = self.context.limits.sessions_per_peer;
        let sessions = &self.context.sessions;
        if !sessions.open(transport.clone(), &self.peer, server, seat, most) {
            let refusal = Refusal::new(
                "too-many-transport-sessions",
                "end an MCP session of this instance before you open another",
            );
            return self.deny(&refusal).await;
        }
        self.outlet.open_session(Some(transport.clone()));
        let end = self.forward(seat, Some(transport.clone())).await;
        let opened = matches!(&end, End::Response(response) if is_result(response));
        if opened {
            let key = self.key(seat, Some(transport));
            let handshake = Arc::clone(self.visit.message());
            self.context.upstreams.remember(&key, handshake);
        } else {
            self.outlet.open_session(None);
            let server = self.visit.server();
            self.context.sessions.close(&transport, &self.peer, server);
            self.context.upstreams.close(&transport).await;
        }
        self.answer(end).await;
    }

    async fn list(self, kind: ListingKind, response: Message) {
        let listing = match Listing::new(kind, response) {
            Ok(listing) => listing,
            Err(error) => {
                let body = self.error(code::WITHHELD, &error.to_string());
                return self.outlet.finish(StatusCode::OK, body).await;
            }
        };
        let enforcer = Arc::clone(&self.context.enforcer);
        match enforcer.filter(&self.peer, &self.visit, &listing).await {
            Ok(keep) => {
                let body = Bytes::from(listing.filtered(&keep));
                self.outlet.finish(StatusCode::OK, body).await;
            }
            Err(refusal) => self.deny(&refusal).await,
        }
    }

    async fn forward(&mut self, seat: Seat, opened: Option<TransportId>) -> End {
        if self.bound.is_some_and(|bound| bound != seat) {
            return End::Unbound;
        }
        if self.outlet.is_gone() {
            return End::Unsent;
        }
        let limits = &self.context.limits;
        let key = self.key(seat, opened);
        let message = Arc::clone(self.visit.message());
        let streams = self.outlet.streams();
        let request = self.context.upstreams.request(&key, &message, streams);
        let mut exchange = tokio::select! {
            sent = timeout(limits.call, request) => match sent {
                Ok(Ok(exchange)) => exchange,
                Ok(Err(error)) => return End::Unavailable(error),
                Err(_) => return End::TimedOut,
            },
            () = self.outlet.gone() => return End::Left,
        };
        let endless = message.method() == Some("subscriptions/listen");
        let start = Deadline::now();
        let mut silence = start + limits.call;
        let mut life = interval_at(start + limits.keep_alive, limits.keep_alive);
        loop {
            tokio::select! {
                delivery = exchange.next() => match delivery {
                    Delivery::Message(message) => {
                        self.outlet.event(message.text()).await;
                        silence = Deadline::now() + limits.call;
                    }
                    Delivery::Response(response) => return End::Response(response),
                    Delivery::Withdrawn => return End::Withdrawn,
                    Delivery::Over(ending) => return End::Over(ending),
                },
                () = self.outlet.gone() => return End::Left,
                _ = life.tick() => self.outlet.keep_alive().await,
                () = sleep_until(silence), if !endless => return End::TimedOut,
            }
        }
    }

    async fn answer(self, end: End) {
        let (code, text) = match end {
            End::Response(response) if reply::claims_to_be_ours(&response) => {
                let server = self.visit.server();
                tracing::warn!(%server, "a server answered as if it were the gateway");
                let text = "the server answered with an error of the gateway's own: it is withheld";
                (code::WITHHELD, text.to_owned())
            }
            End::Response(response) => {
                let status = self.status(&response);
                let body = Bytes::from(response.into_text());
                return self.outlet.finish(status, body).await;
            }
            End::Unsent | End::Left => return,
            End::Unbound => {
                let refusal = Refusal::new(
                    "transport-session-mismatch",
                    "the MCP session was opened in another session: initialize again",
                );
                return self.deny(&refusal).await;
            }
            End::Unavailable(UpstreamError::IdInUse) => {
                (code::INVALID_REQUEST, UpstreamError::IdInUse.to_string())
            }
            // Nothing was sent: the client opens its session again and repeats the call.
            End::Unavailable(error @ UpstreamError::Handshake(_)) => {
                (code::UNKNOWN_SESSION, error.to_string())
            }
            End::Unavailable(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, source, "a server is not available");
                (code::UNAVAILABLE, error.to_string())
            }
            End::Over(ending) => {
                let server = self.visit.server();
                let text = format!("server {server} ended before it answered: {ending}");
                (code::UNAVAILABLE, text)
            }
            End::TimedOut => {
                let text = "the server was silent for too long".to_owned();
                (code::TIMED_OUT, text)
            }
            End::Withdrawn => (code::CANCELLED, "the client withdrew the call".to_owned()),
        };
        let status = if self.is_probe() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::OK
        };
        let body = self.error(code, &text);
        self.outlet.finish(status, body).await;
    }

    /// The HTTP status of a server's answer: 200 in the legacy era, and what the stateless one
    /// prescribes for its errors.
    fn status(&self, response: &Message) -> StatusCode {
        if is_result(response) || self.visit.era() == Era::Legacy {
            return StatusCode::OK;
        }
        let code = response
            .body_member("code")
            .and_then(|raw| raw.parse().ok());
        match code {
            Some(code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION) => {
                StatusCode::BAD_REQUEST
            }
            // Whatever else a server says to the probe, it does not speak the stateless era: the
            // client falls back on 400.
            _ if self.is_probe() => StatusCode::BAD_REQUEST,
            Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
            _ => StatusCode::OK,
        }
    }

    fn is_probe(&self) -> bool {
        self.visit.message().method() == Some("server/discover")
    }

    fn key(&self, seat: Seat, opened: Option<TransportId>) -> ChildKey {
        ChildKey {
            seat,
            server: self.visit.server().clone(),
            transport: opened.or_else(|| self.visit.transport().cloned()),
        }
    }

    fn error(&self, code: i64, text: &str) -> Bytes {
        reply::error(self.visit.message().id(), code, text)
    }

    async fn deny(self, refusal: &Refusal) {
        let body = reply::denied(self.visit.message().id(), refusal);
        self.outlet.finish(StatusCode::OK, body).await;
    }
}

impl End {
    fn outcome(&self, started: Instant) -> Outcome {
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let status = match self {
            Self::Response(response) => return Outcome::answered(response, micros),
            Self::Unbound | Self::Unsent => Status::NotForwarded,
            Self::Unavailable(UpstreamError::Over { .. }) | Self::Over(_) => Status::Gone,
            Self::Unavailable(_) => Status::NotForwarded,
            Self::TimedOut => Status::TimedOut,
            Self::Withdrawn | Self::Left => Status::Cancelled,
        };
        Outcome::unanswered(status, micros)
    }
}

fn is_result(response: &Message) -> bool {
    matches!(
        response.kind(),
        Kind::Response {
            is_error: false,
            ..
        }
    )
}

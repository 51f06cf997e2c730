use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio::sync::{mpsc, oneshot};

use crate::transport_id::TransportId;

pub(super) type Body = BoxBody<Bytes, Infallible>;

const EVENTS: usize = 16;

pub(super) fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed()
}

/// How the answer to a request begins.
#[derive(Debug)]
pub(super) enum Opening {
    /// One JSON message, and nothing after it.
    Whole {
        status: StatusCode,
        body: Bytes,
        session: Option<TransportId>,
    },
    /// A stream of events.
    Stream {
        events: mpsc::Receiver<Bytes>,
        session: Option<TransportId>,
    },
}

/// The events as the body of an HTTP response.
pub(super) fn streamed(events: mpsc::Receiver<Bytes>) -> Body {
    let frames = stream::unfold(events, |mut events| async move {
        let event = events.recv().await?;
        Some((Ok(Frame::data(event)), events))
    });
    StreamBody::new(frames).boxed()
}

/// Where the answer to one request goes. Becomes a stream only when something precedes the
/// response, or the response takes long, and the client takes streams.
#[derive(Debug)]
pub(super) struct Outlet {
    state: State,
    streams: bool,
    patience: Duration,
    /// The transport session that the answer opens.
    session: Option<TransportId>,
}

#[derive(Debug)]
enum State {
    Waiting(oneshot::Sender<Opening>),
    Streaming(mpsc::Sender<Bytes>),
    Gone,
}

impl Outlet {
    /// `patience` is how long a client may fail to take an event.
    pub(super) fn new(streams: bool, patience: Duration) -> (Self, oneshot::Receiver<Opening>) {
        let (sender, receiver) = oneshot::channel();
        let outlet = Self {
            state: State::Waiting(sender),
            streams,
            patience,
            session: None,
        };
        (outlet, receiver)
    }

    pub(super) fn streams(&self) -> bool {
        self.streams
    }

    pub(super) fn open_session(&mut self, session: Option<TransportId>) {
        self.session = session;
    }

    /// Sends a message that precedes the response. Nothing where the client takes no streams.
    pub(super) async fn event(&mut self, message: &str) {
        if self.streams {
            self.send(event(message)).await;
        }
    }

    /// Shows that the call is alive.
    pub(super) async fn keep_alive(&mut self) {
        if self.streams {
            self.send(Bytes::from_static(b": keep-alive\n\n")).await;
        }
    }

    /// Sends the response; the status holds where nothing preceded it.
    pub(super) async fn finish(mut self, status: StatusCode, message: Bytes) {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Waiting(sender) => {
                let session = self.session.take();
                // Fails when the client went away.
                let _ = sender.send(Opening::Whole {
                    status,
                    body: message,
                    session,
                });
            }
            State::Streaming(sender) => {
                let event = event(&String::from_utf8_lossy(&message));
                let _ = sender.send_timeout(event, self.patience).await;
            }
            State::Gone => {}
        }
    }

    /// Waits until the client is gone.
    pub(super) async fn gone(&mut self) {
        match &mut self.state {
            State::Waiting(sender) => sender.closed().await,
            State::Streaming(sender) => sender.closed().await,
            State::Gone => {}
        }
    }

    /// Whether the client is gone.
    pub(super) fn is_gone(&self) -> bool {
        match &self.state {
            State::Waiting(sender) => sender.is_closed(),
            State::Streaming(sender) => sender.is_closed(),
            State::Gone => true,
        }
    }

    async fn send(&mut self, event: Bytes) {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Waiting(sender) => {
                let (stream, events) = mpsc::channel(EVENTS);
                // The channel is empty.
                let _ = stream.try_send(event);
                let session = self.session.clone();
                match sender.send(Opening::Stream { events, session }) {
                    Ok(()) => State::Streaming(stream),
                    Err(_) => State::Gone,
                }
            }
            State::Streaming(sender) => match sender.send_timeout(event, self.patience).await {
                Ok(()) => State::Streaming(sender),
                Err(_) => State::Gone,
            },
            State::Gone => State::Gone,
        };
    }
}

/// A message as one event. Line ends between its tokens become spaces: they would end the field.
fn event(message: &str) -> Bytes {
    let line: String = message
        .chars()
        .map(|letter| match letter {
            '\n' | '\r' => ' ',
            other => other,
        })
        .collect();
    Bytes::from(format!("event: message\ndata: {line}\n\n"))
}

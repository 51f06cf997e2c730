use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::Context;
use super::dialect::Dialect;
use super::errand::Errand;
use super::fault::{Fault, code};
use super::message::{Message, id_key};
use crate::gateway::{GatewayError, Reply};
use crate::lines::{LineError, Lines};
use crate::session::Presented;

/// Most bytes of a client's message: what a gateway takes, less what is added to it.
const MESSAGE_BYTES: usize = (4 << 20) - (64 << 10);
const MOST_IN_FLIGHT: usize = 64;
const QUEUE: usize = 64;
const TOLD: Duration = Duration::from_secs(10);
const FAREWELL: Duration = Duration::from_secs(5);
/// Before a gateway that is away is told again.
const REACH_AGAIN: Duration = Duration::from_millis(250);

/// One client's MCP connection with one tool server.
#[derive(Clone)]
pub(super) struct Conversation(Arc<Shared>);

pub(super) struct Shared {
    pub(super) server: String,
    /// The chain that goes with the calls, where it is another than the instance's own.
    pub(super) presented: Option<Presented>,
    pub(super) context: Context,
    pub(super) dialect: Dialect,
    /// Held by whoever opens the legacy session again.
    pub(super) renewing: Mutex<()>,
    out: mpsc::Sender<String>,
}

impl std::ops::Deref for Conversation {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// Writes one line to the client; it is gone where that fails.
    pub(super) async fn say(&self, line: String) {
        let _ = self.out.send(line).await;
    }
}

/// The requests that wait for their answers.
#[derive(Default)]
struct Flights {
    tasks: JoinSet<String>,
    handles: HashMap<String, AbortHandle>,
}

/// Serves MCP until the client hangs up. Its open calls then have a moment to be answered, for
/// clients that only close their side, and are withdrawn after that.
pub(super) async fn serve(
    server: String,
    presented: Option<Presented>,
    mut lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    context: Context,
) {
    let (out, queue) = mpsc::channel(QUEUE);
    let writing = tokio::spawn(write(queue, writer));
    let conversation = Conversation(Arc::new(Shared {
        server,
        presented,
        context,
        dialect: Dialect::default(),
        renewing: Mutex::default(),
        out,
    }));
    let mut flights = Flights::default();
    loop {
        tokio::select! {
            biased;
            () = conversation.out.closed() => break,
            Some(landed) = flights.tasks.join_next(), if !flights.tasks.is_empty() => {
                flights.landed(landed.ok());
            }
            line = lines.next(MESSAGE_BYTES) => match line {
                Ok(Some(line)) => take(&conversation, line, &mut flights).await,
                Ok(None) => {
                    let landing = async { while flights.tasks.join_next().await.is_some() {} };
                    let _ = timeout(FAREWELL, landing).await;
                    break;
                }
                Err(error) => {
                    refuse(&conversation, &error).await;
                    break;
                }
            },
        }
    }
    flights.tasks.shutdown().await;
    if let Some(legacy) = conversation.dialect.legacy() {
        let gateway = conversation.context.instance.gateway();
        let closing = gateway.close(&conversation.server, &legacy.session);
        let _ = timeout(FAREWELL, closing).await;
    }
    drop(conversation);
    let _ = timeout(FAREWELL, writing).await;
}

async fn take(conversation: &Conversation, line: String, flights: &mut Flights) {
    if line.trim().is_empty() {
        return;
    }
    let message = match Message::parse(line) {
        Ok(message) => message,
        Err(error) => {
            let fault = Fault::new(code::INVALID_REQUEST, "malformed", error.to_string());
            return conversation.say(fault.to_response(None)).await;
        }
    };
    if message.is_request() {
        match flights.admit(&message) {
            Ok(key) => flights.start(key, Errand::new(conversation.clone(), message)),
            Err(fault) => conversation.say(fault.to_response(message.id())).await,
        }
        return;
    }
    if let Some(request) = message.cancelled() {
        flights.withdraw(&request);
        // In the stateless era the closed connection says it.
        if conversation.dialect.legacy().is_none() {
            return;
        }
    }
    tell(conversation, &message).await;
}

/// Passes on what wants no answer, in order: what follows may rest on it, so that a session that is
/// just being joined again and a gateway that just starts are waited for. Before the session is
/// joined there is nobody to tell.
async fn tell(conversation: &Conversation, message: &Message) {
    let known = message.method().is_none_or(is_notification);
    if !known || message.has_reserved() {
        tracing::info!(method = message.method(), "not passed on");
        return;
    }
    match timeout(TOLD, passed_on(conversation, message)).await {
        Ok(Some(Ok(reply))) if reply.status.is_success() => {}
        Ok(Some(Ok(reply))) => {
            tracing::info!(method = message.method(), status = %reply.status, "refused");
        }
        Ok(Some(Err(error))) => tracing::info!(method = message.method(), %error, "not passed on"),
        Ok(None) => tracing::info!(method = message.method(), "not passed on: nobody joined"),
        Err(_) => tracing::info!(method = message.method(), "not passed on in time"),
    }
}

async fn passed_on(
    conversation: &Conversation,
    message: &Message,
) -> Option<Result<Reply, GatewayError>> {
    let instance = &conversation.context.instance;
    instance.joined_before().await?;
    loop {
        let headers = conversation.dialect.headers(message);
        let text = message.text().to_owned();
        let server = &conversation.server;
        match instance.gateway().call(server, text, &headers).await {
            Err(GatewayError::Unreachable { .. }) => sleep(REACH_AGAIN).await,
            answered => return Some(answered),
        }
    }
}

/// A request that merely lacks its id is none: the gateway refuses it, and so does the bridge.
fn is_notification(method: &str) -> bool {
    matches!(
        method,
        "notifications/initialized"
            | "notifications/cancelled"
            | "notifications/progress"
            | "notifications/roots/list_changed"
    )
}

async fn refuse(conversation: &Conversation, error: &LineError) {
    let reason = match error {
        LineError::TooLong => "too_large",
        LineError::NotText => "malformed",
        LineError::Broken(_) => return,
    };
    let fault = Fault::new(code::INVALID_REQUEST, reason, error.to_string());
    conversation.say(fault.to_response(None)).await;
}

async fn write(mut queue: mpsc::Receiver<String>, mut writer: OwnedWriteHalf) {
    while let Some(mut line) = queue.recv().await {
        line.push('\n');
        if writer.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Flights {
    /// The key of a request that may start.
    fn admit(&self, message: &Message) -> Result<String, Fault> {
        let key = message.id().and_then(id_key).ok_or_else(|| {
            let text = "the id is neither a number nor a string";
            Fault::new(code::INVALID_REQUEST, "bad_id", text)
        })?;
        if message.has_reserved() {
            let text = "delegation and proof are for the bridge to add";
            return Err(Fault::new(code::INVALID_PARAMS, "reserved_meta", text));
        }
        if message.has_bad_step() {
            let text = "io.chancery/step is not the id of a step";
            return Err(Fault::new(code::INVALID_PARAMS, "bad_step", text)
                .with_remedy("name a step of the mission, or leave the member out"));
        }
        if self.handles.contains_key(&key) {
            let text = "a request of this id is still open";
            return Err(Fault::new(code::INVALID_REQUEST, "id_in_use", text));
        }
        if self.handles.len() >= MOST_IN_FLIGHT {
            let text = format!("{MOST_IN_FLIGHT} requests are open already");
            return Err(Fault::new(code::UNAVAILABLE, "too_many_requests", text)
                .with_remedy("wait for an answer, then repeat the request"));
        }
        Ok(key)
    }

    fn start(&mut self, key: String, errand: Errand) {
        let named = key.clone();
        let handle = self.tasks.spawn(async move {
            errand.run().await;
            named
        });
        self.handles.insert(key, handle);
    }

    fn landed(&mut self, key: Option<String>) {
        // One that was withdrawn is not known any more.
        if let Some(key) = key {
            self.handles.remove(&key);
        }
    }

    fn withdraw(&mut self, key: &str) {
        if let Some(handle) = self.handles.remove(key) {
            handle.abort();
        }
    }
}

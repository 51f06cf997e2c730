use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_types::id::SessionId;
use tokio::sync::watch;
use tokio::time::timeout;

use super::child::Child;
use super::exchange::{Delivery, Exchange};
use super::{Upstream, UpstreamError};
use crate::enforcer::Seat;
use crate::envelope::{Kind, Message};
use crate::era::Era;
use crate::limits::Limits;
use crate::request_id::RequestId;
use crate::server_name::ServerName;
use crate::transport_id::TransportId;

/// Children that a seat may have of one server in the stateless era, where several clients of one
/// instance may use the same request id at the same time.
const LANES: u8 = 4;

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Which child a message is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ChildKey {
    pub(crate) seat: Seat,
    pub(crate) server: ServerName,
    /// The transport session, in the legacy era: its child has shaken hands with one client.
    pub(crate) transport: Option<TransportId>,
}

/// The tool servers of a gateway and their running children. No two seats share a child.
#[derive(Debug)]
pub struct Upstreams {
    pub(super) servers: BTreeMap<ServerName, Upstream>,
    pub(super) limits: Limits,
    /// Rises whenever a child says that its tools have changed.
    changes: watch::Sender<u64>,
    slots: Mutex<HashMap<(ChildKey, u8), Arc<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    child: tokio::sync::Mutex<Option<Arc<Child>>>,
    /// What the client opened the transport session with; said again to a child that is restarted.
    handshake: Mutex<Option<Arc<Message>>>,
}

impl Upstreams {
    /// Knows `servers`; starts none of them before it is used.
    pub fn new(servers: BTreeMap<ServerName, Upstream>, limits: Limits) -> Self {
        Self {
            servers,
            limits,
            changes: watch::Sender::new(0),
            slots: Mutex::default(),
        }
    }

    /// Whether a server of this name is configured.
    pub fn knows(&self, server: &ServerName) -> bool {
        self.servers.contains_key(server)
    }

    /// The names of the configured servers, sorted.
    pub fn names(&self) -> impl Iterator<Item = &ServerName> {
        self.servers.keys()
    }

    /// Changes whenever a child says that its tools have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Ends all children of a session and waits until they have ended.
    pub async fn close_session(&self, session: SessionId) {
        self.close_where(|key| key.seat.session == session).await;
    }

    /// Ends all children of an instance in a session and waits until they have ended.
    pub async fn close_seat(&self, seat: Seat) {
        self.close_where(|key| key.seat == seat).await;
    }

    /// Ends all children and waits until they have ended.
    pub async fn close_all(&self) {
        self.close_where(|_| true).await;
    }

    pub(crate) async fn close(&self, transport: &TransportId) {
        self.close_where(|key| key.transport.as_ref() == Some(transport))
            .await;
    }

    /// Sends a request to the child, starting it where none runs. One of the legacy era starts with a
    /// handshake: the client's own, or that one again.
    pub(crate) async fn request(
        &self,
        key: &ChildKey,
        message: &Message,
        streams: bool,
    ) -> Result<Exchange, UpstreamError> {
        let lanes = if key.transport.is_some() { 1 } else { LANES };
        for lane in 0..lanes {
            let greets = message.method() == Some("initialize");
            let child = self.child(key, lane, greets).await?;
            match child.request(message, streams).await {
                Err(UpstreamError::IdInUse) => {}
                other => return other,
            }
        }
        Err(UpstreamError::IdInUse)
    }

    /// Remembers with what a transport session was opened.
    pub(crate) fn remember(&self, key: &ChildKey, handshake: Arc<Message>) {
        if let Some(slot) = self.lock().get(&(key.clone(), 0)) {
            let mut known = slot
                .handshake
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *known = Some(handshake);
        }
    }

    /// Passes a notification on to a child that runs. One that does not missed nothing.
    pub(crate) async fn notify(
        &self,
        key: &ChildKey,
        message: &Message,
    ) -> Result<(), UpstreamError> {
        let Some(child) = self.running(key).await else {
            return Ok(());
        };
        if message.method() == Some("notifications/cancelled")
            && let Some(id) = message.param("requestId").and_then(RequestId::from_json)
        {
            child.withdraw(&id);
        }
        child.send(&message.forwarded()).await
    }

    /// Passes on the client's answer to a request of the server. False where the server did not ask.
    pub(crate) async fn answer(
        &self,
        key: &ChildKey,
        id: &RequestId,
        message: &Message,
    ) -> Result<bool, UpstreamError> {
        let Some(child) = self.running(key).await.filter(|child| child.take_asked(id)) else {
            return Ok(false);
        };
        child.send(&message.forwarded()).await.map(|()| true)
    }

    /// Ends stateless children that nobody uses.
    pub(crate) fn sweep(&self) {
        self.lock().retain(|(key, _), slot| {
            if key.transport.is_some() {
                return true;
            }
            let Ok(child) = slot.child.try_lock() else {
                return true;
            };
            child
                .as_ref()
                .is_some_and(|child| child.over().is_none() && !child.is_idle(self.limits.idle))
        });
    }

    async fn running(&self, key: &ChildKey) -> Option<Arc<Child>> {
        let slot = self.lock().get(&(key.clone(), 0)).cloned()?;
        let child = slot.child.lock().await;
        child
            .as_ref()
            .filter(|child| child.over().is_none())
            .cloned()
    }

    async fn child(
        &self,
        key: &ChildKey,
        lane: u8,
        greets: bool,
    ) -> Result<Arc<Child>, UpstreamError> {
        let upstream = self
            .servers
            .get(&key.server)
            .ok_or_else(|| UpstreamError::Unknown(key.server.clone()))?;
        let slot = {
            let mut slots = self.lock();
            let place = (key.clone(), lane);
            if key.transport.is_some() && !greets && !slots.contains_key(&place) {
                return Err(UpstreamError::Handshake(key.server.clone()));
            }
            if !slots.contains_key(&place) && slots.len() >= self.limits.children {
                return Err(UpstreamError::TooMany);
            }
            Arc::clone(slots.entry(place).or_default())
        };
        let mut current = slot.child.lock().await;
        if let Some(child) = current.as_ref().filter(|child| child.over().is_none()) {
            return Ok(Arc::clone(child));
        }
        let handshake = {
            let known = slot
                .handshake
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            known.clone()
        };
        if key.transport.is_some() && !greets && handshake.is_none() {
            return Err(UpstreamError::Handshake(key.server.clone()));
        }
        let era = match key.transport {
            Some(_) => Era::Legacy,
            None => Era::Stateless,
        };
        let changes = self.changes.clone();
        let child = Child::spawn(&key.server, upstream, era, &self.limits, changes)?;
        if let Some(handshake) = handshake {
            self.repeat(&child, &handshake, &key.server).await?;
        }
        *current = Some(Arc::clone(&child));
        Ok(child)
    }

    /// Shakes hands with a restarted child as its client once did.
    async fn repeat(
        &self,
        child: &Arc<Child>,
        handshake: &Message,
        server: &ServerName,
    ) -> Result<(), UpstreamError> {
        let mut exchange = child.request(handshake, false).await?;
        let answered = timeout(self.limits.restart, async {
            loop {
                match exchange.next().await {
                    Delivery::Message(_) => {}
                    Delivery::Response(response) => {
                        let accepted = Kind::Response {
                            id: handshake.id().cloned(),
                            is_error: false,
                        };
                        return *response.kind() == accepted;
                    }
                    Delivery::Withdrawn | Delivery::Over(_) => return false,
                }
            }
        })
        .await;
        if answered != Ok(true) {
            return Err(UpstreamError::Handshake(server.clone()));
        }
        child.send(INITIALIZED).await
    }

    async fn close_where(&self, of: impl Fn(&ChildKey) -> bool) {
        let slots: Vec<_> = self
            .lock()
            .extract_if(|(key, _), _| of(key))
            .map(|(_, slot)| slot)
            .collect();
        let mut ending = Vec::new();
        for slot in slots {
            if let Some(child) = slot.child.lock().await.take() {
                child.stop();
                ending.push(child);
            }
        }
        for child in ending {
            child.ended().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(ChildKey, u8), Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

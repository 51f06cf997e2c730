//! An instance in its session.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chancery_api::gateway::{EndedSession, SessionView};
use chancery_delegation::Step;
use chancery_delegation::token::Call;
use chancery_types::Digest;
use http::StatusCode;
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};

use crate::clock::now;
use crate::gateway::{GatewayClient, GatewayError};
use crate::held::Held;
use crate::identity::{Credential, NodeError, NodeIdentity};
use crate::key::{AgentKey, AgentKeyError};

const NODE_PAUSE: Duration = Duration::from_secs(1);
const FAREWELL: Duration = Duration::from_secs(5);
/// Longer than the gateway waits for running calls.
const COMPLETION: Duration = Duration::from_secs(20);

/// One instance: its key, its node, its gateway, and, once it was delegated, its authority.
pub struct Instance {
    key: AgentKey,
    node: Arc<dyn NodeIdentity>,
    gateway: GatewayClient,
    held: watch::Sender<Option<Arc<Held>>>,
    joined: Mutex<Option<Arc<Joined>>>,
}

/// A session that the instance joined, with the authority it joined by.
#[derive(Debug)]
pub(crate) struct Joined {
    held: Arc<Held>,
    own: Presented,
}

/// A chain as it goes with a call.
#[derive(Debug)]
pub(crate) struct Presented {
    /// `cth`: the digest of the links joined by commas.
    digest: Digest,
    /// The links as a JSON array.
    json: String,
    /// Whether the gateway has seen it with a call, so that a reference is enough.
    known: AtomicBool,
}

impl Presented {
    /// The chain of these links. Whether they are one is for the gateway to say.
    pub(crate) fn new(links: Vec<String>) -> Self {
        let digest = Digest::of(links.join(","));
        Self {
            digest,
            json: Value::from(links).to_string(),
            known: AtomicBool::new(false),
        }
    }

    /// Notes whether the gateway knows it.
    pub(crate) fn note(&self, known: bool) {
        self.known.store(known, Ordering::Relaxed);
    }

    /// The member of `_meta`: a reference once the gateway knows the chain.
    fn delegation(&self, in_full: bool) -> String {
        if !in_full && self.known.load(Ordering::Relaxed) {
            format!(r#""{}""#, self.digest)
        } else {
            self.json.clone()
        }
    }
}

/// Why an instance cannot act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Nobody delegated anything to the instance.
    #[error("nothing was delegated to this instance within {seconds} seconds")]
    NoDelegation {
        /// How long it waited.
        seconds: u64,
    },
    /// The delegation is for another key.
    #[error("the delegation is for another agent key than this instance's")]
    OtherKey,
    /// The instance holds a delegation for another session.
    #[error("this instance holds a delegation for another session")]
    OtherSession,
    /// The instance has not joined a session.
    #[error("this instance has not joined a session")]
    NotJoined,
    /// The node gave no credential.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The gateway refused or is away.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The agent key failed.
    #[error(transparent)]
    Key(#[from] AgentKeyError),
}

impl SessionError {
    /// A stable code, one for each cause.
    pub fn reason(&self) -> &str {
        match self {
            Self::NoDelegation { .. } => "no_delegation",
            Self::OtherKey => "other_key",
            Self::OtherSession => "other_session",
            Self::NotJoined => "not_joined",
            Self::Node(_) => "no_credential",
            Self::Gateway(error) => error.reason(),
            Self::Key(_) => "agent_key",
        }
    }

    /// What helps, where something is known to.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::NoDelegation { .. } => {
                Some("delegate to this instance with `chancery delegate`, then repeat the call")
            }
            Self::OtherKey | Self::OtherSession => {
                Some("start the instance again and delegate to the new one")
            }
            Self::NotJoined => Some("make a call first: the first call joins the session"),
            Self::Node(_) => Some("start the process with `chancery run` or `chancery connect`"),
            Self::Gateway(GatewayError::Refused(problem)) => problem.remedy.as_deref(),
            Self::Gateway(_) => Some("see that `chancery up` is running, then repeat the call"),
            Self::Key(_) => None,
        }
    }
}

impl Instance {
    /// An instance that holds nothing yet. `key` is the one that `node` knows it by.
    pub fn new(key: AgentKey, node: Arc<dyn NodeIdentity>, gateway: GatewayClient) -> Self {
        Self {
            key,
            node,
            gateway,
            held: watch::Sender::new(None),
            joined: Mutex::new(None),
        }
    }

    /// The agent key.
    pub const fn key(&self) -> &AgentKey {
        &self.key
    }

    /// The client of the gateway.
    pub const fn gateway(&self) -> &GatewayClient {
        &self.gateway
    }

    /// The credential of the agent key, from the node.
    pub async fn credential(&self) -> Result<Credential, NodeError> {
        self.node.credential(&self.key).await
    }

    /// Takes a delegation that came another way than from the node: from a parent. Refuses one that
    /// is for another key.
    pub fn hold(&self, held: Held) -> Result<(), SessionError> {
        if !held.is_for(self.key.public()) {
            return Err(SessionError::OtherKey);
        }
        self.held.send_replace(Some(Arc::new(held)));
        Ok(())
    }

    /// Takes a delegation from another agent. What is held already for another session is not
    /// replaced: a peer must not put an instance to work in a session of the peer's choice.
    pub(crate) fn take(&self, held: Held) -> Result<(), SessionError> {
        if !held.is_for(self.key.public()) {
            return Err(SessionError::OtherKey);
        }
        let session = held.session();
        let fresh = self.held.send_if_modified(|known| {
            if known
                .as_ref()
                .is_some_and(|known| known.session() != session)
            {
                return false;
            }
            *known = Some(Arc::new(held));
            true
        });
        if fresh {
            Ok(())
        } else {
            Err(SessionError::OtherSession)
        }
    }

    /// Whether a delegation of that session would be taken.
    pub(crate) fn takes(&self, session: &str) -> bool {
        let held = self.held.borrow();
        held.as_ref()
            .is_none_or(|held| held.session().to_string() == session)
    }

    /// The delegation, once there is one; waits for it as long as it is told.
    pub async fn held(&self, wait: Duration) -> Result<Arc<Held>, SessionError> {
        let mut receiver = self.held.subscribe();
        let held = timeout(wait, receiver.wait_for(Option::is_some)).await;
        let held = held.ok().and_then(Result::ok).and_then(|held| held.clone());
        held.ok_or(SessionError::NoDelegation {
            seconds: wait.as_secs(),
        })
    }

    /// Waits until the node has a delegation for this instance, asking again while the node is
    /// away. Returns at once when the instance holds one.
    pub(crate) async fn await_delegation(&self) {
        while self.held.borrow().is_none() {
            let error = match self.node.await_delegation().await {
                Ok(held) => match self.hold(held) {
                    Ok(()) => return,
                    Err(error) => error,
                },
                Err(error) => SessionError::Node(error),
            };
            tracing::info!(%error, "no delegation yet");
            sleep(NODE_PAUSE).await;
        }
    }

    /// The session, opened or joined at the first need.
    pub(crate) async fn joined(&self, wait: Duration) -> Result<Arc<Joined>, SessionError> {
        let held = self.held(wait).await?;
        let mut joined = self.joined.lock().await;
        if let Some(joined) = &*joined {
            return Ok(Arc::clone(joined));
        }
        self.enter(&held).await?;
        let fresh = Arc::new(Joined::new(held));
        *joined = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Opens or joins the session of the instance's delegation, as its first call would. Others can
    /// join it from then on.
    pub async fn enter_session(&self, wait: Duration) -> Result<(), SessionError> {
        self.joined(wait).await.map(drop)
    }

    /// The authority that the session was joined by, opened or joined at the first need.
    pub async fn session_authority(&self, wait: Duration) -> Result<Arc<Held>, SessionError> {
        Ok(Arc::clone(&self.joined(wait).await?.held))
    }

    /// The session, if it was joined; one that is just being joined is waited for.
    pub(crate) async fn joined_before(&self) -> Option<Arc<Joined>> {
        self.joined.lock().await.clone()
    }

    /// The session, if it was joined and is not just being joined.
    pub(crate) fn joined_now(&self) -> Option<Arc<Joined>> {
        self.joined
            .try_lock()
            .ok()
            .and_then(|joined| joined.clone())
    }

    /// The gateway does not know of `joined` any more: the next call joins again.
    pub(crate) async fn forget(&self, joined: &Arc<Joined>) {
        let mut known = self.joined.lock().await;
        if known
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, joined))
        {
            *known = None;
        }
    }

    /// The proof and the chain for one call, as members of `_meta`: the own chain, unless another
    /// one is to be presented; by reference once the gateway has seen it, unless `in_full`. A call that
    /// names no step serves the only one of the mission that lists it; where none or several do, the
    /// proof cites none and a person is asked.
    pub(crate) fn authority(
        &self,
        joined: &Joined,
        presented: Option<&Presented>,
        in_full: bool,
        call: Call<'_>,
        step: Option<&str>,
    ) -> Result<String, AgentKeyError> {
        let mission = joined.held.mission();
        let step = step.or_else(|| mission.only_step_for(&call).map(Step::id));
        let gateway = &self.gateway.gateway().spiffe_id;
        let presented = joined.presented(presented);
        let proof = self
            .key
            .prove_call(gateway, presented.digest, call, step, now())?;
        let delegation = presented.delegation(in_full);
        // A compact JWS holds nothing that JSON escapes.
        Ok(format!(
            r#""io.chancery/delegation":{delegation},"io.chancery/proof":"{proof}""#
        ))
    }

    /// The session as the gateway sees it.
    pub async fn view_session(&self) -> Result<SessionView, SessionError> {
        let session = self.session().await?;
        Ok(self.gateway.view(session).await?)
    }

    /// Ends the session for everybody in it.
    pub async fn end_session(&self) -> Result<EndedSession, SessionError> {
        let session = self.session().await?;
        Ok(self.gateway.end(session).await?)
    }

    /// Ends the session because its mission is done, where this instance holds the session's root and
    /// joined: nobody else can go on with it. Nothing otherwise.
    pub async fn complete_session(&self) {
        let Some(joined) = self.joined_now().filter(|joined| joined.held.is_root()) else {
            return;
        };
        match timeout(COMPLETION, self.gateway.end(joined.held.session())).await {
            Ok(Ok(_)) => {}
            // It has ended already, or its gateway is away and ends it once nobody is in it.
            Ok(Err(error)) => tracing::info!(%error, "the session was not ended"),
            Err(_) => tracing::info!("the session was not ended in time"),
        }
    }

    /// Leaves the session; nothing where none was joined. Does not wait for a gateway that is away.
    pub async fn leave_session(&self) {
        let Some(joined) = self.joined.lock().await.take() else {
            return;
        };
        match timeout(FAREWELL, self.gateway.leave(joined.held.session())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%error, "the session was not left"),
            Err(_) => tracing::info!("the session was not left in time"),
        }
    }

    async fn session(&self) -> Result<chancery_types::id::SessionId, SessionError> {
        let joined = self.joined.lock().await;
        joined
            .as_ref()
            .map(|joined| joined.held.session())
            .ok_or(SessionError::NotJoined)
    }

    /// The holder of the root opens the session; everybody else, and it too when it comes again,
    /// joins.
    async fn enter(&self, held: &Held) -> Result<SessionView, SessionError> {
        if held.is_root() {
            match self.present(held, Entrance::Open).await {
                Err(SessionError::Gateway(GatewayError::Refused(problem)))
                    if problem.status == StatusCode::CONFLICT.as_u16() => {}
                outcome => return outcome,
            }
        }
        self.present(held, Entrance::Join).await
    }

    async fn present(&self, held: &Held, entrance: Entrance) -> Result<SessionView, SessionError> {
        let credential = self.credential().await?;
        let challenge = self.gateway.challenge().await?;
        let gateway = &self.gateway.gateway().spiffe_id;
        let proof = self
            .key
            .prove_session(gateway, &challenge.nonce, held.digest(), now())?;
        let presentation = held.present(&credential, proof);
        Ok(match entrance {
            Entrance::Open => self.gateway.open(&presentation).await?,
            Entrance::Join => self.gateway.join(held.session(), &presentation).await?,
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Entrance {
    Open,
    Join,
}

impl Joined {
    fn new(held: Arc<Held>) -> Self {
        let own = Presented::new(held.chain().to_vec());
        Self { held, own }
    }

    /// The chain that goes with a call: the own one unless another is named.
    pub(crate) fn presented<'a>(&'a self, other: Option<&'a Presented>) -> &'a Presented {
        other.unwrap_or(&self.own)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("key", &self.key)
            .field("gateway", self.gateway.gateway())
            .field("held", &*self.held.borrow())
            .finish_non_exhaustive()
    }
}

//! The socket on which MCP clients that know nothing of Chancery become governed agents.

mod connection;
mod dialect;
mod errand;
mod fault;
mod mcp;
mod message;
mod opening;
mod present;
mod spawn;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::peer::PeerProcess;
use crate::session::Instance;
use crate::socket::PrivateSocket;

pub use present::{PRESENT_REASONS, PresentError, Presenter};
pub use spawn::{
    MAX_CHILDREN, MAX_ENDS, SpawnEnd, SpawnEnds, SpawnError, SpawnMany, SpawnRequest, Spawned,
    SpawnedChild, Spawner,
};

const MOST_CONNECTIONS: usize = 64;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Says whether a process may use the bridge: for instance whether it is in the launch's pid
/// namespace.
pub type Admit = Arc<dyn Fn(&PeerProcess) -> bool + Send + Sync>;

/// Where a bridge listens, and for whom.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// The socket. Nothing may be at that path.
    pub socket: PathBuf,
    /// The user who may connect, where it is not this process's.
    pub owner: Option<u32>,
    /// How long calls wait for people.
    pub patience: Patience,
}

/// How long a call waits for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the delegation that the first call needs.
    pub delegation: Duration,
    /// For the answer to an escalation.
    pub approval: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            delegation: Duration::from_secs(120),
            approval: Duration::from_secs(900),
        }
    }
}

/// Serves MCP on a Unix socket of mode 0600 to the processes of one launch, and to nobody else. It
/// adds authority and proof to their calls and leaves every other byte as it was.
pub struct Bridge {
    socket: PrivateSocket,
    context: Context,
    admit: Admit,
}

#[derive(Clone)]
struct Context {
    instance: Arc<Instance>,
    spawner: Option<Arc<dyn Spawner>>,
    presenter: Option<Arc<dyn Presenter>>,
    patience: Patience,
}

impl Bridge {
    /// Binds the socket. Without a spawner nothing can be started through it.
    pub fn bind(
        config: &BridgeConfig,
        instance: Arc<Instance>,
        admit: Admit,
        spawner: Option<Arc<dyn Spawner>>,
    ) -> io::Result<Self> {
        let socket = PrivateSocket::bind(&config.socket, config.owner)?;
        let patience = config.patience;
        Ok(Self::over(socket, instance, (admit, spawner), patience))
    }

    /// As [`Bridge::bind`], on a socket that is bound already: a sandbox shows only sockets that were
    /// there before it.
    pub fn on(
        listener: std::os::unix::net::UnixListener,
        config: &BridgeConfig,
        instance: Arc<Instance>,
        admit: Admit,
        spawner: Option<Arc<dyn Spawner>>,
    ) -> io::Result<Self> {
        let socket = PrivateSocket::adopt(listener, &config.socket, config.owner)?;
        let patience = config.patience;
        Ok(Self::over(socket, instance, (admit, spawner), patience))
    }

    fn over(
        socket: PrivateSocket,
        instance: Arc<Instance>,
        (admit, spawner): (Admit, Option<Arc<dyn Spawner>>),
        patience: Patience,
    ) -> Self {
        let context = Context {
            instance,
            spawner,
            presenter: None,
            patience,
        };
        Self {
            socket,
            context,
            admit,
        }
    }

    /// Answers the challenges of relying parties too; without this it does not.
    #[must_use]
    pub fn with_presenter(mut self, presenter: Arc<dyn Presenter>) -> Self {
        self.context.presenter = Some(presenter);
        self
    }

    /// Serves until `stop` is ready; then open calls are withdrawn and the session is left.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self {
            socket,
            context,
            admit,
        } = self;
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut tasks = JoinSet::new();
        let instance = Arc::clone(&context.instance);
        tasks.spawn(async move { instance.await_delegation().await });
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                accepted = socket.accept(|peer| admit(peer)) => match accepted {
                    Ok(stream) => {
                        // Full: the client sees its connection closed.
                        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                            continue;
                        };
                        let context = context.clone();
                        tasks.spawn(async move {
                            connection::serve(stream, context).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::error!(%error, "accept failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(socket);
        tasks.shutdown().await;
        context.instance.leave_session().await;
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge")
            .field("socket", &self.socket)
            .field("instance", &self.context.instance)
            .finish_non_exhaustive()
    }
}

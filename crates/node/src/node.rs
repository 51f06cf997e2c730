use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_api::OwnerListener;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::record::LaunchRecords;
use crate::{BrokerError, Issuer, Launches, broker, operator, workload};

/// Longest path of a Unix socket: 108 bytes with the final NUL.
const MAX_SOCKET_PATH: usize = 107;

/// How long the end waits for the issuer to hear of it.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// The socket of the workloads, mode 0666.
    pub workload_socket: PathBuf,
    /// The socket of the operator, mode 0600.
    pub operator_socket: PathBuf,
    /// The folder where launches are noted, so that a node that was killed finds them again.
    pub launches: PathBuf,
}

/// A node that has its sockets.
#[derive(Debug)]
pub struct Node {
    launches: Arc<Launches>,
    workload: UnixListener,
    operator: OwnerListener,
    brokers: Option<UnixListener>,
}

/// Why a node cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The path does not fit into a socket address.
    #[error("{}: a socket's path has at most {MAX_SOCKET_PATH} bytes; use a shorter data folder", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// A socket cannot be bound.
    #[error("{}: {source}", path.display())]
    Bind {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The launches of before cannot be read, or none can be noted.
    #[error("{}: launches cannot be noted there: {source}", path.display())]
    Records {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The workload side failed.
    #[error("the workload socket failed")]
    Workload(#[source] tonic::transport::Error),
    /// The operator side failed.
    #[error("the operator socket failed")]
    Operator(#[source] io::Error),
    /// The broker side failed.
    #[error("the broker socket failed")]
    Broker(#[source] BrokerError),
}

impl Node {
    /// Binds both sockets and takes up the launches that an earlier run of the node noted, as far as
    /// their processes run still. The sockets' folders exist already, and bound sockets that nobody
    /// serves any more are replaced.
    pub fn bind(config: &NodeConfig, issuer: Arc<dyn Issuer>) -> Result<Self, NodeError> {
        let workload = bound(&config.workload_socket, bind_for_all)?;
        let operator = bound(&config.operator_socket, OwnerListener::bind)?;
        let noted = |source| NodeError::Records {
            path: config.launches.clone(),
            source,
        };
        let records = LaunchRecords::open(&config.launches).map_err(noted)?;
        let launches = Arc::new(Launches::new(issuer, records));
        launches.resume().map_err(noted)?;
        launches.follow_withdrawn();
        Ok(Self {
            launches,
            workload,
            operator,
            brokers: None,
        })
    }

    /// The same, with a socket for brokers, which is incubating: whoever reaches it needs an X.509-SVID
    /// that the operator admitted. Its folder exists already.
    pub fn with_brokers(self, socket: &Path) -> Result<Self, NodeError> {
        let brokers = bound(socket, bind_for_brokers)?;
        Ok(Self {
            brokers: Some(brokers),
            ..self
        })
    }

    /// The launches of this node.
    pub const fn launches(&self) -> &Arc<Launches> {
        &self.launches
    }

    /// Serves until `shutdown` or until a socket fails. Then every launch ends and the issuer hears
    /// of it.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), NodeError> {
        let (stop, stopping) = watch::channel(false);
        let workload = workload::serve(
            self.workload,
            Arc::clone(&self.launches),
            stopped(stopping.clone()),
        );
        let brokers = self.brokers.map(|listener| {
            broker::serve(
                listener,
                Arc::clone(&self.launches),
                stopped(stopping.clone()),
            )
        });
        let brokers = async {
            match brokers {
                Some(serving) => serving.await.map_err(NodeError::Broker),
                None => Ok(()),
            }
        };
        let operator =
            operator::serve(self.operator, Arc::clone(&self.launches), stopped(stopping));
        let both = async {
            tokio::try_join!(
                async { workload.await.map_err(NodeError::Workload) },
                async { operator.await.map_err(NodeError::Operator) },
                brokers,
            )
        };
        tokio::pin!(both);
        let failure = tokio::select! {
            outcome = &mut both => Some(outcome.map(|_| ())),
            () = shutdown => None,
        };
        stop.send_replace(true);
        // Ends the streams as well, without which the servers would wait for their clients.
        let told = tokio::time::timeout(STOP_TIMEOUT, self.launches.stop()).await;
        if told.is_err() {
            tracing::warn!("the issuer has not heard of the end of every launch");
        }
        match failure {
            Some(outcome) => outcome,
            None => match tokio::time::timeout(STOP_TIMEOUT, both).await {
                Ok(outcome) => outcome.map(|_| ()),
                Err(_) => Ok(()),
            },
        }
    }
}

fn bound<L>(path: &Path, bind: impl FnOnce(&Path) -> io::Result<L>) -> Result<L, NodeError> {
    let path = path.to_owned();
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(NodeError::PathTooLong { path });
    }
    bind(&path).map_err(|source| NodeError::Bind { path, source })
}

/// Everyone may connect: who asks is attested, not authenticated.
fn bind_for_all(path: &Path) -> io::Result<UnixListener> {
    let listener = free(path)?;
    // Inherited by what is accepted: every piece that is read says which process wrote it.
    setsockopt(&listener, sockopt::PassCred, &true)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Whoever reaches the folder may connect: who asks is authenticated.
fn bind_for_brokers(path: &Path) -> io::Result<UnixListener> {
    let listener = free(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// A socket in the place of one that nobody serves any more.
fn free(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        let message = "another process serves this socket; stop it first";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopping.wait_for(|stop| *stop).await;
}

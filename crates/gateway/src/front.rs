//! The side that faces the agents: HTTP over mutual TLS.

mod body;
mod connection;
mod exchange;
mod headers;
mod hosts;
mod mcp;
mod outlet;
mod places;
mod routes;
mod sessions;
mod tasks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;

use crate::enforcer::Enforcer;
use crate::limits::Limits;
use crate::upstream::Upstreams;

pub use hosts::Hosts;
pub use routes::{Endpoint, ROUTES, Route};

use connection::Connection;
use places::Places;
use sessions::TransportSessions;
use tasks::Tasks;

const SWEEP: Duration = Duration::from_secs(30);
const FAREWELL: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The gateway's server. Speaks to nobody without a client certificate that the TLS configuration
/// verified and the enforcer could name.
pub struct Front {
    tls: TlsAcceptor,
    context: Arc<Context>,
}

struct Context {
    enforcer: Arc<dyn Enforcer>,
    upstreams: Arc<Upstreams>,
    sessions: TransportSessions,
    places: Places,
    hosts: Hosts,
    limits: Limits,
    tasks: Tasks,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("upstreams", &self.upstreams)
            .field("sessions", &self.sessions)
            .field("hosts", &self.hosts)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl Front {
    /// `tls` must demand and verify client certificates: a connection without one is closed.
    pub fn new(
        tls: Arc<ServerConfig>,
        enforcer: Arc<dyn Enforcer>,
        upstreams: Arc<Upstreams>,
        hosts: Hosts,
        limits: Limits,
    ) -> Self {
        Self {
            tls: TlsAcceptor::from(tls),
            context: Arc::new(Context {
                enforcer,
                upstreams,
                sessions: TransportSessions::default(),
                places: Places::default(),
                hosts,
                limits,
                tasks: Tasks::new(),
            }),
        }
    }

    /// Serves until `stop` is ready. Then no connection is taken any more, the children end, every
    /// permitted call gets its outcome, and what is left of the connections is closed.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send) {
        let (stopping, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(self.context.limits.connections));
        let mut connections = JoinSet::new();
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = sweep.tick() => self.sweep(),
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        // Full: the client sees its connection closed.
                        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                            continue;
                        };
                        let connection = Connection {
                            context: Arc::clone(&self.context),
                            tls: self.tls.clone(),
                            address,
                            stopped: stopped.clone(),
                        };
                        connections.spawn(async move {
                            connection.serve(stream).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        stopping.send_replace(true);
        self.context.upstreams.close_all().await;
        self.context.tasks.end().await;
        let closed = async { while connections.join_next().await.is_some() {} };
        if timeout(FAREWELL, closed).await.is_err() {
            connections.shutdown().await;
        }
    }

    fn sweep(&self) {
        self.context.upstreams.sweep();
        for id in self.context.sessions.expire(self.context.limits.idle) {
            let upstreams = Arc::clone(&self.context.upstreams);
            self.context
                .tasks
                .spawn(async move { upstreams.close(&id).await });
        }
    }
}

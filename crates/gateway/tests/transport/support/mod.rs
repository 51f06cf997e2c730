//! A gateway with a scripted enforcer, and clients with certificates.

pub(crate) mod client;
pub(crate) mod enforcer;
pub(crate) mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_gateway::{Front, Hosts, Limits, Upstream, Upstreams};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use client::Client;
use enforcer::Scripted;
use tls::Authority;

pub(crate) struct Gateway {
    pub(crate) authority: Authority,
    pub(crate) enforcer: Arc<Scripted>,
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) served: JoinHandle<()>,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let folder = TempDir::new().unwrap();
        let log = folder.path().join("received");
        let log = log.to_str().unwrap().to_owned();
        let none = Vec::<String>::new();
        let servers = BTreeMap::from([
            ("raw", Upstream::new(example("raw_server"), [log.clone()])),
            (
                "old",
                Upstream::new(example("raw_server"), [log, "legacy".to_owned()]),
            ),
            ("sdk", Upstream::new(example("rmcp_server"), none.clone())),
            ("gone", Upstream::new("/nonexistent/server", none)),
        ]);
        let servers = servers
            .into_iter()
            .map(|(name, server)| (name.parse().unwrap(), server))
            .collect();
        let upstreams = Arc::new(Upstreams::new(servers, limits.clone()));
        let authority = Authority::new();
        let enforcer = Arc::new(Scripted::default());
        let front = Front::new(
            authority.server(),
            enforcer.clone(),
            upstreams.clone(),
            Hosts::default(),
            limits,
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(front.serve(listener, async {
            let _ = stopped.await;
        }));
        Self {
            authority,
            enforcer,
            address,
            folder,
            upstreams,
            stop,
            served,
        }
    }

    pub(crate) async fn client(&self, name: &str) -> Client {
        Client::connect(self.address, self.authority.client(name)).await
    }

    /// The lines that the raw servers received, in order.
    pub(crate) fn received(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("received"));
        log.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// A socket on which any client that knows nothing of TLS reaches the gateway as `name`.
    pub(crate) fn bridge(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        tls::bridge(&path, self.address, self.authority.client(name));
        path
    }
}

fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().and_then(Path::parent).unwrap();
    target.join("examples").join(name)
}

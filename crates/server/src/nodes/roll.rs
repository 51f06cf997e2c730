use std::collections::BTreeSet;
use std::time::Instant;

use chancery_api::Problem;
use chancery_store::{Store, StoreError};
use chancery_types::id::NodeId;
use http::StatusCode;
use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, watch};

use super::quota::Quota;
use crate::attempts::Attempts;

/// Who was put out, for whoever answers nodes.
#[derive(Debug)]
pub(crate) struct NodeRoll {
    evicted: watch::Sender<BTreeSet<NodeId>>,
    /// Held together by whoever opens an instance on a node, and alone by whoever puts one out.
    opening: RwLock<()>,
    /// Held by whoever opens one more, so that each is counted.
    counting: Mutex<()>,
    pub(super) attempts: Attempts,
    pub(super) quota: Quota,
}

impl NodeRoll {
    pub(crate) async fn load(store: &Store) -> Result<Self, StoreError> {
        // What did not happen yet is shown as nothing.
        for outcome in ["joined", "refused"] {
            metrics::counter!("chancery_node_joins_total", "outcome" => outcome).increment(0);
        }
        metrics::counter!("chancery_nodes_evicted_total").increment(0);
        let nodes = store.nodes().await?.into_iter();
        let evicted = nodes.filter(|node| node.evicted_at.is_some());
        Ok(Self {
            evicted: watch::Sender::new(evicted.map(|node| node.node_id).collect()),
            opening: RwLock::default(),
            counting: Mutex::default(),
            attempts: Attempts::default(),
            quota: Quota::default(),
        })
    }

    /// Refuses a node that was put out.
    pub(crate) fn check(&self, node: NodeId) -> Result<(), Problem> {
        match self.evicted.borrow().contains(&node) {
            false => Ok(()),
            true => Err(
                Problem::forbidden("node_evicted", format!("{node} was put out"))
                    .with_remedy("let the host join as another node"),
            ),
        }
    }

    /// Counts one more issuance of the node, and refuses it where that is one too many.
    pub(crate) fn issue(&self, node: NodeId) -> Result<(), Problem> {
        match self.quota.issue(node, Instant::now()) {
            true => Ok(()),
            false => Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "node_rate",
                "this node asks for too many issuances",
            )),
        }
    }

    /// Waits until the node is put out.
    pub(crate) async fn evicted(&self, node: NodeId) {
        let mut evicted = self.evicted.subscribe();
        if evicted.wait_for(|all| all.contains(&node)).await.is_err() {
            std::future::pending().await
        }
    }

    /// Nobody puts the node out as long as the answer is held.
    pub(crate) async fn open(&self, node: NodeId) -> Result<RwLockReadGuard<'_, ()>, Problem> {
        let opening = self.opening.read().await;
        self.check(node)?;
        Ok(opening)
    }

    /// Nobody else opens an instance on a node as long as the answer is held.
    pub(crate) async fn counted(&self) -> MutexGuard<'_, ()> {
        self.counting.lock().await
    }

    /// Nobody opens an instance as long as the answer is held.
    pub(super) async fn close(&self) -> RwLockWriteGuard<'_, ()> {
        self.opening.write().await
    }

    /// The node is out, on every connection.
    pub(super) fn put_out(&self, node: NodeId) {
        self.evicted.send_modify(|all| {
            all.insert(node);
        });
    }
}

use std::collections::BTreeSet;

use chancery_api::Problem;
use chancery_store::{Store, StoreError};
use chancery_types::id::NodeId;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};

use super::attempts::Attempts;

/// Who was put out, for whoever answers nodes.
#[derive(Debug)]
pub(crate) struct NodeRoll {
    evicted: watch::Sender<BTreeSet<NodeId>>,
    /// Held together by whoever opens an instance on a node, and alone by whoever puts one out.
    opening: RwLock<()>,
    pub(super) attempts: Attempts,
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
            attempts: Attempts::default(),
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

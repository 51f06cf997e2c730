use chancery_api::Problem;
use chancery_api::server::NodeEvicted;
use chancery_audit::NodeEvict;
use chancery_delegation::Revocable;
use chancery_types::RevocationKind;
use chancery_types::id::NodeId;

use crate::Server;
use crate::endpoints::revocations::end_instance;
use crate::endpoints::{label, stored};
use crate::withdrawn::opened;

/// Under which names the log commits to who put a node out and why.
const BY: &str = "node-evictor";
const REASON: &str = "node-eviction-reason";

impl Server {
    /// Puts a node out, for good: enrolled first, refused from then on, then every instance on it is
    /// revoked. What is out already is gone on with, so that a repeat ends what a crash left.
    pub(crate) async fn evict_node(
        &self,
        node: NodeId,
        reason: &str,
    ) -> Result<NodeEvicted, Problem> {
        let opened = opened(reason, [BY, REASON])?;
        let spiffe_id = self.node_spiffe_id(node)?.to_string();
        let row = self.store.node(node).await.map_err(stored)?;
        let row = row.ok_or_else(|| {
            Problem::not_found("node_unknown", format!("there is no node {node}"))
                .with_remedy("chancery node list")
        })?;
        let closed = self.nodes.close().await;
        let running = self.store.running_on(node).await.map_err(stored)?;
        let mut log_index = row.log_index;
        if row.evicted_at.is_none() {
            let event = NodeEvict {
                node: label(&spiffe_id)?,
                instances: running.len() as u64,
                by: opened.by.commitment(),
                reason: opened.reason.commitment(),
            };
            let (index, at) = self.enrol_at(event).await?;
            self.nodes.put_out(node);
            log_index = index;
            let stored_now = self.store.evict_node(node, at, index).await;
            stored_now.map_err(stored)?;
            metrics::counter!("chancery_nodes_evicted_total").increment(1);
        }
        drop(closed);
        let mut instances = Vec::new();
        for id in running {
            let Some(instance) = self.store.instance(id).await.map_err(stored)? else {
                continue;
            };
            let what = Revocable::new(RevocationKind::Instance, &instance.spiffe_id)
                .map_err(|error| Problem::internal("instance", &error))?;
            self.revoke(what.clone(), reason).await?;
            end_instance(self, &what).await?;
            instances.push(instance.spiffe_id);
        }
        Ok(NodeEvicted {
            spiffe_id,
            instances,
            log_index,
        })
    }
}

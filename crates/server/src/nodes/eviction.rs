use chancery_api::Problem;
use chancery_api::server::NodeEvicted;
use chancery_audit::NodeEvict;
use chancery_delegation::Revocable;
use chancery_types::RevocationKind;
use chancery_types::id::{InstanceId, NodeId};
use http::StatusCode;

use crate::Server;
use crate::endpoints::revocations::end_instance;
use crate::endpoints::{label, stored};
use crate::withdrawn::opened;

/// Under which names the log commits to who put a node out and why.
const BY: &str = "node-evictor";
const REASON: &str = "node-eviction-reason";

/// How long what was issued to an instance lasts at most.
const HELD_SECONDS: u64 = 3_600;

/// Most instances of a node that can still hold something.
const MAX_RECENT: usize = 1_000;

impl Server {
    /// Puts a node out, for good: enrolled first, refused from then on, then every instance on it is
    /// revoked that runs, or that was opened or has ended within the
    /// last hour and may hold something yet. What is out already is gone on with, so that a repeat ends what a crash left.
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
        let held = self.recent_on(node).await?;
        let mut log_index = row.log_index;
        if row.evicted_at.is_none() {
            let event = NodeEvict {
                node: label(&spiffe_id)?,
                instances: held.len() as u64,
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
        let mut failed = None;
        for id in held {
            match self.revoke_on(id, reason).await {
                Ok(Some(spiffe_id)) => instances.push(spiffe_id),
                Ok(None) => {}
                // The others are revoked nevertheless.
                Err(problem) => {
                    tracing::error!(%id, %problem, "an instance of a node that was put out is not revoked");
                    failed.get_or_insert(problem);
                }
            }
        }
        if let Some(problem) = failed {
            return Err(problem);
        }
        Ok(NodeEvicted {
            spiffe_id,
            instances,
            log_index,
        })
    }

    /// All instances of the node that can still hold a credential.
    pub(crate) async fn recent_on(&self, node: NodeId) -> Result<Vec<InstanceId>, Problem> {
        let since = self.now()?.minus_seconds(HELD_SECONDS);
        self.store.recent_on(node, since).await.map_err(stored)
    }

    /// Refuses another instance of a node that has as many as may have to be revoked with it: the
    /// revocations of a deployment are for all.
    pub(crate) async fn check_recent_on(&self, node: NodeId) -> Result<(), Problem> {
        match self.recent_on(node).await?.len() < MAX_RECENT {
            true => Ok(()),
            false => Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "node_instances",
                format!(
                    "a node has at most {MAX_RECENT} instances that run or are of the last hour"
                ),
            )),
        }
    }

    /// Revokes one instance, and ends it where it runs; ended it is also where it cannot be revoked.
    async fn revoke_on(&self, id: InstanceId, reason: &str) -> Result<Option<String>, Problem> {
        let Some(instance) = self.store.instance(id).await.map_err(stored)? else {
            return Ok(None);
        };
        let what = Revocable::new(RevocationKind::Instance, &instance.spiffe_id)
            .map_err(|error| Problem::internal("instance", &error))?;
        let revoked = self.revoke(what.clone(), reason).await;
        end_instance(self, &what).await?;
        revoked.map(|_| Some(instance.spiffe_id))
    }
}

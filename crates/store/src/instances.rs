use chancery_types::id::{InstanceId, NodeId};
use chancery_types::{Digest, Jwk, Timestamp};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::open::{integer, natural};
use crate::{Store, StoreError};

/// An instance.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceRow {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its agent.
    pub agent_id: String,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// The manifest that was in force when it was opened.
    pub manifest_digest: Digest,
    /// What the node attested.
    pub evidence: Value,
    /// Whether its process runs.
    pub running: bool,
    /// Its agent key, once that has a credential.
    pub agent_key: Option<Jwk>,
    /// When it was opened.
    pub opened_at: Timestamp,
}

const PLACED: &str = "SELECT instances.*, instance_nodes.node_id AS on_node, lineages.until
    FROM instances
    LEFT JOIN instance_nodes ON instance_nodes.instance_id = instances.instance_id
    LEFT JOIN lineages ON lineages.instance_id = instances.instance_id
    WHERE instances.instance_id IN";

/// An instance, its time, and the node that it is on; none where that is the one on the server's own machine.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedInstance {
    /// The instance.
    pub instance: InstanceRow,
    /// Its node.
    pub node: Option<NodeId>,
    /// When it is to end in any case.
    pub until: Option<Timestamp>,
}

impl Store {
    /// Those of these instances that there are, each with its node, in no order.
    pub async fn placed(&self, ids: &[InstanceId]) -> Result<Vec<PlacedInstance>, StoreError> {
        let keys: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let rows = self.rows_in(PLACED, &keys).await?;
        rows.iter().map(placed).collect()
    }

    /// Stores a new instance.
    pub async fn put_instance(&self, instance: &InstanceRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO instances (instance_id, agent_id, spiffe_id, manifest_digest, evidence,
                 running, opened_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(instance.instance_id.to_string())
        .bind(&instance.agent_id)
        .bind(&instance.spiffe_id)
        .bind(instance.manifest_digest.to_string())
        .bind(instance.evidence.to_string())
        .bind(i64::from(instance.running))
        .bind(integer(instance.opened_at.as_micros()))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Remembers an instance's agent key. A key is set once; `false` says that another stands.
    pub async fn set_agent_key(&self, id: InstanceId, key: &Jwk) -> Result<bool, StoreError> {
        let text = serde_json::to_string(key).map_err(|e| StoreError::row("instances", e))?;
        let changed = sqlx::query(
            "UPDATE instances SET agent_key = $1
             WHERE instance_id = $2 AND (agent_key IS NULL OR agent_key = $1)",
        )
        .bind(text)
        .bind(id.to_string())
        .execute(&self.pool)
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Marks an instance as ended at that time, and why; the first time and reason stay, and `false` says that
    /// it was not running.
    pub async fn end_instance(
        &self,
        id: InstanceId,
        at: Timestamp,
        reason: &str,
    ) -> Result<bool, StoreError> {
        // Together, so that no instance has ended at no time, or for no reason.
        let mut all = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO instance_end_reasons (instance_id, reason) VALUES ($1, $2)
             ON CONFLICT (instance_id) DO NOTHING",
        )
        .bind(id.to_string())
        .bind(reason)
        .execute(&mut *all)
        .await?;
        sqlx::query(
            "INSERT INTO instance_ends (instance_id, ended_at) VALUES ($1, $2)
             ON CONFLICT (instance_id) DO NOTHING",
        )
        .bind(id.to_string())
        .bind(integer(at.as_micros()))
        .execute(&mut *all)
        .await?;
        let changed =
            sqlx::query("UPDATE instances SET running = 0 WHERE instance_id = $1 AND running = 1")
                .bind(id.to_string())
                .execute(&mut *all)
                .await?;
        all.commit().await?;
        Ok(changed.rows_affected() == 1)
    }

    /// The instance of that id.
    pub async fn instance(&self, id: InstanceId) -> Result<Option<InstanceRow>, StoreError> {
        sqlx::query("SELECT * FROM instances WHERE instance_id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?
            .as_ref()
            .map(instance)
            .transpose()
    }

    /// The running instances of an agent, in the order of their ids.
    pub async fn running_of(&self, agent_id: &str) -> Result<Vec<InstanceRow>, StoreError> {
        sqlx::query(
            "SELECT * FROM instances WHERE agent_id = $1 AND running = 1 ORDER BY instance_id",
        )
        .bind(agent_id)
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(instance)
        .collect()
    }

    /// The instances of an agent that run, or that were opened or have ended since then: those that have
    /// ended first.
    pub async fn recent_of(
        &self,
        agent_id: &str,
        since: Timestamp,
    ) -> Result<Vec<InstanceRow>, StoreError> {
        sqlx::query(
            "SELECT instances.* FROM instances
             LEFT JOIN instance_ends ON instance_ends.instance_id = instances.instance_id
             WHERE instances.agent_id = $1 AND (instances.running = 1 OR instances.opened_at >= $2
                 OR instance_ends.ended_at >= $3)
             ORDER BY instances.running, instances.instance_id",
        )
        .bind(agent_id)
        .bind(integer(since.as_micros()))
        .bind(integer(since.as_micros()))
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(instance)
        .collect()
    }

    /// The same of all agents that are retired, one agent after the other.
    pub async fn recent_of_retired(
        &self,
        since: Timestamp,
    ) -> Result<Vec<InstanceRow>, StoreError> {
        sqlx::query(
            "SELECT instances.* FROM instances
             JOIN retirements ON retirements.agent_id = instances.agent_id
             LEFT JOIN instance_ends ON instance_ends.instance_id = instances.instance_id
             WHERE instances.running = 1 OR instances.opened_at >= $1
                 OR instance_ends.ended_at >= $2
             ORDER BY instances.agent_id, instances.running, instances.instance_id",
        )
        .bind(integer(since.as_micros()))
        .bind(integer(since.as_micros()))
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(instance)
        .collect()
    }

    /// All instances, newest first.
    pub async fn instances(&self) -> Result<Vec<InstanceRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM instances ORDER BY opened_at DESC, instance_id");
        rows.fetch_all(&self.pool)
            .await?
            .iter()
            .map(instance)
            .collect()
    }
}

fn placed(row: &AnyRow) -> Result<PlacedInstance, StoreError> {
    let node: Option<String> = row.try_get("on_node")?;
    let node = node.map(|node| node.parse());
    let until: Option<i64> = row.try_get("until")?;
    Ok(PlacedInstance {
        instance: instance(row)?,
        node: node
            .transpose()
            .map_err(|error| StoreError::row("instance_nodes", error))?,
        until: until.map(|until| Timestamp::from_micros(natural(until))),
    })
}

pub(crate) fn instance(row: &AnyRow) -> Result<InstanceRow, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let key: Option<String> = row.try_get("agent_key")?;
    Ok(InstanceRow {
        instance_id: text("instance_id")?
            .parse()
            .map_err(|e| StoreError::row("instances", e))?,
        agent_id: text("agent_id")?,
        spiffe_id: text("spiffe_id")?,
        manifest_digest: text("manifest_digest")?
            .parse()
            .map_err(|e| StoreError::row("instances", e))?,
        evidence: serde_json::from_str(&text("evidence")?)
            .map_err(|e| StoreError::row("instances", e))?,
        running: row.try_get::<i64, _>("running")? != 0,
        agent_key: key
            .map(|key| serde_json::from_str(&key))
            .transpose()
            .map_err(|e| StoreError::row("instances", e))?,
        opened_at: Timestamp::from_micros(natural(row.try_get("opened_at")?)),
    })
}

use chancery_types::id::{InstanceId, NodeId};
use chancery_types::{Digest, Timestamp};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::open::{integer, natural};
use crate::{Store, StoreError};

/// A node that joined from another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// The node.
    pub node_id: NodeId,
    /// What it joined by: `token`, `x509` or `tpm`.
    pub proof: String,
    /// The subject of the certificate that it joined by.
    pub subject: Option<String>,
    /// When it joined, the last time.
    pub joined_at: Timestamp,
    /// When its SVID expires.
    pub expires_at: Timestamp,
    /// What its TPM showed when it joined, as JSON.
    pub tpm: Option<String>,
    /// When it was put out; for good.
    pub evicted_at: Option<Timestamp>,
    /// The entry of the server's log that enrolled it, or its end.
    pub log_index: u64,
}

/// A token that admits one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeTokenRow {
    /// The digest of the token, which is nowhere else.
    pub token: Digest,
    /// When it stops admitting anybody.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// An authority whose certificates admit nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAuthorityRow {
    /// The digest of its certificate.
    pub fingerprint: Digest,
    /// The certificate in DER.
    pub certificate: Vec<u8>,
    /// Where its certificates are of TPMs, not of hosts: what their registers must hold, as JSON.
    pub tpms: Option<String>,
    /// The entry of the server's log that enrolled it.
    pub log_index: u64,
}

/// A TPM whose host may join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTpmRow {
    /// The digest of its endorsement key.
    pub tpm: Digest,
    /// What its registers must hold, as JSON.
    pub pcrs: String,
    /// The entry of the server's log that enrolled it.
    pub log_index: u64,
}

impl Store {
    /// Stores a token, and forgets those that were over at `over`.
    pub async fn put_node_token(
        &self,
        row: &NodeTokenRow,
        over: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM node_tokens WHERE expires_at < $1")
            .bind(integer(over.as_micros()))
            .execute(&self.pool)
            .await?;
        sqlx::query("INSERT INTO node_tokens (digest, expires_at, used_at) VALUES ($1, $2, NULL)")
            .bind(row.token.to_string())
            .bind(integer(row.expires_at.as_micros()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// All tokens that are not forgotten.
    pub async fn node_tokens(&self) -> Result<Vec<NodeTokenRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM node_tokens");
        let rows = rows.fetch_all(&self.pool).await?;
        let read = |row: &AnyRow| {
            Ok(NodeTokenRow {
                token: digest(row, "node_tokens", "digest")?,
                expires_at: time(row, "expires_at")?,
                used_at: optional_time(row, "used_at")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Uses a token up. Only one of several who use the same one at the same time is told `true`.
    pub async fn use_node_token(&self, token: Digest, now: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE node_tokens SET used_at = $1
             WHERE digest = $2 AND used_at IS NULL AND expires_at > $1",
        )
        .bind(integer(now.as_micros()))
        .bind(token.to_string())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Stores a node that joined, anew where it did before. One that was put out stays out: `false`.
    pub async fn put_node(&self, row: &NodeRow) -> Result<bool, StoreError> {
        let mut together = self.pool.begin().await?;
        let done = sqlx::query(
            "INSERT INTO nodes (node_id, proof, subject, joined_at, expires_at, evicted_at, log_index)
             VALUES ($1, $2, $3, $4, $5, NULL, $6)
             ON CONFLICT (node_id) DO UPDATE SET proof = excluded.proof, subject = excluded.subject,
                 joined_at = excluded.joined_at, expires_at = excluded.expires_at,
                 log_index = excluded.log_index
             WHERE nodes.evicted_at IS NULL",
        )
        .bind(row.node_id.to_string())
        .bind(&row.proof)
        .bind(&row.subject)
        .bind(integer(row.joined_at.as_micros()))
        .bind(integer(row.expires_at.as_micros()))
        .bind(integer(row.log_index))
        .execute(&mut *together)
        .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM node_tpm_evidence WHERE node_id = $1")
            .bind(row.node_id.to_string())
            .execute(&mut *together)
            .await?;
        if let Some(evidence) = &row.tpm {
            sqlx::query("INSERT INTO node_tpm_evidence (node_id, evidence) VALUES ($1, $2)")
                .bind(row.node_id.to_string())
                .bind(evidence)
                .execute(&mut *together)
                .await?;
        }
        together.commit().await?;
        Ok(true)
    }

    /// Notes that a node has another SVID.
    pub async fn renew_node(&self, id: NodeId, expires_at: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE nodes SET expires_at = $1 WHERE node_id = $2")
            .bind(integer(expires_at.as_micros()))
            .bind(id.to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Puts a node out, for good. `false` where there is none, or none any more.
    pub async fn evict_node(
        &self,
        id: NodeId,
        at: Timestamp,
        log_index: u64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE nodes SET evicted_at = $1, log_index = $2
             WHERE node_id = $3 AND evicted_at IS NULL",
        )
        .bind(integer(at.as_micros()))
        .bind(integer(log_index))
        .bind(id.to_string())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// All nodes that ever joined, newest first.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT nodes.*, node_tpm_evidence.evidence FROM nodes
             LEFT JOIN node_tpm_evidence ON node_tpm_evidence.node_id = nodes.node_id
             ORDER BY nodes.joined_at DESC, nodes.node_id",
        );
        rows.fetch_all(&self.pool).await?.iter().map(node).collect()
    }

    /// The node of that id.
    pub async fn node(&self, id: NodeId) -> Result<Option<NodeRow>, StoreError> {
        let row = sqlx::query(
            "SELECT nodes.*, node_tpm_evidence.evidence FROM nodes
             LEFT JOIN node_tpm_evidence ON node_tpm_evidence.node_id = nodes.node_id
             WHERE nodes.node_id = $1",
        );
        let row = row.bind(id.to_string());
        let row = row.fetch_optional(&self.pool).await?;
        row.as_ref().map(node).transpose()
    }

    /// Notes on which node an instance is, before there is the instance.
    pub async fn put_instance_node(
        &self,
        instance: InstanceId,
        node: NodeId,
    ) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO instance_nodes (instance_id, node_id) VALUES ($1, $2)")
            .bind(instance.to_string())
            .bind(node.to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The node that an instance is on; none of one on the server's own machine.
    pub async fn node_of(&self, instance: InstanceId) -> Result<Option<NodeId>, StoreError> {
        let node: Option<String> =
            sqlx::query_scalar("SELECT node_id FROM instance_nodes WHERE instance_id = $1")
                .bind(instance.to_string())
                .fetch_optional(&self.pool)
                .await?;
        let node = node.map(|node| node.parse());
        node.transpose()
            .map_err(|error| StoreError::row("instance_nodes", error))
    }

    /// The instances that run on a node.
    pub async fn running_on(&self, node: NodeId) -> Result<Vec<InstanceId>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT instances.instance_id FROM instances
             JOIN instance_nodes ON instance_nodes.instance_id = instances.instance_id
             WHERE instance_nodes.node_id = $1 AND instances.running = 1",
        )
        .bind(node.to_string())
        .fetch_all(&self.pool)
        .await?;
        let rows = rows.iter().map(|id| id.parse());
        rows.collect::<Result<_, _>>()
            .map_err(|error| StoreError::row("instance_nodes", error))
    }

    /// The instances on a node that run, or that were opened or ended at `since` or later: all that
    /// can still hold what was issued from then on.
    pub async fn recent_on(
        &self,
        node: NodeId,
        since: Timestamp,
    ) -> Result<Vec<InstanceId>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT instances.instance_id FROM instances
             JOIN instance_nodes ON instance_nodes.instance_id = instances.instance_id
             LEFT JOIN instance_ends ON instance_ends.instance_id = instances.instance_id
             WHERE instance_nodes.node_id = $1
                 AND (instances.running = 1 OR instances.opened_at >= $2
                     OR instance_ends.ended_at >= $3)
             ORDER BY instances.opened_at, instances.instance_id",
        )
        .bind(node.to_string())
        .bind(integer(since.as_micros()))
        .bind(integer(since.as_micros()))
        .fetch_all(&self.pool)
        .await?;
        let rows = rows.iter().map(|id| id.parse());
        rows.collect::<Result<_, _>>()
            .map_err(|error| StoreError::row("instance_nodes", error))
    }

    /// Takes an authority in.
    pub async fn put_node_authority(&self, row: &NodeAuthorityRow) -> Result<(), StoreError> {
        let mut together = self.pool.begin().await?;
        sqlx::query("DELETE FROM node_tpm_makers WHERE fingerprint = $1")
            .bind(row.fingerprint.to_string())
            .execute(&mut *together)
            .await?;
        if let Some(pcrs) = &row.tpms {
            sqlx::query("INSERT INTO node_tpm_makers (fingerprint, pcrs) VALUES ($1, $2)")
                .bind(row.fingerprint.to_string())
                .bind(pcrs)
                .execute(&mut *together)
                .await?;
        }
        sqlx::query(
            "INSERT INTO node_authorities (fingerprint, certificate, log_index) VALUES ($1, $2, $3)
             ON CONFLICT (fingerprint) DO UPDATE SET certificate = excluded.certificate,
                 log_index = excluded.log_index",
        )
        .bind(row.fingerprint.to_string())
        .bind(&row.certificate)
        .bind(integer(row.log_index))
        .execute(&mut *together)
        .await?;
        together.commit().await?;
        Ok(())
    }

    /// Takes an authority out. `false` where there is none.
    pub async fn remove_node_authority(&self, fingerprint: Digest) -> Result<bool, StoreError> {
        let mut together = self.pool.begin().await?;
        let done = sqlx::query("DELETE FROM node_authorities WHERE fingerprint = $1")
            .bind(fingerprint.to_string())
            .execute(&mut *together)
            .await?;
        sqlx::query("DELETE FROM node_tpm_makers WHERE fingerprint = $1")
            .bind(fingerprint.to_string())
            .execute(&mut *together)
            .await?;
        together.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// All authorities that admit nodes.
    pub async fn node_authorities(&self) -> Result<Vec<NodeAuthorityRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT node_authorities.*, node_tpm_makers.pcrs FROM node_authorities
             LEFT JOIN node_tpm_makers
                 ON node_tpm_makers.fingerprint = node_authorities.fingerprint
             ORDER BY node_authorities.fingerprint",
        );
        let rows = rows.fetch_all(&self.pool).await?;
        let read = |row: &AnyRow| {
            Ok(NodeAuthorityRow {
                fingerprint: digest(row, "node_authorities", "fingerprint")?,
                certificate: row.try_get("certificate")?,
                tpms: row.try_get("pcrs")?,
                log_index: natural(row.try_get("log_index")?),
            })
        };
        rows.iter().map(read).collect()
    }
}

impl Store {
    /// Takes a TPM in, anew where it was before.
    pub async fn put_node_tpm(&self, row: &NodeTpmRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO node_tpms (digest, pcrs, log_index) VALUES ($1, $2, $3)
             ON CONFLICT (digest) DO UPDATE SET pcrs = excluded.pcrs,
                 log_index = excluded.log_index",
        )
        .bind(row.tpm.to_string())
        .bind(&row.pcrs)
        .bind(integer(row.log_index))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes a TPM out. `false` where there is none.
    pub async fn remove_node_tpm(&self, tpm: Digest) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM node_tpms WHERE digest = $1")
            .bind(tpm.to_string())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// All TPMs whose hosts may join.
    pub async fn node_tpms(&self) -> Result<Vec<NodeTpmRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM node_tpms ORDER BY digest");
        rows.fetch_all(&self.pool).await?.iter().map(tpm).collect()
    }

    /// The TPM of that digest, where its host may join.
    pub async fn node_tpm(&self, digest: Digest) -> Result<Option<NodeTpmRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM node_tpms WHERE digest = $1").bind(digest.to_string());
        let row = row.fetch_optional(&self.pool).await?;
        row.as_ref().map(tpm).transpose()
    }
}

fn tpm(row: &AnyRow) -> Result<NodeTpmRow, StoreError> {
    Ok(NodeTpmRow {
        tpm: digest(row, "node_tpms", "digest")?,
        pcrs: row.try_get("pcrs")?,
        log_index: natural(row.try_get("log_index")?),
    })
}

fn node(row: &AnyRow) -> Result<NodeRow, StoreError> {
    let id: String = row.try_get("node_id")?;
    Ok(NodeRow {
        node_id: id
            .parse()
            .map_err(|error| StoreError::row("nodes", error))?,
        proof: row.try_get("proof")?,
        subject: row.try_get("subject")?,
        tpm: row.try_get("evidence")?,
        joined_at: time(row, "joined_at")?,
        expires_at: time(row, "expires_at")?,
        evicted_at: optional_time(row, "evicted_at")?,
        log_index: natural(row.try_get("log_index")?),
    })
}

fn digest(row: &AnyRow, table: &'static str, column: &str) -> Result<Digest, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| StoreError::row(table, error))
}

fn time(row: &AnyRow, column: &str) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_micros(natural(row.try_get(column)?)))
}

fn optional_time(row: &AnyRow, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let value: Option<i64> = row.try_get(column)?;
    Ok(value.map(|value| Timestamp::from_micros(natural(value))))
}
